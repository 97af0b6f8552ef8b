"""Edge server: the real web layers around drafts in memory, for tests of the web layers alone. Run as a module.

The drafts count the calls that would change something, and `start` answers with that count. A test can therefore
assert that no such call was made.
"""

from __future__ import annotations

import sys

from web import concurrency

if __name__ == "__main__" and sys.argv[1] == concurrency.EVENTLET:
    problem = concurrency.check_eventlet()
    if problem is not None:
        sys.exit(problem)
    concurrency.patch_standard_library()

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stories.errors import Refused
from web.addresses import AddressLimits
from web.app import EdgeSettings, WebApp
from web.serve import serve_until_stopped
from web.socket_guard import SocketLimits

DRAFT = "d" * 32


class RecordingDraft:
    """A draft with a fixed text. `hold` with `composing` publishes 100 updates of 50 kB."""

    def __init__(self, drafts: RecordingDrafts) -> None:
        self._drafts = drafts

    def open(self, connection: str, revision: int | None, join: Callable[[], None]) -> dict[str, Any]:
        join()
        for _ in range(3):  # a real draft may publish before its answer is sent
            self._drafts.publish(DRAFT, "updates", self._drafts.update("x"))
        return {"revision": 0, "text": ""}

    def start(self, limit: int | None) -> dict[str, Any]:
        return {"epoch": self._drafts.calls}

    def pause(self) -> dict[str, Any]:
        for _ in range(20):
            self._drafts.publish(DRAFT, "updates", self._drafts.update("y"))
        return {"revision": 20}

    def hold(self, connection: str, composing: bool) -> None:
        for _ in range(100 if composing else 0):
            self._drafts.publish(DRAFT, "updates", self._drafts.update("z" * 50_000))

    def alternatives(self, revision: int, at: int) -> dict[str, Any]:
        self._drafts.released.wait(20)
        return {"revision": revision, "options": []}

    def edit(self, *args: object) -> dict[str, Any]:
        self._drafts.calls += 1
        self._drafts.released.set()
        return {"revision": 1}

    def configure(self, changes: dict[str, Any]) -> dict[str, Any]:
        self._drafts.calls += 1
        raise RuntimeError("secret detail")

    def close(self, connection: str) -> None:
        self._drafts.calls += 1

    rewind = retry = seen = edit


class RecordingDrafts:
    """The open drafts: one draft, `DRAFT`, for every owner."""

    engine_is_up = True

    def figures(self) -> defaultdict[str, float]:
        return defaultdict(float)

    def storage_problem(self) -> None:
        """Return None: these drafts are not stored."""

    def __init__(self, publish: Callable[[str, str, dict[str, Any]], None]) -> None:
        self.publish = publish
        self.calls = 0
        self.released = threading.Event()
        self.gone: list[str] = []

    def update(self, text: str) -> dict[str, Any]:
        update = {"author": "model:m", "client": "model", "changes": [[0, text]], "tokens": [[len(text), -1.0]]}
        return {"draft": DRAFT, "revision": 0, "epoch": 0, "updates": [update]}

    def live_draft(self, owner: str, draft: str) -> RecordingDraft:
        if draft != DRAFT:
            raise Refused("unknown_draft", "There is no such draft.")
        return RecordingDraft(self)

    def menu_changed(self) -> None:
        """Do nothing: these drafts have no models."""

    def disconnected(self, connection: str) -> None:
        self.gone.append(connection)


class EchoLibrary:
    """A library that answers with the values it received."""

    def stories(self, owner: str) -> dict[str, Any]:
        return {"stories": [], "owner": owner}

    def story(self, owner: str, story: str) -> dict[str, Any]:
        raise Refused("unknown_story", "There is no such story.")

    def create_story(self, owner: str, request: dict[str, Any]) -> dict[str, Any]:
        if request["prompt"] == "break":
            raise RuntimeError("secret detail")
        return request

    def import_story(self, owner: str, data: bytes, filename: str | None) -> dict[str, Any]:
        return {"size": len(data), "filename": filename}

    def export(self, owner: str, draft: str, wanted: str) -> tuple[bytes, str, str]:
        return b"text", "text/plain; charset=utf-8", 'né"w\n.txt'


class ChangingMenu:
    """A menu that changes once, two seconds after its creation."""

    def __init__(self) -> None:
        self._made = time.monotonic()

    def as_json(self) -> dict[str, Any]:
        return {"continue": [], "prompt": [], "changed": time.monotonic() - self._made > 2}


FEW = AddressLimits(open=3, requests=1, requests_burst=20, changes=0.01, changes_burst=2)


def main(mode: str, rate: float, root: Path, behind_proxy: bool) -> None:
    limits = SocketLimits(events=rate, events_burst=rate, unused_seconds=1)
    listener = concurrency.listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    edge = EdgeSettings("127.0.0.1", port, b"k" * 32, root, mode, None, behind_proxy, limits, FEW)
    app = WebApp(edge)
    drafts = RecordingDrafts(app.publish)
    app.connect(drafts, EchoLibrary(), ChangingMenu())  # type: ignore[arg-type]
    app.start_tasks()
    serve_until_stopped(mode, listener, app.wsgi, app.close_connections, lambda: None)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]), "--behind-proxy" in sys.argv)
