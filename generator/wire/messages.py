"""Messages between the web process and the engine process: every command in, every event out.

Owns their fields and their JSON form. Imported by both processes, so it needs nothing but the standard
library. Knows nothing of sockets, drafts or tensors. Offsets and lengths are UTF-16 units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from generator.wire.json_codec import MalformedMessage as MalformedMessage
from generator.wire.json_codec import from_json, to_json
from generator.wire.sampling_params import SamplingParams


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which model: `source` is `folder`, `hub`, `bundled` or `fake`; `location` is a path, a hub id or a fake's name.

    `window` is the number of tokens the model sees, premise included; None takes the model's own
    limit, at most 1024.
    """

    source: str
    location: str
    window: int | None = None

    @property
    def key(self) -> str:
        return f"{self.source}:{self.location}:{self.window or ''}"


@dataclass(frozen=True, slots=True)
class Premise:
    """Prompt mode: `template` may hold the model's special tokens and `{prompt}`; `prompt` is plain text."""

    template: str
    prompt: str


TYPED = -1


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of context. `ids` are the tokens that a model wrote and nobody touched, and `TYPED` wherever there is
    other text; `lengths`, one per id, sum to the text. They hold only for the vocabulary named `tokenizer`.

    Without ids all of it is other text. Columns, since a context is sent at every keystroke: what somebody edited
    everywhere is made of hundreds of stretches.
    """

    text: str
    ids: tuple[int, ...] = ()
    lengths: tuple[int, ...] = ()
    tokenizer: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    kind: ClassVar[str] = "load"
    model: ModelSpec


@dataclass(frozen=True, slots=True)
class Unload:
    kind: ClassVar[str] = "unload"
    model: ModelSpec


@dataclass(frozen=True, slots=True)
class Set:
    """What a sequence's context is now. Idempotent: it serves start, edit, retry, hand-over and recovery.

    `pieces` run from the window's base to the end of the text, `before` are those that precede the base
    (a bounded stretch, from which the engine may move the base back when the text after it is short).
    `index` counts the model tokens that stand in the text; with `seed` and `attempt` it fixes the noise.
    `run_tokens` counts what the run made before this epoch (for `min_length`).
    `budget` is how many tokens this epoch may generate in all; at 0 the context is only prefilled.
    `sampling.seed` is never None here: the web process draws one for the run.
    """

    kind: ClassVar[str] = "set"
    sequence: str
    epoch: int
    owner: str
    model: ModelSpec
    premise: Premise | None
    before: tuple[Piece, ...]
    pieces: tuple[Piece, ...]
    sampling: SamplingParams
    attempt: int
    index: int
    run_tokens: int
    budget: int


@dataclass(frozen=True, slots=True)
class Budget:
    """How many tokens the epoch may generate in all, counted from its `Set`. 0 pauses. Stale epochs are ignored."""

    kind: ClassVar[str] = "budget"
    sequence: str
    epoch: int
    budget: int


@dataclass(frozen=True, slots=True)
class Drop:
    """The sequence is closed: forget it and its slot."""

    kind: ClassVar[str] = "drop"
    sequence: str


@dataclass(frozen=True, slots=True)
class Alternatives:
    """What else could stand at the token that covers unit `at` of `pieces` (or follow, where `at` is the end)."""

    kind: ClassVar[str] = "alternatives"
    request: str
    sequence: str
    model: ModelSpec
    premise: Premise | None
    before: tuple[Piece, ...]
    pieces: tuple[Piece, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Answered by `Pong` from the reader thread, even while a long step runs."""

    kind: ClassVar[str] = "ping"


EngineCommand = Load | Unload | Set | Budget | Drop | Alternatives | Ping


@dataclass(frozen=True, slots=True)
class Hello:
    """First frame of the engine: proves it is the child that was started."""

    kind: ClassVar[str] = "hello"
    token: str
    pid: int


@dataclass(frozen=True, slots=True)
class Ready:
    """Commands are served from now on, though a model may have to wait for its libraries."""

    kind: ClassVar[str] = "ready"
    threads: int


@dataclass(frozen=True, slots=True)
class Imported:
    """The libraries that models need are there. Until now the engine may have been silent for long."""

    kind: ClassVar[str] = "imported"
    device: str


@dataclass(frozen=True, slots=True)
class Pong:
    kind: ClassVar[str] = "pong"


@dataclass(frozen=True, slots=True)
class Status:
    """`state` is `loading`, `ready`, `failed` or `unloaded`; `progress` 0 to 1; `reason` a sentence for the user."""

    kind: ClassVar[str] = "status"
    model: ModelSpec
    state: str
    progress: float = 0.0
    reason: str = ""
    window: int = 0
    precision: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """New text at the end of the sequence. `tokens` are `(id, length, logprob)` and sum to the text."""

    kind: ClassVar[str] = "chunk"
    sequence: str
    epoch: int
    text: str
    tokens: tuple[tuple[int, int, float], ...]
    tokenizer: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The model chose to end the text (only with `stop_at_end`)."""

    kind: ClassVar[str] = "ended"
    sequence: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Rolled:
    """The window's base moved: `base` counts from the start of the `pieces` of this epoch's `Set`,
    negative into `before`."""

    kind: ClassVar[str] = "rolled"
    sequence: str
    epoch: int
    base: int


@dataclass(frozen=True, slots=True)
class Failed:
    """This sequence cannot go on. `code`: `model_unavailable`, `too_large` (premise) or `engine`."""

    kind: ClassVar[str] = "failed"
    sequence: str
    epoch: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class AlternativesReady:
    """`options` are `(text, probability)` by falling probability; the range is the present token's, relative
    to `pieces`. `error` is empty, or a sentence; then there are no options."""

    kind: ClassVar[str] = "alternatives_ready"
    request: str
    start: int
    end: int
    options: tuple[tuple[str, float], ...]
    error: str = ""


EngineEvent = Hello | Ready | Imported | Pong | Status | Chunk | Ended | Rolled | Failed | AlternativesReady


_MESSAGES: Mapping[str, type] = {
    message.kind: message
    for message in (
        *(Load, Unload, Set, Budget, Drop, Alternatives, Ping),
        *(Hello, Ready, Imported, Pong, Status, Chunk, Ended, Rolled, Failed, AlternativesReady),
    )
}


def encode(message: EngineCommand | EngineEvent) -> dict[str, Any]:
    """The message as JSON data, with its `kind`."""
    return {"kind": message.kind, **to_json(message)}


def decode(data: object) -> EngineCommand | EngineEvent:
    """The inverse of `encode`. Raises MalformedMessage for anything else."""
    given = dict(data) if isinstance(data, dict) else {}
    kind = given.pop("kind", None)
    if not isinstance(kind, str) or kind not in _MESSAGES:
        raise MalformedMessage("not a message of this protocol")
    message: EngineCommand | EngineEvent = from_json(_MESSAGES[kind], given)
    return message
