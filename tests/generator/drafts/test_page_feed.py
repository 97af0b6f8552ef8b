"""The page feed: one event per update, and when model text was last shown."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from generator.drafts.page_feed import PageFeed
from stories.text.changes import ChangeSet
from stories.text.update import MODEL_CLIENT, USER, Token, Update
from tests.stories.writers import new_state

TYPED = Update("a" * 32, USER, ChangeSet.insert(4, 0, "X"))
WRITTEN = Update(MODEL_CLIENT, "model:Fake", ChangeSet.insert(5, 5, " a"), (Token(7, 2, -0.5),), "t")


def test_each_update_is_an_event_with_the_revision_before_it() -> None:
    sent = list[tuple[str, str, dict[str, Any]]]()
    feed = PageFeed("draft", lambda *event: sent.append(event))
    feed.updates(7, [TYPED, WRITTEN], replace(new_state(), epoch=3))
    assert [(draft, event, body["revision"], body["epoch"]) for draft, event, body in sent] == [
        ("draft", "updates", 7, 3),
        ("draft", "updates", 8, 3),
    ]
    assert [update for _, _, body in sent for update in body["updates"]] == [TYPED.to_json(), WRITTEN.to_json()]


def test_only_model_text_counts_as_shown() -> None:
    feed = PageFeed("draft", lambda *event: None)
    feed.updates(0, [TYPED], new_state())
    assert feed.shown == 0.0
    before = time.monotonic()
    feed.updates(0, [TYPED, WRITTEN], new_state())
    assert before <= feed.shown <= time.monotonic()


def test_a_state_line_is_sent_if_there_is_one() -> None:
    sent = list[tuple[str, str, dict[str, Any]]]()
    feed = PageFeed("draft", lambda *event: sent.append(event))
    feed.state(None)
    feed.state({"state": "paused"})
    assert sent == [("draft", "state", {"state": "paused"})]
