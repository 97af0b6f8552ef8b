"""Messages: the commands that the web process sends to the engine process, and the events that the engine returns.

Owns the fields and the JSON form of each message. Offsets and lengths are UTF-16 units. Both processes import this
module, so it needs only the standard library and `stories.errors`. Knows nothing of sockets, drafts or tensors.
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
    """The identity of a model.

    `source` is `folder`, `hub`, `bundled` or `fake`. `location` is a path, a hub id or the name of a fake model.
    `window` is the number of tokens that the model sees, including the premise. None means the model's own limit, at
    most 1024.
    """

    source: str
    location: str
    window: int | None = None

    @property
    def key(self) -> str:
        """A string that is equal for equal models."""
        return f"{self.source}:{self.location}:{self.window or ''}"


@dataclass(frozen=True, slots=True)
class Premise:
    """The writing prompt of a draft in prompt mode.

    `template` may contain the model's special tokens and `{prompt}`. `prompt` is plain text.
    """

    template: str
    prompt: str


TYPED = -1
"""The id in `Piece.ids` that marks text without tokens of a model."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the context.

    `ids` are the tokens that a model wrote and that no edit has touched, with one `TYPED` for each stretch of other
    text. `lengths` has one entry per id, and the entries sum to the length of the text. The ids are valid only for the
    vocabulary whose fingerprint is `tokenizer`. Without ids the whole text is typed text.

    The ids and lengths are two columns, not a list of stretches: a context is sent at every keystroke, and a text with
    many edits has hundreds of stretches.
    """

    text: str
    ids: tuple[int, ...] = ()
    lengths: tuple[int, ...] = ()
    tokenizer: str = ""


@dataclass(frozen=True, slots=True)
class Set:
    """The complete new context of a sequence. Idempotent, so that it serves start, edit, retry and recovery alike.

    `pieces` is the text from the window's base to its end. `before` is a bounded part of the text before the base. The
    engine may move the base back into `before` when the text after the base is short. `index` is the number of model
    tokens in the text; together with `seed` and `attempt` it determines the sampling noise. `run_tokens` is the number
    of tokens that the run generated before this epoch, for `min_length`. `budget` is the number of tokens that this
    epoch may generate in all; with 0 the context is only prefilled. `sampling.seed` is never None here, because the
    web process draws a seed for each run.
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
    """The number of tokens that the epoch may generate in all, counted from its `Set`.

    0 pauses the sequence. The engine ignores a budget of another epoch.
    """

    kind: ClassVar[str] = "budget"
    sequence: str
    epoch: int
    budget: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the sequence and free its slot."""

    kind: ClassVar[str] = "drop"
    sequence: str


@dataclass(frozen=True, slots=True)
class Alternatives:
    """A question for the alternatives to the token that covers unit `at` of `pieces`.

    If `at` is the end of the text, the question is for the next token.
    """

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
    """A liveness check. The engine's reader thread answers with `Pong`, even during a long step."""

    kind: ClassVar[str] = "ping"


EngineCommand = Set | Budget | Drop | Alternatives | Ping


@dataclass(frozen=True, slots=True)
class Hello:
    """The engine's first frame. The one-time token proves that the web process started this engine."""

    kind: ClassVar[str] = "hello"
    token: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The engine serves commands from now on. A model may still have to wait for the import of its libraries."""

    kind: ClassVar[str] = "ready"
    threads: int


@dataclass(frozen=True, slots=True)
class Imported:
    """The engine has imported the libraries of the models. Before this event it may have been silent for seconds."""

    kind: ClassVar[str] = "imported"
    device: str


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to `Ping`."""

    kind: ClassVar[str] = "pong"


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a model: `loading`, `ready`, `failed` or `unloaded`.

    `progress` is from 0 to 1. `reason` is a sentence for the user if the load failed.
    """

    kind: ClassVar[str] = "status"
    model: ModelSpec
    state: str
    progress: float = 0.0
    reason: str = ""
    precision: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """New text at the end of the sequence. `tokens` are `(id, length, logprob)`; the lengths sum to the text's."""

    kind: ClassVar[str] = "chunk"
    sequence: str
    epoch: int
    text: str
    tokens: tuple[tuple[int, int, float], ...]
    tokenizer: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The model ended the text, which is possible only with `stop_at_end`."""

    kind: ClassVar[str] = "ended"
    sequence: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Rolled:
    """The window's base moved.

    `base` counts from the start of the `pieces` in this epoch's `Set`. A negative base is in `before`.
    """

    kind: ClassVar[str] = "rolled"
    sequence: str
    epoch: int
    base: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The sequence has stopped until its next `Set`. `message` is a sentence for the user."""

    kind: ClassVar[str] = "failed"
    sequence: str
    epoch: int
    message: str


@dataclass(frozen=True, slots=True)
class AlternativesReady:
    """The answer to `Alternatives`.

    `options` are `(text, probability)` in descending order of probability. `start` and `end` are the range of the
    present token in `pieces`. A failed question has an `error`, which is a sentence for the user, and no options.
    """

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
        *(Set, Budget, Drop, Alternatives, Ping),
        *(Hello, Ready, Imported, Pong, Status, Chunk, Ended, Rolled, Failed, AlternativesReady),
    )
}


def encode(message: EngineCommand | EngineEvent) -> dict[str, Any]:
    """Return the message as JSON data, with its `kind`."""
    return {"kind": message.kind, **to_json(message)}


def decode(data: object) -> EngineCommand | EngineEvent:
    """Return the message that `encode` turned into `data`. Raise MalformedMessage for any other data."""
    given = dict(data) if isinstance(data, dict) else {}
    kind = given.pop("kind", None)
    if not isinstance(kind, str) or kind not in _MESSAGES:
        raise MalformedMessage("The data has no kind of this protocol.")
    message: EngineCommand | EngineEvent = from_json(_MESSAGES[kind], given)
    return message
