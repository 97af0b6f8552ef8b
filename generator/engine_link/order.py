"""Order: the commands that bring the engine from what it was told last to a draft's present state.

Owns the difference between the two, so that start, edit, retry, a change of model and recovery are one path, and the
choice of the text that is sent as the context. Pure. Knows nothing of the document's rules, of tokenizers or of windows
in tokens: it reckons with `UNITS_PER_TOKEN`, more than any text needs on average.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from generator.models.menu import MenuEntry
from generator.wire.messages import TYPED, Budget, EngineCommand, ModelSpec, Piece, Premise, Set
from generator.wire.sampling_params import SamplingParams
from stories.draft.state import DraftState
from stories.text.span import Span
from stories.text.utf16 import splits_pair

AMPLE_TOKENS = 256  # while the engine may generate this many more, a larger budget can wait
UNITS_PER_TOKEN = 8
DEFAULT_WINDOW = 1024
# The engine moves the base back where less than half a window follows it, and then fills five eighths of the window
# (`build_window`). This part is sent, with a margin.
FILLED = 0.7
# Units before the base that are always sent: they also tell the engine that a base was chosen.
MIN_UNITS_BEFORE = 256


@dataclass(frozen=True, slots=True)
class SequenceName:
    """A draft as the engine knows it. `mode` is `continue` or `prompt`."""

    draft: str
    owner: str
    mode: str


@dataclass(frozen=True, slots=True)
class WritingModel:
    """The model that is to write, and its sampling parameters."""

    entry: MenuEntry
    sampling: SamplingParams


@dataclass(frozen=True, slots=True)
class Sent:
    """What the engine was told last: an epoch, its budget, and its model."""

    epoch: int
    budget: int
    model: ModelSpec


@dataclass(frozen=True, slots=True)
class Order:
    """The `commands`, what the engine has been told after them, and where the sent context begins.

    `base` is None when no context is sent.
    """

    commands: tuple[EngineCommand, ...]
    sent: Sent | None
    base: int | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """`pieces` run from `base` to the end of the text; `before` ends at `base`."""

    base: int
    before: tuple[Piece, ...]
    pieces: tuple[Piece, ...]


def needs_context(sent: Sent | None, state: DraftState) -> bool:
    """Whether the engine must be sent the draft's context, which takes the model."""
    return state.is_writing and (sent is None or sent.epoch != state.epoch)


def order(sent: Sent | None, state: DraftState, name: SequenceName, model: WritingModel | None) -> Order:
    """Return the commands that bring the engine from `sent` to `state`."""
    if not state.is_writing:
        return Order((Budget(name.draft, sent.epoch, 0),) if sent else (), None)
    if sent is None or needs_context(sent, state):
        assert model is not None, "A context needs a model."
        return _context_order(state, name, model)
    # Every page says what it has seen, and each time there is a little more to grant.
    is_ample = state.granted > sent.budget > state.made + AMPLE_TOKENS
    if sent.budget == state.granted or is_ample:
        return Order((), sent)
    return Order((Budget(name.draft, state.epoch, state.granted),), replace(sent, budget=state.granted))


def _context_order(state: DraftState, name: SequenceName, model: WritingModel) -> Order:
    spec, sampling = model.entry.spec, model.sampling
    context = context_of(state, reachable_base(state, spec.window), spec.window)
    if sampling.seed is None:
        sampling = replace(sampling, seed=state.run.seed if state.run else 0)
    command = Set(
        sequence=name.draft,
        epoch=state.epoch,
        owner=name.owner,
        model=spec,
        premise=premise_of(state, name.mode, model.entry),
        before=context.before,
        pieces=context.pieces,
        sampling=sampling,
        attempt=state.attempt,
        index=state.spans.model_tokens,
        run_tokens=state.run.tokens if state.run else 0,
        budget=state.granted,
    )
    return Order((command,), Sent(state.epoch, state.granted, spec), context.base)


def premise_of(state: DraftState, mode: str, entry: MenuEntry) -> Premise | None:
    """Return the writing prompt in the entry's template; None in continue mode."""
    if mode != "prompt" or entry.template is None:
        return None
    return Premise(entry.template, state.settings.premise or "")


def reachable_base(state: DraftState, window: int | None) -> int:
    """Return the window's base, moved forward where the text after it would be too long to send.

    So a context is bounded whatever the length of the text. `window` is in tokens.
    """
    reach = UNITS_PER_TOKEN * (window or DEFAULT_WINDOW)
    nearest = len(state.text) - reach
    return state.base if state.base >= nearest else _word_start(state.text, nearest)


def context_of(state: DraftState, base: int, window: int | None, whole: bool = False) -> Context:
    """Return the context from `base` on, and as much text before it as the engine may need to fill the window.

    With `whole`, as much as could ever fall into the window.
    """
    end, size = len(state.text), window or DEFAULT_WINDOW
    start = end - UNITS_PER_TOKEN * size
    if not whole:
        start = max(start, min(end - int(UNITS_PER_TOKEN * FILLED * size), base - MIN_UNITS_BEFORE))
    start = min(base, _word_start(state.text, start))
    return Context(base, _pieces(state, start, base), _pieces(state, base, end))


def _word_start(text: str, at: int) -> int:
    """The next place from `at` on where a word begins, or `at` itself; never inside a character."""
    if at <= 0:
        return 0
    space = text.find(" ", at, at + 100)
    if space >= 0:
        return space
    return at + 1 if splits_pair(text, at) else at


def _pieces(state: DraftState, start: int, end: int) -> tuple[Piece, ...]:
    """The text between two offsets, in pieces of one vocabulary each."""
    pieces, at = list[Piece](), start
    columns = _Columns()
    for span in state.spans.slice(start, end):
        if not columns.take(span):
            pieces.append(columns.piece(state.text, at))
            at += columns.length
            columns = _Columns()
            columns.take(span)
    if columns.ids:
        pieces.append(columns.piece(state.text, at))
    return tuple(pieces)


class _Columns:
    """The tokens of neighbouring spans, with an entry `TYPED` for each stretch of text without tokens."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self._lengths: list[int] = []
        self._tokenizer = ""

    @property
    def length(self) -> int:
        return sum(self._lengths)

    def take(self, span: Span) -> bool:
        """Add the span. Returns False where its tokens are of another vocabulary."""
        if not span.ids:
            if self.ids and self.ids[-1] == TYPED:
                self._lengths[-1] += span.length
            else:
                self.ids.append(TYPED)
                self._lengths.append(span.length)
            return True
        if self._tokenizer not in ("", span.tokenizer):
            return False
        self._tokenizer = span.tokenizer
        self.ids += span.ids
        self._lengths += span.lengths
        return True

    def piece(self, text: str, start: int) -> Piece:
        text = text[start : start + self.length]
        return Piece(text, tuple(self.ids), tuple(self._lengths), self._tokenizer) if self._tokenizer else Piece(text)
