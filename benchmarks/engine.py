"""The engine's own loop in this process, over one model: drafts that write, and when each of their tokens came.

Owns the clock readings and what drafts are told. Knows nothing of what is made of the figures.
"""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import psutil

from benchmarks.models import ROOT, book
from generator.engine.loop import Loop
from generator.engine.networks.model_runner import ModelRunner
from generator.engine.networks.runner import LoadOptions
from generator.wire.messages import Budget, Chunk, Drop, EngineEvent, Failed, ModelSpec, Piece, Set
from generator.wire.sampling_params import SamplingParams

MODEL = ModelSpec("folder", "measured")
ENDLESS = 10**9


@dataclass(frozen=True, slots=True)
class Written:
    """So many tokens of an epoch came at `at` (seconds); until then a host had given `stolen` seconds of this machine's
    processors to others."""

    epoch: int
    at: float
    count: int
    stolen: float


class Engine:
    def __init__(self, runner: ModelRunner) -> None:
        self.runner = runner
        self.written: dict[int, list[Written]] = defaultdict(list)
        self.failure = ""
        self._loop = Loop(LoadOptions(ROOT), self._publish)
        self._loop.models.add(MODEL, runner)
        text = runner.vocabulary.tokenize(book())
        self._tokens = list(zip(text.ids, text.lengths, strict=True))

    def extract(self, begin: int, count: int) -> Piece:
        """So many of the book's tokens, as the web process would send text that a model wrote."""
        tokens = self._tokens[begin : begin + count]
        ids, lengths = tuple(token[0] for token in tokens), tuple(token[1] for token in tokens)
        return Piece("." * sum(lengths), ids, lengths, self.runner.vocabulary.fingerprint)

    def tell(self, draft: int, *pieces: Piece, epoch: int = 1, budget: int = ENDLESS, owner: str = "o") -> None:
        sampling = SamplingParams(seed=draft)
        self._loop.submit(Set(str(draft), epoch, owner, MODEL, None, (), pieces, sampling, 0, 0, 0, budget))

    def allow(self, draft: int, epoch: int, budget: int) -> None:
        self._loop.submit(Budget(str(draft), epoch, budget))

    def drop(self, draft: int) -> None:
        self._loop.submit(Drop(str(draft)))

    def count(self, draft: int) -> int:
        return sum(written.count for written in self.written[draft])

    def run(self, is_over: Callable[[], bool]) -> None:
        """Steps on this thread until then, or until there is nothing to do."""
        wait: float | None = 0.0
        while wait == 0 and not is_over():
            self._loop.drain(0)
            wait = self._loop.step()
        assert not self.failure, self.failure

    @contextmanager
    def running(self) -> Iterator[None]:
        """The loop on a thread of its own, as in the program, until the block ends."""
        is_over = threading.Event()

        def run() -> None:
            wait: float | None = 0.0
            while not is_over.is_set():
                self._loop.drain(0.05 if wait is None else min(wait, 0.05))
                wait = self._loop.step()

        thread = threading.Thread(target=run, name="engine")
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
        assert not self.failure, self.failure

    def _publish(self, event: EngineEvent) -> None:
        if isinstance(event, Chunk):
            self.written[int(event.sequence)].append(
                Written(event.epoch, time.perf_counter(), len(event.tokens), stolen())
            )
        elif isinstance(event, Failed):
            self.failure = event.message


def stolen() -> float:
    """Zero where nobody can tell."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


def gaps(written: list[Written]) -> list[float]:
    """Seconds from one token to the next. Tokens that come together, since only the last completes a character, share
    the time it took."""
    return [gap for gap, _ in gaps_and_thefts(written)]


def gaps_and_thefts(written: list[Written]) -> list[tuple[float, bool]]:
    """And whether the machine's host was seen to take processors away meanwhile, which it counts in hundredths of a
    second."""
    found: list[tuple[float, bool]] = []
    for before, now in pairwise(written):
        if before.epoch == now.epoch:
            found += [((now.at - before.at) / now.count, now.stolen > before.stolen)] * now.count
    return found


def quantile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
