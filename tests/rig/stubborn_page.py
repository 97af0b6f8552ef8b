"""StubbornPage: a page that never gives up, for bad networks and killed servers.

Owns the client's half of docs/protocol.md on a bad network, on one thread: it reconnects, tells the server its
revision and sends unconfirmed edits again. An answer that is late counts as a dead connection. Knows nothing of the
server's code.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import websocket

from stories.text.utf16 import to_units
from tests.app.page_text import Json, PageText

ANSWER_SECONDS = 6.0  # longer than a round trip on the slowest network of the rig
SILENCE_SECONDS = 26.0  # the server pings every 10 seconds and hangs up after 15
RETRY_SECONDS = 0.05
PATIENCE_SECONDS = 90.0
RETRIED_CODES = ("storage", "busy", "rate_limited")
PUSH_UPDATES = 200  # as the page in the browser does


class _Broken(Exception):
    """This connection is dead or of no more use."""


class StubbornPage(PageText):
    """A page with `draft` open at `address`, such as `ws://127.0.0.1:5000`.

    `origin` is the server's own origin. `options` are passed to websocket-client.
    """

    def __init__(self, address: str, cookie: str, draft: str, origin: str, **options: Any) -> None:
        super().__init__(draft)
        self._address, self._options = address, {"cookie": cookie, "origin": origin, **options}
        self.connections = 0
        self.acked_revision = 0
        self.refusals: list[Json] = []
        self.ack_seconds: list[float] = []
        self._failure: Exception | None = None
        self._is_open = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._live, name="stubborn page", daemon=True)
        self._thread.start()

    def __enter__(self) -> StubbornPage:
        self.wait_until(lambda: self._is_open)
        return self

    def __exit__(self, *error: object) -> None:
        self._closed.set()
        self._thread.join(20)
        assert not self._thread.is_alive()

    @property
    def is_saved(self) -> bool:
        """Whether the page shows *Saved*."""
        return not self.unconfirmed

    def confirmed(self, letters: str) -> str:
        """The letters of `letters`, typed on this page, that are confirmed."""
        with self._changed:
            waiting = {
                letter for update in self.unconfirmed for *_, text in update.changes.iter_changes() for letter in text
            }
            return "".join(letter for letter in letters if letter not in waiting)

    def wait_until(self, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until `condition` holds. It is checked whenever something has changed."""
        with self._changed:
            holds = self._changed.wait_for(lambda: self._failure or condition(), seconds)
            if self._failure:
                raise AssertionError("the page failed") from self._failure
            assert holds, f"timed out at revision {self.revision}, {len(self.unconfirmed)} unconfirmed"

    def settle(self) -> None:
        """Wait until every edit of this page is confirmed."""
        self.wait_until(lambda: self.is_saved)

    # --- the page's thread ---

    def _live(self) -> None:
        while not self._closed.wait(RETRY_SECONDS):
            try:
                _Conversation(self).run(self._closed)
            except (_Broken, OSError, websocket.WebSocketException):
                continue
            except Exception as error:  # noqa: BLE001 -- shown to the test, which waits for this page
                with self._changed:
                    self._failure = error
                    self._changed.notify_all()
                return

    def _opened(self, answer: Json) -> None:
        with self._changed:
            if "updates" in answer:
                self._follow({"revision": answer["revision"] - len(answer["updates"]), "updates": answer["updates"]})
            else:
                assert not self._is_open, "a page that has the draft open gets updates, since it is not far behind"
                self.text, self.revision = to_units(answer["text"]), answer["revision"]
            self._is_open = True
            self._changed.notify_all()

    def _heard(self, body: Json) -> None:
        with self._changed:
            self._follow(body)
            self._changed.notify_all()

    def _refused(self, error: Json) -> None:
        with self._changed:
            self.refusals.append(error)
            self._changed.notify_all()

    def _next_push(self) -> Json | None:
        with self._changed:
            if not self.unconfirmed or self.revision < self.acked_revision:
                return None
            body = self._push_body()
            return {**body, "updates": body["updates"][:PUSH_UPDATES]}


class _Conversation:
    """One connection, which opens the draft, then sends edits and listens until it breaks."""

    def __init__(self, page: StubbornPage) -> None:
        self._page = page
        self._socket = websocket.create_connection(
            f"{page._address}/socket.io/?EIO=4&transport=websocket", timeout=ANSWER_SECONDS, **page._options
        )
        self._tcp: Any = self._socket.sock  # websocket-client drops it unclosed when the server hangs up
        self._number = 0
        self._pending: tuple[int, float] | None = None
        self._is_open = False
        self._send_after = self._next_seen = 0.0

    def run(self, closed: threading.Event) -> None:
        """Talk until `closed` is set. Raises an error when the connection breaks."""
        try:
            self._page.connections += 1
            self._socket.send('40/story,{"protocol":1}')
            known = {"revision": self._page.revision} if self._page._is_open else {}
            self._ask("open", {"draft": self._page.draft, **known})
            self._socket.settimeout(0.02)
            heard = time.monotonic()
            while not closed.is_set():
                with suppress(websocket.WebSocketTimeoutException):
                    self._receive(self._socket.recv())
                    heard = time.monotonic()
                self._send_next()
                if time.monotonic() - heard > SILENCE_SECONDS:
                    raise _Broken
        finally:
            self._tcp.close()

    def _ask(self, event: str, body: Json) -> None:
        self._number += 1
        self._pending = (self._number, time.monotonic())
        self._socket.send(f"42/story,{self._number}{json.dumps([event, body])}")

    def _send_next(self) -> None:
        now = time.monotonic()
        if self._pending is not None:
            if now - self._pending[1] > ANSWER_SECONDS:
                raise _Broken
            return
        if now >= self._send_after and (push := self._page._next_push()) is not None:
            self._ask("edit", push)
        elif now >= self._next_seen:
            self._next_seen = now + 0.25
            seen = {"draft": self._page.draft, "revision": self._page.revision}
            self._socket.send(f"42/story,{json.dumps(['seen', seen])}")

    def _receive(self, message: str | bytes) -> None:
        assert isinstance(message, str)
        if message == "":
            raise _Broken
        if message == "2":
            self._socket.send("3")
        elif message.startswith(("41", "44")):
            raise _Broken
        elif message.startswith("43/story,"):
            number, _, body = message[9:].partition("[")
            self._answered(int(number), json.loads("[" + body)[0])
        elif message.startswith("42/story,") and self._is_open:
            event, body = json.loads(message[9:])
            if event == "updates":
                self._page._heard(body)

    def _answered(self, number: int, answer: Json) -> None:
        assert self._pending is not None
        assert self._pending[0] == number
        asked, self._pending = self._pending[1], None
        if not answer["ok"] and answer["error"]["code"] == "behind":
            raise _Broken  # opening again gives it the missing updates, over which it rebases itself
        if not answer["ok"]:
            assert answer["error"]["code"] in RETRIED_CODES, answer
            self._page._refused(answer["error"])
            self._send_after = time.monotonic() + 0.2
            if not self._is_open:
                raise _Broken
        elif not self._is_open:
            self._is_open = True
            self._page._opened(answer)
        else:
            self._page.ack_seconds.append(time.monotonic() - asked)
            self._page.acked_revision = answer["revision"]
