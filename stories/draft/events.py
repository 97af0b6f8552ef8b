"""Events: everything that can happen to a draft. The reducer answers each with a step.

Owns their fields. Times are seconds of one monotonic clock; revisions and offsets are the draft's.
"""

from __future__ import annotations

from dataclasses import dataclass

from stories.draft.state import DraftSettings
from stories.text.update import Token, Update


@dataclass(frozen=True, slots=True)
class Edit:
    """`over` is the log from `revision` to the head; `updates` are the client's, in its own coordinates."""

    connection: str
    client: str
    revision: int
    updates: tuple[Update, ...]
    over: tuple[Update, ...]
    now: float


@dataclass(frozen=True, slots=True)
class Start:
    limit: int | None
    seed: int
    now: float


@dataclass(frozen=True, slots=True)
class Pause:
    pass


@dataclass(frozen=True, slots=True)
class Configure:
    settings: DraftSettings
    now: float


@dataclass(frozen=True, slots=True)
class Rewind:
    """Cuts from `start` (in coordinates of `over`'s beginning) or, without one, the model's last stretch.

    `kept` is the id of the sibling draft that keeps the text as it was. `retry` writes it anew.
    """

    start: int | None
    over: tuple[Update, ...]
    kept: str
    retry: bool
    seed: int
    now: float


@dataclass(frozen=True, slots=True)
class Hold:
    connection: str
    composing: bool
    now: float


@dataclass(frozen=True, slots=True)
class Viewed:
    """A connection opened the draft, or says that it shows everything up to `revision`."""

    connection: str
    revision: int
    now: float


@dataclass(frozen=True, slots=True)
class Left:
    connection: str
    now: float


@dataclass(frozen=True, slots=True)
class Tick:
    now: float


@dataclass(frozen=True, slots=True)
class Wrote:
    """The model wrote `text` at the end, for `epoch`."""

    epoch: int
    text: str
    tokens: tuple[Token, ...]
    tokenizer: str


@dataclass(frozen=True, slots=True)
class Moved:
    """The window's base is now `base` units after where this epoch's context began."""

    epoch: int
    base: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The run is over by the engine's word: `outcome` is `ended` or `failed`."""

    epoch: int
    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Resent:
    """The engine lost what it knew: the context must be sent again, as a new epoch."""

    now: float


DraftEvent = Resent | Edit | Start | Pause | Configure | Rewind | Hold | Viewed | Left | Tick | Wrote | Moved | Stopped
