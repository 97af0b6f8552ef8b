"""The engine's own loop in this process: drafts that write with one model, and the arrival time of each token.

Owns the clock readings and the commands to the engine. Knows nothing of how the figures are used.
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

from benchmarks.rig.models import ROOT, book
from generator.engine.loop import Loop
from generator.engine.networks.model_runner import ModelRunner
from generator.engine.networks.runner import LoadOptions
from generator.wire.messages import Budget, Chunk, Drop, EngineEvent, Failed, ModelSpec, Piece, Set
from generator.wire.sampling_params import SamplingParams

MODEL = ModelSpec("folder", "measured")
ENDLESS = 10**9


@dataclass(frozen=True, slots=True)
class Arrival:
    """`count` tokens of an epoch that arrived at `at` (seconds). `stolen` is the machine's steal time until then: the
    seconds for which the host gave its processors to other machines."""

    epoch: int
    at: float
    count: int
    stolen: float


class Engine:
    """An engine loop with one model. Drafts are named by numbers, which also seed their sampling."""

    def __init__(self, runner: ModelRunner) -> None:
        self.runner = runner
        self.written: dict[int, list[Arrival]] = defaultdict(list)
        self.failure = ""
        self._loop = Loop(LoadOptions(ROOT), self._publish)
        self._loop.models.add(MODEL, runner)
        text = runner.vocabulary.tokenize(book())
        self._tokens = list(zip(text.ids, text.lengths, strict=True))

    def extract(self, begin: int, count: int) -> Piece:
        """`count` tokens of the book, in the form in which the web process sends text written by a model."""
        tokens = self._tokens[begin : begin + count]
        ids, lengths = tuple(token[0] for token in tokens), tuple(token[1] for token in tokens)
        return Piece("." * sum(lengths), ids, lengths, self.runner.vocabulary.fingerprint)

    def set_context(self, draft: int, *pieces: Piece, epoch: int = 1, budget: int = ENDLESS, owner: str = "o") -> None:
        """Send `Set`: the draft's context and its token budget."""
        sampling = SamplingParams(seed=draft)
        self._loop.submit(Set(str(draft), epoch, owner, MODEL, None, (), pieces, sampling, 0, 0, 0, budget))

    def set_budget(self, draft: int, epoch: int, budget: int) -> None:
        """Send `Budget`: the number of tokens that the epoch may generate in all."""
        self._loop.submit(Budget(str(draft), epoch, budget))

    def drop(self, draft: int) -> None:
        self._loop.submit(Drop(str(draft)))

    def count(self, draft: int) -> int:
        """The number of tokens that the draft has written."""
        return sum(arrival.count for arrival in self.written[draft])

    def run(self, is_over: Callable[[], bool]) -> None:
        """Run steps on this thread until `is_over()` or until the engine has nothing to do."""
        wait: float | None = 0.0
        while wait == 0 and not is_over():
            self._loop.drain(0)
            wait = self._loop.step()
        assert not self.failure, self.failure

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the loop on a thread of its own, as the program does, until the block ends."""
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
            arrival = Arrival(event.epoch, time.perf_counter(), len(event.tokens), steal_seconds())
            self.written[int(event.sequence)].append(arrival)
        elif isinstance(event, Failed):
            self.failure = event.message


def steal_seconds() -> float:
    """The machine's steal time so far; zero where the system does not report it."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


def gaps(written: list[Arrival]) -> list[float]:
    """Seconds from each token to the next. Tokens that arrive together, because only the last one completes a
    character, share the time equally."""
    return [gap for gap, _ in gaps_with_steal(written)]


def gaps_with_steal(written: list[Arrival]) -> list[tuple[float, bool]]:
    """The gaps, each with whether steal time grew during it. The system counts steal time in hundredths of a
    second."""
    found: list[tuple[float, bool]] = []
    for before, now in pairwise(written):
        if before.epoch == now.epoch:
            found += [((now.at - before.at) / now.count, now.stolen > before.stolen)] * now.count
    return found


def quantile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
