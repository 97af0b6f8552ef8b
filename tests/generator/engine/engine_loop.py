"""Test doubles: the engine's loop in the test process, stepped by the test, and an oracle that reuses nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from pathlib import Path

import numpy as np

from generator.engine.loop import Loop
from generator.engine.networks.runner import BatchItem, LoadOptions, Runner
from generator.engine.sampling.arrays import Floats
from generator.wire.messages import Chunk, EngineCommand, EngineEvent, ModelSpec, Piece, Rolled

MODEL = ModelSpec("folder", "under test")


class SteppedEngine:
    """A loop with one model and a record of its events."""

    def __init__(self, runner: Runner, clock: Callable[[], float] = time.monotonic) -> None:
        self.events: list[EngineEvent] = []
        self.loop = Loop(LoadOptions(Path()), self.events.append, clock)
        self.model = self.loop.models.add(MODEL, runner)
        self.events.clear()

    def send(self, *commands: EngineCommand) -> None:
        for command in commands:
            self.loop.submit(command)

    def step(self) -> bool:
        """Apply the commands and run one step. Return whether it computed anything."""
        self.loop.drain(0)
        return self.loop.step() == 0

    def run(self, *commands: EngineCommand) -> None:
        """Send the commands and run steps until nothing is pending."""
        self.send(*commands)
        for _ in range(5000):
            if not self.step():
                return
        raise AssertionError("The engine still computes after 5000 steps.")

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
    """A model that computes each context from scratch, in its own slot."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def logits(self, token_ids: AnySequence[int]) -> Floats:
        logits: Floats = self._runner.forward([BatchItem(0, token_ids, 0, True)], lambda: False)[0]
        return logits

    def assert_greedy(self, token_ids: AnySequence[int], chosen: int) -> None:
        """Assert that `chosen` is the best allowed token after `token_ids`, apart from ties within rounding errors."""
        logits = np.where(self._runner.vocabulary.blocked, -np.inf, self.logits(token_ids))
        assert logits[chosen] >= logits.max() - 1e-4


def written_piece(chunks: AnySequence[Chunk]) -> Piece:
    """Return the chunks' text as the piece that the web process sends."""
    return Piece(
        "".join(chunk.text for chunk in chunks),
        tuple(token[0] for chunk in chunks for token in chunk.tokens),
        tuple(token[1] for chunk in chunks for token in chunk.tokens),
        chunks[0].tokenizer if chunks else "",
    )
