"""Typist: a person who types letters on a page until a test stops them, and waiting with patience.

Every letter is typed once and by one typist only, so that a test can look for each. Knows nothing of faults.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from tests.rig.stubborn_page import StubbornPage

FIRST_LETTER, LETTERS = 0x4E00, 10_000  # letters that no model writes
PATIENCE_SECONDS = 90.0
MOST_UNSENT = 60


class Typist(threading.Thread):
    """Types `LETTERS` letters from `first` on at random places, or until `stop`.

    Waits while many edits are unsent, since each letter then costs this process more than the server.
    """

    def __init__(self, page: StubbornPage, first: int, seed: str) -> None:
        super().__init__(daemon=True)
        self.page, self.typed = page, ""
        self._first, self._random = first, random.Random(seed)
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(self._random.random() * 0.2):
            if len(self.page.unconfirmed) > MOST_UNSENT or len(self.typed) == LETTERS:
                continue
            letter = chr(self._first + len(self.typed))
            at = self._random.choice([None, self._random.randrange(len(self.page.text) + 1)])
            self.page.type(letter, at=at)
            self.typed += letter  # only now: a typed letter that the page does not hold counts as confirmed

    def stop(self) -> None:
        """Stop typing and wait for the thread's end."""
        self._stopped.set()
        self.join()


def nap(seconds: float) -> None:
    """Sleep for `seconds`."""
    threading.Event().wait(seconds)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        nap(0.02)
