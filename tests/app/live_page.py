"""LivePage: a page without a browser, with a real socket, a copy of the text and a person's actions.

Owns the conversation over one connection. It does not reconnect; tests/rig/stubborn_page.py does. Knows nothing of
the server's code.
"""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import websocket

from stories.text.utf16 import to_units
from tests.app.page_text import Json, PageText
from tests.web.raw_page import ask

PATIENCE_SECONDS = 40.0


class Refusal(AssertionError):
    """The server answered `ok: false`."""


def create_story(port: int, cookie: str, **request: Any) -> Json:
    """Create a story by REST, with one draft of the fake model unless `request` says otherwise."""
    body = json.dumps({"mode": "continue", "prompt": "Once upon a time", "model": "Fake", **request})
    reply = ask(port, "POST", "/api/stories", body, Cookie=cookie, Content_Type="application/json")
    assert reply.status == 201, reply.body
    story: Json = reply.json
    return story


@dataclass
class _Delayed:
    """Delivers items in order after a delay on a thread of its own, or without `latency` at once in `put`."""

    latency: float
    deliver: Callable[[Any], None]
    broken: Callable[[Exception], None]
    items: queue.Queue[tuple[float, Any] | None] = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._loop, daemon=True) if self.latency else None
        if self.thread is not None:
            self.thread.start()

    def put(self, item: Any) -> None:
        if self.thread is None:
            self._deliver(item)
        else:
            self.items.put((time.monotonic() + self.latency, item))

    def close(self) -> None:
        if self.thread is not None:
            self.items.put(None)
            self.thread.join(5)

    def _loop(self) -> None:
        pause = threading.Event()
        while (entry := self.items.get()) is not None:
            pause.wait(max(0.0, entry[0] - time.monotonic()))
            if not self._deliver(entry[1]):
                return

    def _deliver(self, item: Any) -> bool:
        try:
            self.deliver(item)
        except Exception as error:  # noqa: BLE001 -- shown to the test, which waits for this page
            self.broken(error)
            return False
        return True


