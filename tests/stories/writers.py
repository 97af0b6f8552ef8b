"""Writers: a simulated page and a simulated server around the reducer, for its tests.

`Page` is CodeMirror's collab client in a few lines, with lag, lost acknowledgements and repeated pushes. `Authority`
is the reducer with its log, driven as a live draft drives it. Every character that a page types is unique in a test,
and models write lower-case words, so that a test can tell them apart. Knows nothing of sockets or threads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from stories.draft.events import DraftEvent, Edit, Start, Tick, Wrote
from stories.draft.reducer import reduce
from stories.draft.result import Result
from stories.draft.state import DraftSettings, DraftState
from stories.text.changes import ChangeSet
from stories.text.span_list import SpanList
from stories.text.update import USER, Token, Update


def new_state(text: str = "") -> DraftState:
    return DraftState("draft", 0, text, SpanList.of(len(text), USER), DraftSettings("GPT-2 small", {}, None))


class Authority:
    """The server's copy of one draft: its state, its log and a clock that a test sets."""

    def __init__(self, text: str = "") -> None:
        self.first = text
        self.state = new_state(text)
        self.log: list[Update] = []
        self.now = 0.0

    def take(self, event: DraftEvent) -> Result:
        """Reduce an event."""
        result = reduce(self.state, event)
        assert result.state.revision == self.state.revision + len(result.updates)
        self.state = result.state
        self.log.extend(result.updates)
        return result

    def start(self, limit: int | None = None) -> None:
        self.take(Start(limit, seed=1, now=self.now))

    def write(self, text: str, epoch: int | None = None) -> Result:
        tokens = tuple(Token(1 + index, 1, -0.5) for index in range(len(text)))
        return self.take(Wrote(self.state.epoch if epoch is None else epoch, text, tokens, "t"))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.take(Tick(self.now))

    def push(self, revision: int, client: str, updates: tuple[Update, ...]) -> Result:
        over = tuple(self.log[revision:])
        return self.take(Edit(f"connection of {client}", client, revision, updates, over, self.now))

    def folded(self) -> str:
        """The text that the log leads to."""
        text = self.first
        for update in self.log:
            text = update.changes.apply(text)
        return text


@dataclass
class Page:
    """A page of one person. Text that it types or deletes is recorded in `typed` and `deleted`."""

    authority: Authority
    client: str
    revision: int = 0
    text: str = ""
    unconfirmed: list[Update] = field(default_factory=list)
    in_flight: tuple[int, tuple[Update, ...]] | None = None
    letters: count[int] = field(default_factory=lambda: count(0x4E00))
    typed: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.text = self.authority.first

    def type(self, at: int, amount: int = 1) -> str:
        written = "".join(chr(next(self.letters)) for _ in range(amount))
        self.typed |= set(written)
        self._change(ChangeSet.insert(len(self.text), at, written))
        return written

    def delete(self, start: int, end: int) -> None:
        self.deleted |= set(self.text[start:end])
        self._change(ChangeSet.delete(len(self.text), start, end))

    def _change(self, changes: ChangeSet) -> None:
        self.text = changes.apply(self.text)
        self.unconfirmed.append(Update(self.client, USER, changes))

    def send(self) -> None:
        """Send the unconfirmed updates. They are under way until `arrive`."""
        if self.in_flight is None and self.unconfirmed:
            self.in_flight = (self.revision, tuple(self.unconfirmed))

    def arrive(self, ack_is_lost: bool = False) -> None:
        """Deliver the push. If its acknowledgement is lost, the same push arrives again at the next call."""
        if self.in_flight:
            revision, updates = self.in_flight
            self.authority.push(revision, self.client, updates)
            if not ack_is_lost:
                self.in_flight = None

    def receive(self, at_most: int | None = None) -> None:
        """Apply the updates that this page has not received yet, at most `at_most` of them."""
        missing = self.authority.log[self.revision :]
        for update in missing[:at_most]:
            self._receive(update)

    def _receive(self, update: Update) -> None:
        self.revision += 1
        if update.client == self.client:
            self.unconfirmed.pop(0)
            return
        changes, rebased = update.changes, list[Update]()
        for own in self.unconfirmed:
            rebased.append(Update(own.client, own.author, own.changes.map(changes)))
            changes = changes.map(own.changes, before=True)
        self.unconfirmed, self.text = rebased, changes.apply(self.text)

    def settle(self) -> None:
        """Exchange everything, so that page and server have the same text."""
        self.arrive()
        self.receive()
        self.send()
        self.arrive()
        self.receive()
