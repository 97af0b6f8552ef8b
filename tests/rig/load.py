"""Load: a crowd of pages that edit or watch while a model writes. Runs as a module, with eventlet.

Prints one line of JSON with the lost letters, the divergent pages and the answer times of edits. Runs as a process of
its own, so that its work does not delay the server's event loop.
"""

# ruff: noqa: E402  # eventlet must patch modules before they are imported
from __future__ import annotations

import eventlet  # type: ignore[import-untyped]

eventlet.monkey_patch()

import json
import random
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from tests.app.live_page import PATIENCE_SECONDS, LivePage, create_story
from tests.app.page_text import Json
from tests.rig.figures import spread
from tests.web.raw_page import cookie_of

LETTER = 0x4E00


class TimedPage(LivePage):
    """A page that measures the answer times of its edits."""

    def __init__(self, port: int, cookie: str, draft: str) -> None:
        self.ack_seconds: list[float] = []
        super().__init__(port, cookie, draft)

    def try_to(self, event: str, **body: object) -> Json:
        began = time.monotonic()
        answer = super().try_to(event, **body)
        if event == "edit":
            self.ack_seconds.append(time.monotonic() - began)
        return answer


class Onlooker(LivePage):
    """Another tab of a person, without typing.

    It keeps updates and applies them only when texts are compared, since two hundred pages that apply every update
    leave the server too little processor time.
    """

    def __init__(self, port: int, cookie: str, draft: str) -> None:
        self._kept: list[str] = []
        super().__init__(port, cookie, draft)

    def _read(self) -> None:
        """Read all arrived frames at once, since a call of the WebSocket library for each costs more than the frame."""
        buffer = bytearray()
        with suppress(OSError):
            while data := self._tcp.recv(65536):
                buffer += data
                for message in _take_messages(buffer):
                    self._in.put(message)

    def _receive(self, message: str) -> None:
        if message.startswith('42/story,["updates"'):
            self._kept.append(message)
        elif not message.startswith('42/story,["state"'):
            super()._receive(message)

    def reached(self) -> int:
        if not self._kept:
            return self.revision
        body = _body(self._kept[-1])
        return int(body["revision"]) + len(body["updates"])

    def catch_up(self, revision: int) -> None:
        """Wait for the updates up to `revision` and apply all that have arrived."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.reached() < revision:
            assert time.monotonic() < deadline, f"only revision {self.reached()} of {revision} has arrived"
            time.sleep(0.05)
        with self._changed:
            for message in self._kept:
                self._follow(_body(message))
            self._kept.clear()


@dataclass
class Crowd:
    """The pages of a load test, and the letters typed in each draft."""

    port: int
    randomness: random.Random
    pages: list[TimedPage] = field(default_factory=list)
    onlookers: list[Onlooker] = field(default_factory=list)
    late_seconds: list[float] = field(default_factory=list)
    typed: dict[str, list[str]] = field(default_factory=dict)

    def gather(self, connected: int, writing: int, stack: ExitStack) -> None:
        """Open `connected` pages: one for each of the `writing` people and their drafts, the others as further tabs."""
        drafts: list[tuple[str, str]] = []
        for number in range(connected):
            if len(drafts) < writing:
                cookie = cookie_of(self.port)
                drafts.append((cookie, create_story(self.port, cookie, model="Fake paced-10")["drafts"][0]["id"]))
            own, draft = drafts[number % writing]
            if number < writing:
                self.pages.append(TimedPage(self.port, own, draft))
                stack.enter_context(self.pages[-1])
                self.typed[draft] = []
            else:
                self.onlookers.append(Onlooker(self.port, own, draft))
                stack.enter_context(self.onlookers[-1])

    def write(self, seconds: float) -> None:
        """Type in all drafts while models write."""
        for page in self.pages:
            page.ask("start")
        for page in self.pages:
            page.wait_for_words(1)
        until = time.monotonic() + seconds
        tasks = [eventlet.spawn(self._type, page, until) for page in self.pages]
        tasks.append(eventlet.spawn(self._measure_lag, until))
        for task in tasks:
            task.wait()

    def _measure_lag(self, until: float) -> None:
        """Measure how late this process itself is. That much of an answer time may be its own."""
        while (begin := time.monotonic()) < until:
            time.sleep(0.05)
            self.late_seconds.append(time.monotonic() - begin - 0.05)

    def _type(self, page: TimedPage, until: float) -> None:
        """Type one letter about once per second."""
        while time.monotonic() < until:
            time.sleep(0.5 + self.randomness.random())
            letter = chr(LETTER + len(self.typed[page.draft]))
            page.type(letter, at=self.randomness.choice([None, self.randomness.randrange(len(page.text) + 1)]))
            self.typed[page.draft].append(letter)

    def compare(self) -> tuple[int, int]:
        """Return the number of lost or doubled letters, and of pages that differ from their draft's writer."""
        lost = divergent = 0
        texts: dict[str, str] = {}
        reached: dict[str, int] = {}
        for page in self.pages:
            page.settle()
            reached[page.draft] = page.ask("pause")["revision"]
        for page in self.pages:
            _follow_to(page, reached[page.draft])
            texts[page.draft] = page.text
            lost += sum(page.text.count(letter) != 1 for letter in self.typed[page.draft])
        for other in self.onlookers:
            other.catch_up(reached[other.draft])
            divergent += other.text != texts[other.draft]
        return lost, divergent


def _take_messages(buffer: bytearray) -> Iterator[str]:
    """Remove the complete frames of a WebSocket server from `buffer` and yield the text frames.

    The frames must not be fragmented or masked.
    """
    at = 0
    while len(buffer) - at >= 2:
        start, size = at + 2, buffer[at + 1]
        if size >= 126:
            start += 2 if size == 126 else 8
            size = int.from_bytes(buffer[at + 2 : start], "big")
        if len(buffer) < start + size:
            break
        if buffer[at] == 0x81:
            yield buffer[start : start + size].decode()
        at = start + size
    del buffer[:at]


def _follow_to(page: LivePage, revision: int) -> None:
    page.wait_until(lambda: page.revision >= revision)


def _body(message: str) -> Json:
    """The body of an event."""
    body: Json = json.loads(message.removeprefix("42/story,"))[1]
    return body


def main(port: int, connected: int, writing: int, seconds: float, seed: int) -> None:
    """Run a crowd against the server at `port` and print its figures."""
    crowd = Crowd(port, random.Random(seed))
    with ExitStack() as stack:
        crowd.gather(connected, writing, stack)
        crowd.write(seconds)
        lost, divergent = crowd.compare()
        acks = [wait for page in crowd.pages for wait in page.ack_seconds]
        edits = sum(len(letters) for letters in crowd.typed.values())
        written = [update for page in crowd.pages for update in page.updates if update["client"] == "model"]
        tokens = sum(len(update["tokens"]) for update in written)
    figures: Json = {"edits": edits, "chunks": len(written), "tokens": tokens, "lost": lost, "divergent": divergent}
    figures |= {"ack_ms": spread(acks), "crowd_late_ms": spread(crowd.late_seconds)}
    print(json.dumps(figures))  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