class LivePage(PageText):
    """A page with `draft` open. `latency` delays each message it sends and receives, in seconds."""

    def __init__(self, port: int, cookie: str, draft: str, latency: float = 0.0) -> None:
        super().__init__(draft)
        self.states: list[Json] = []
        self.refusals: list[Json] = []
        self.failure: Exception | None = None
        self._acks: dict[int, queue.Queue[Json]] = {}
        self._sent = 0
        self._closed = False
        self._socket = websocket.create_connection(
            f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket",
            timeout=PATIENCE_SECONDS,
            cookie=cookie,
            origin=f"http://127.0.0.1:{port}",
            skip_utf8_validation=True,  # JSON is decoded anyway, and the check takes a third of a page's time
        )
        self._tcp: Any = self._socket.sock
        self._opening = 0
        self._out = _Delayed(latency, self._send_now, self._break)
        self._in = _Delayed(latency, self._receive, self._break)
        self._out.put('40/story,{"protocol":1}')
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._pusher = threading.Thread(target=self._push, daemon=True)
        self._opening = self._sent + 1
        self.opened = self.ask("open", draft=draft)
        self._pusher.start()
        self._leaving = threading.Event()
        self._viewer = threading.Thread(target=self._see, daemon=True)
        self._viewer.start()

    def __enter__(self) -> LivePage:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up and end the page's threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._leaving.set()
        self._pusher.join(5)
        self._viewer.join(5)
        with suppress(OSError):  # the server has hung up already
            self._tcp.shutdown(socket.SHUT_RDWR)  # wakes the reader, which `close` alone does not
        self._reader.join(5)
        self._tcp.close()
        self._out.close()
        self._in.close()

    # --- actions of a person ---

    def ask(self, event: str, **body: Any) -> Json:
        """Send an event and return its acknowledgement. Raises Refusal."""
        answer = self.try_to(event, **body)
        if not answer.pop("ok"):
            raise Refusal(str(answer))
        return answer

    def try_to(self, event: str, **body: Any) -> Json:
        """Send an event and return its acknowledgement, even if it is a refusal."""
        with self._changed:
            self._sent += 1
            number = self._sent
            answer = self._acks[number] = queue.Queue[Json]()
            self._out.put(f"42/story,{number}{json.dumps([event, {'draft': self.draft, **body}])}")
        return answer.get(timeout=PATIENCE_SECONDS)

    def wait_until(self, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until `condition` holds. It is checked whenever a message has arrived."""
        with self._changed:
            holds = self._changed.wait_for(lambda: self.failure or condition(), seconds)
            if self.failure:
                raise AssertionError("the page failed") from self.failure
            assert holds, (
                f"timed out at revision {self.revision}, {len(self.unconfirmed)} unconfirmed, "
                f"last state {self.states[-1:]}, the page shows {self.text[-100:]!r}"
            )

    def wait_for_state(self, state: str) -> Json:
        """Wait for a `state` event with this state and return its body."""
        self.wait_until(lambda: bool(self.states) and self.states[-1]["state"] == state)
        return self.states[-1]

    def wait_for_words(self, count: int) -> None:
        """Wait for `count` more updates by a model."""
        goal = sum(update["client"] == "model" for update in self.updates) + count
        self.wait_until(lambda: sum(update["client"] == "model" for update in self.updates) >= goal)

    def settle(self) -> None:
        """Wait until every edit of this page is confirmed."""
        self.wait_until(lambda: not self.unconfirmed or bool(self.refusals))
        assert not self.refusals, self.refusals

    # --- threads of the page ---

    def _break(self, error: Exception) -> None:
        with self._changed:
            self.failure = error
            self._changed.notify_all()

    def _push(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.unconfirmed or self._closed)
                if self._closed:
                    return
                body = self._push_body()
            try:
                answer = self.try_to("edit", **body)
            except queue.Empty:
                continue
            if not answer["ok"]:
                self.refusals.append(answer)
                return
            with self._changed:
                reached = answer["revision"]
                self._changed.wait_for(lambda: self.revision >= reached or self._closed, PATIENCE_SECONDS)  # noqa: B023

    def _see(self) -> None:
        """Send `seen` as the page in the browser does: every three seconds, or sooner after many tokens."""
        sent, count, sent_at = -1, 0, 0.0
        while not self._leaving.wait(0.25):
            with self._changed:
                revision, now = self.reached(), time.monotonic()
                tokens = sum(len(update.get("tokens", ())) for update in self.updates[count:])
                if revision == sent or (tokens < 128 and now < sent_at + 3):
                    continue
                sent, count, sent_at = revision, len(self.updates), now
                self._out.put(f"42/story,{json.dumps(['seen', {'draft': self.draft, 'revision': revision}])}")

    def reached(self) -> int:
        """The revision after the last update that has arrived."""
        return self.revision

    def _send_now(self, message: str) -> None:
        try:
            self._socket.send(message)
        except (OSError, websocket.WebSocketException):
            self._acks.clear()

    def _read(self) -> None:
        while True:
            try:
                message = self._socket.recv()
            except (OSError, websocket.WebSocketException):
                return
            if not message:
                return
            self._in.put(message)

    def _receive(self, message: str) -> None:
        if message == "2":
            self._send_now("3")
        elif message.startswith("43/story,"):
            number, _, body = message[9:].partition("[")
            answer = json.loads("[" + body)[0]
            if int(number) == self._opening:  # the next updates build on this text
                self.text, self.revision = to_units(answer["text"]), answer["revision"]
            self._acks.pop(int(number)).put(answer)
        elif message.startswith("42/story,"):
            event, body = json.loads(message[9:])
            with self._changed:
                if event == "updates":
                    self._follow(body)
                elif event == "state":
                    self.states.append(body)
                self._changed.notify_all()
