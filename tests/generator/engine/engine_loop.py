"""The engine's loop in this process, stepped by hand, with one model; and an oracle that reuses nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from pathlib import Path

import numpy as np

from generator.engine.loop import Loop
from generator.engine.networks.runner import BatchItem, LoadOptions, Runner
from generator.engine.sampling.arrays import Floats
from generator.wire.messages import Chunk, EngineCommand, EngineEvent, ModelSpec, Piece, Rolled, Set

MODEL = ModelSpec("folder", "under test")


class SteppedEngine:
    def __init__(self, runner: Runner, clock: Callable[[], float] = time.monotonic) -> None:
        self.events: list[EngineEvent] = []
        self.loop = Loop(LoadOptions(Path()), self.events.append, clock)
        self.model = self.loop.models.add(MODEL, runner)
        self.events.clear()

    def send(self, *commands: EngineCommand) -> None:
        for command in commands:
            self.loop.submit(command)

    def step(self) -> bool:
        """Whether there was anything to do."""
        self.loop.drain(0)
        return self.loop.step() == 0

    def run(self, *commands: EngineCommand) -> None:
        """Until there is nothing to do."""
        self.send(*commands)
        for _ in range(5000):
            if not self.step():
                return
        raise AssertionError("the engine never comes to rest")

    def chunks(self, sequence: str = "s", epoch: int | None = None) -> list[Chunk]:
        return [
            event
            for event in self.events
            if isinstance(event, Chunk) and event.sequence == sequence and epoch in (None, event.epoch)
        ]

    def text(self, sequence: str = "s", epoch: int | None = None) -> str:
        return "".join(chunk.text for chunk in self.chunks(sequence, epoch))

    def ids(self, sequence: str = "s", epoch: int | None = None) -> list[int]:
        return [token[0] for chunk in self.chunks(sequence, epoch) for token in chunk.tokens]

    def bases(self, sequence: str = "s") -> list[int]:
        return [event.base for event in self.events if isinstance(event, Rolled) and event.sequence == sequence]


class Oracle:
    """What a model says of a context when everything is computed anew, in a slot of its own."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def logits(self, token_ids: AnySequence[int]) -> Floats:
        logits: Floats = self._runner.forward([BatchItem(0, token_ids, 0, True)], lambda: False)[0]
        return logits

    def assert_greedy(self, token_ids: AnySequence[int], chosen: int) -> None:
        """`chosen` is the best allowed token after `token_ids`, but for ties that rounding decides."""
        logits = np.where(self._runner.vocabulary.blocked, -np.inf, self.logits(token_ids))
        assert logits[chosen] >= logits.max() - 1e-4


def written_piece(chunks: AnySequence[Chunk]) -> Piece:
    """The chunks' text as the piece the web process would send."""
    return Piece(
        "".join(chunk.text for chunk in chunks),
        tuple(token[0] for chunk in chunks for token in chunk.tokens),
        tuple(token[1] for chunk in chunks for token in chunk.tokens),
        chunks[0].tokenizer if chunks else "",
    )


def same_again(command: Set, sequence: str) -> Set:
    return Set(**{name: getattr(command, name) for name in command.__slots__ if name != "sequence"}, sequence=sequence)
