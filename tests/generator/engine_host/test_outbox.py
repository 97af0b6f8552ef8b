"""Outbox: the commands that it returns have the same effect as all commands that were put into it."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.engine_host.outbox import Outbox, OutboxFull
from generator.wire.messages import Alternatives, Budget, Drop, EngineCommand, ModelSpec, Ping, Set
from generator.wire.sampling_params import SamplingParams

SPEC = ModelSpec("fake", "instant")
Effect = dict[str, tuple[int, int]]


def a_set(sequence: str, epoch: int, budget: int) -> Set:
    return Set(sequence, epoch, "owner", SPEC, None, (), (), SamplingParams(seed=1), 1, 0, 0, budget)


def effect(commands: Iterable[EngineCommand]) -> Effect:
    """Return the epoch and budget of each sequence after the commands, by the contract of the messages."""
    known: Effect = {}
    for command in commands:
        match command:
            case Set():
                known[command.sequence] = (command.epoch, command.budget)
            case Budget():
                if command.sequence in known and known[command.sequence][0] == command.epoch:
                    known[command.sequence] = (command.epoch, command.budget)
            case Drop():
                known.pop(command.sequence, None)
    return known


@st.composite
def scripts(draw: st.DrawFn) -> list[EngineCommand]:
    """Commands as drafts send them: the epochs of a sequence only grow, and each budget is for the present epoch."""
    epochs = dict.fromkeys("abc", 0)
    commands: list[EngineCommand] = []
    steps = st.tuples(st.sampled_from("abc"), st.sampled_from(["set", "budget", "drop"]), st.integers(0, 99))
    for sequence, kind, budget in draw(st.lists(steps, max_size=40)):
        if kind == "set":
            epochs[sequence] += 1
            commands.append(a_set(sequence, epochs[sequence], budget))
        elif kind == "budget":
            commands.append(Budget(sequence, epochs[sequence], budget))
        else:
            commands.append(Drop(sequence))
    return commands


@given(scripts(), st.data())
def test_replaced_commands_change_no_effect(commands: list[EngineCommand], data: st.DataObject) -> None:
    outbox, taken = Outbox(), []
    for command in commands:
        outbox.put(command)
        if data.draw(st.booleans()):
            taken += outbox.take(0) or []
    last = outbox.take(0)
    assert last is not None
    assert effect(taken + last) == effect(commands)
    assert len(last) <= 3 * 3  # a set, a budget and a drop for each of three sequences


def test_other_commands_keep_their_order_and_are_returned_once() -> None:
    outbox = Outbox()
    questions = [Alternatives(str(number), "s", SPEC, None, (), (), 0) for number in range(5)]
    commands: list[EngineCommand] = [*questions, Ping(), questions[0], Ping()]
    for command in commands:
        outbox.put(command)
    assert outbox.take(0) == [*questions[1:], questions[0], Ping()]
    assert outbox.take(0) == []


def test_take_raises_after_more_commands_than_the_limit() -> None:
    outbox = Outbox(limit=3)
    for number in range(100):
        outbox.put(Drop(str(number)))
    with pytest.raises(OutboxFull):
        outbox.take(0)


def test_take_wakes_for_a_command_and_for_close() -> None:
    outbox = Outbox()
    threading.Timer(0.01, outbox.put, [Drop("a")]).start()
    assert outbox.take(20) == [Drop("a")]
    threading.Timer(0.01, outbox.close).start()
    assert outbox.take(20) is None
