"""A real engine process over a real loopback socket, which the tests start, use and end."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from generator.wire.frames import read_frame, write_frame
from generator.wire.messages import (
    EngineCommand,
    EngineEvent,
    Hello,
    ModelSpec,
    Piece,
    Premise,
    Ready,
    Set,
    decode,
    encode,
)
from generator.wire.sampling_params import SamplingParams

TOKEN = "one-time"
FAKE = ModelSpec("fake", "instant")
GREEDY = SamplingParams(temperature=0, repetition_penalty=1, dry_multiplier=0, min_p=0, seed=1)


class EngineProcess:
    """A running engine with a record of all events that the test has read."""

    def __init__(self, sock: socket.socket, process: subprocess.Popen[bytes]) -> None:
        self.socket = sock
        self.process = process
        self.seen: list[EngineEvent] = []

    def send(self, *commands: EngineCommand) -> None:
        for command in commands:
            write_frame(self.socket, encode(command))

    def next(self) -> EngineEvent:
        event = decode(read_frame(self.socket))
        assert isinstance(event, EngineEvent)
        self.seen.append(event)
        return event

    def until(self, is_wanted: Callable[[EngineEvent], bool]) -> EngineEvent:
        while True:
            event = self.next()
            if is_wanted(event):
                return event

    def until_kind(self, kind: type[EngineEvent]) -> Any:
        return self.until(lambda event: isinstance(event, kind))


@contextmanager
def engine_process(**options: Any) -> Iterator[EngineProcess]:
    """Yield the process after its `Ready`. It imports the large libraries only if a model needs them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        process = subprocess.Popen(
            [sys.executable, "-m", "generator.engine"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        assert process.stdin is not None
        line = {"port": listener.getsockname()[1], "token": TOKEN, "libraries": False, "threads": 1, **options}
        process.stdin.write(json.dumps(line).encode() + b"\n")
        process.stdin.close()
        try:
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(60)
                engine = EngineProcess(sock, process)
                hello = engine.next()
                assert isinstance(hello, Hello)
                assert hello.token == TOKEN
                assert isinstance(engine.next(), Ready)
                yield engine
        finally:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


def a_set(
    text: str | tuple[Piece, ...] = "",
    *,
    sequence: str = "s",
    epoch: int = 1,
    owner: str = "o",
    model: ModelSpec = FAKE,
    premise: Premise | None = None,
    before: tuple[Piece, ...] = (),
    sampling: SamplingParams = GREEDY,
    attempt: int = 0,
    index: int = 0,
    run_tokens: int = 0,
    budget: int = 0,
) -> Set:
    pieces = (Piece(text),) if isinstance(text, str) else text
    return Set(sequence, epoch, owner, model, premise, before, pieces, sampling, attempt, index, run_tokens, budget)
