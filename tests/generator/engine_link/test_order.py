"""Orders: the commands bring the engine from what it was told last to the draft's present state."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from generator.engine_link.order import AMPLE_TOKENS, Sent, SequenceName, WritingModel, order
from generator.models.menu import MenuEntry
from generator.wire.messages import Budget, ModelSpec, Premise, Set
from generator.wire.sampling_params import SamplingParams
from stories.draft.state import DraftSettings, DraftState, Run
from tests.stories.writers import new_state

NAME = SequenceName("draft", "me", "continue")
ENTRY = MenuEntry("Fake", "fake:instant", "continue", ModelSpec("fake", "instant"), None)
MODEL = WritingModel(ENTRY, SamplingParams())


def state_with(run: bool, epoch: int, made: int, allowed: int) -> DraftState:
    granted = made + allowed if run else 0
    return replace(new_state("Once"), run=Run(None, 0, 7) if run else None, epoch=epoch, made=made, granted=granted)


class EngineModel:
    """What an engine knows after commands: the epoch and the budget of the sequence, and how often it was told."""

    def __init__(self) -> None:
        self.epoch, self.budget = -1, 0
        self.num_commands = 0

    def obey(self, commands: tuple[object, ...]) -> None:
        for command in commands:
            self.num_commands += 1
            if isinstance(command, Set):
                self.epoch, self.budget = command.epoch, command.budget
            elif isinstance(command, Budget) and command.epoch == self.epoch:
                self.budget = command.budget


STATES = st.lists(
    st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 600), st.integers(0, 512)), min_size=1, max_size=12
)


@given(STATES)
def test_after_each_order_the_engine_does_what_the_state_says(course: list[tuple[bool, int, int, int]]) -> None:
    sent: Sent | None = None
    engine = EngineModel()
    for run, epoch, made, allowed in course:
        state = state_with(run, epoch, made, allowed)
        result = order(sent, state, NAME, MODEL)
        engine.obey(result.commands)
        again = order(result.sent, state, NAME, MODEL)
        assert again.commands == (), "nothing is sent twice"
        if not run:
            assert engine.budget == 0
            assert result.sent is None
        else:
            assert engine.epoch == epoch
            is_ample = state.granted > engine.budget > made + AMPLE_TOKENS
            assert engine.budget == state.granted or is_ample
        sent = result.sent


def test_a_context_carries_the_runs_seed_and_says_where_it_begins() -> None:
    state = state_with(True, 1, 0, 100)
    result = order(None, state, NAME, MODEL)
    (command,) = result.commands
    assert isinstance(command, Set)
    assert (command.sampling.seed, command.budget, command.premise) == (7, 100, None)
    assert result.base == 0
    (command,) = order(None, state, NAME, WritingModel(ENTRY, SamplingParams(seed=3))).commands
    assert isinstance(command, Set)
    assert command.sampling.seed == 3


def test_the_premise_goes_with_every_context_in_prompt_mode() -> None:
    state = replace(state_with(True, 1, 0, 9), settings=DraftSettings("Fake", {}, "A dragon"))
    entry = replace(ENTRY, mode="prompt", template="[WP] {prompt} [RESPONSE] ")
    (command,) = order(None, state, replace(NAME, mode="prompt"), replace(MODEL, entry=entry)).commands
    assert isinstance(command, Set)
    assert command.premise == Premise("[WP] {prompt} [RESPONSE] ", "A dragon")


def test_a_long_text_begins_near_its_end() -> None:
    state = replace(state_with(True, 1, 0, 9), text="word " * 10_000)
    state = replace(state, spans=type(state.spans).of(len(state.text), "user"))
    result = order(None, state, NAME, MODEL)
    assert result.base is not None
    assert 0 < result.base < len(state.text)
    (command,) = result.commands
    assert isinstance(command, Set)
    assert "".join(piece.text for piece in command.pieces) == state.text[result.base :]
