"""Endurance: `pause` is final in every trial, and a very long draft keeps a flat cost."""

from __future__ import annotations

import random
import threading

import pytest

from tests.app.server import AppServer

pytestmark = [pytest.mark.app, pytest.mark.slow]

TRIALS = [100, pytest.param(500, marks=pytest.mark.long)]
TOKENS = [10_000, pytest.param(100_000, marks=pytest.mark.long)]
GROWTH_BYTES = 200 * 2**20  # of the web process: the text, its recent updates and Python's own growth


@pytest.mark.parametrize("trials", TRIALS)
def test_no_text_is_appended_after_the_answer_to_pause(app: AppServer, trials: int) -> None:
    rng, pause = random.Random(11), threading.Event()
    draft = app.draft(model="Fake instant")
    with app.page(draft) as page:
        for trial in range(trials):
            page.ask("start")
            pause.wait(rng.random() * 0.03)
            answer = page.ask("pause")
            assert page.revision == answer["revision"], "all updates come before the acknowledgement"
            if trial % 10 == 0:
                pause.wait(0.05)
            assert page.revision == answer["revision"], "no update comes after the acknowledgement"
            if len(page.text) > 20_000:
                page.delete(0, len(page.text))
                page.settle()
        assert app.text(draft) == page.text


@pytest.mark.parametrize("limit", TOKENS)
def test_a_draft_of_many_tokens_keeps_memory_bounded(app: AppServer, limit: int) -> None:
    draft = app.draft(model="Fake instant")
    with app.page(draft) as page:
        page.ask("start", limit=limit)
        page.wait_until(lambda: page.revision > 0)
        before = app.process.memory_info().rss
        page.wait_until(lambda: any(state.get("detail") == "limit" for state in page.states), 600)
        tokens = sum(len(update.get("tokens", ())) for update in page.updates)
        assert limit <= tokens <= limit + 3, "the model may finish its last character"
        assert app.process.memory_info().rss - before < GROWTH_BYTES
        page.type(" The end.")
        page.settle()
        assert app.text(draft) == page.text
