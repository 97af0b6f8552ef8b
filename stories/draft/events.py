"""Events: everything that can happen to a draft. The reducer answers each with a result.

Owns their fields. Times are seconds of one monotonic clock; revisions and offsets are the draft's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from stories.draft.state import DraftSettings, DraftState
from stories.text.update import Token, Update


@dataclass(frozen=True, slots=True)
class Edit:
    """A client's `updates`, made for `revision`. `over` is the log from that revision to the head."""

    connection: str
    client: str
    revision: int
    updates: tuple[Update, ...]
    over: tuple[Update, ...]
    now: float


@dataclass(frozen=True, slots=True)
class Start:
    """Start a run, or set the limit of the present one. `limit` is in tokens; None means without end."""

    limit: int | None
    seed: int
    now: float


@dataclass(frozen=True, slots=True)
class Pause:
    """End the run."""


@dataclass(frozen=True, slots=True)
class Configure:
    """Replace the draft's settings."""

    settings: DraftSettings
    now: float


@dataclass(frozen=True, slots=True)
class Rewind:
    """Delete the text from `start` on; if `start` is None, delete the model's last stretch.

    `start` is an offset in the text before `over`. `kept` is the id of the sibling draft that keeps the text as it
    was. With `retry` the model then writes again.
    """

    start: int | None
    over: tuple[Update, ...]
    kept: str
    retry: bool
    seed: int
    now: float


@dataclass(frozen=True, slots=True)
class Hold:
    """A connection begins or goes on composing text with an input method, or ends it."""

    connection: str
    composing: bool
    now: float


@dataclass(frozen=True, slots=True)
class Viewed:
    """A connection opened the draft, or shows everything up to `revision`."""

    connection: str
    revision: int
    now: float


@dataclass(frozen=True, slots=True)
class Left:
    """A connection closed the draft."""

    connection: str
    now: float


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""

    now: float


@dataclass(frozen=True, slots=True)
class Wrote:
    """The model wrote `text` at the end, for `epoch`."""

    epoch: int
    text: str
    tokens: tuple[Token, ...]
    tokenizer: str

    def joined(self, later: Wrote) -> Wrote:
        """Return this text and the `later` text of the same epoch as one event."""
        return replace(self, text=self.text + later.text, tokens=self.tokens + later.tokens)


@dataclass(frozen=True, slots=True)
class WindowMoved:
    """The model's window now begins `base` units after the start of the context that this epoch was sent."""

    epoch: int
    base: int


@dataclass(frozen=True, slots=True)
class RunStopped:
    """The engine ended the run of `epoch`. `outcome` is `ended` or `failed`; `reason` is a sentence."""

    epoch: int
    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EngineRestarted:
    """The engine lost its sequences: the context must be sent again, as a new epoch."""

    now: float


@dataclass(frozen=True, slots=True)
class ContextSent:
    """The present epoch's context was sent to the engine; it begins at offset `base`."""

    base: int


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """What followed `durable` could not be stored. `reason` is a sentence."""

    durable: DraftState
    reason: str


FromPages = Edit | Start | Pause | Configure | Rewind | Hold | Viewed | Left
FromEngine = Wrote | WindowMoved | RunStopped | EngineRestarted
FromServer = Tick | ContextSent | StoreFailed
DraftEvent = FromPages | FromEngine | FromServer
