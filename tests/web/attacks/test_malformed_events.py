"""Thousands of malformed events: each is answered `{ok: false}` in time, and none changes a draft."""

from __future__ import annotations

import json
import random
import time

import pytest

from tests.rig.figures import hub_lag, share, show
from tests.web.conftest import EdgeServer
from tests.web.edge_server import DRAFT
from tests.web.raw_page import RawPage
from web.namespace import EVENTS
from web.payloads import fields_of

pytestmark = pytest.mark.app

EVENTS_IN_ALL = 5_000  # in each of the two modes
LONG_EVENTS = 150_000  # likewise
BATCH = 100
# Malformed for every field.
WRONG = (
    "null",
    "NaN",
    "-1",
    "1.5",
    "1e999",
    "[]",
    "[null]",
    '{"a":[1]}',
    r'"\ud800"',
    '"\\u0000"',
    "[[[[]]]]",
    "9" * 400,
)


def malformed(random_: random.Random, draft: str) -> str:
    """Return the part of a packet after its id: an event's name and data, malformed in one of several ways."""
    name = random_.choice([*EVENTS, *EVENTS, "connect", "disconnect", "", "nothing", "__class__", "x" * 1000])
    wrong = random_.choice(WRONG)
    good = f'"draft":"{draft}"'
    shapes = [
        f'["{name}"]',
        f'["{name}",{wrong}]',
        f'["{name}",{{{good}}},{{{good}}}]',
        f'["{name}",{{"draft":{wrong}}}]',
        f'["{name}",{{{good},"surplus":{wrong}}}]',
        f"[{wrong},{{{good}}}]",
        f'{{"event":"{name}"}}',
        f'["{name}",{{{good}',
        "",
        wrong,
    ]
    if name in EVENTS:
        field = random_.choice(list(fields_of(EVENTS[name].payload)))
        shapes.append(f'["{name}",{{{good},{json.dumps(field)}:{wrong}}}]' if field != "draft" else f'["{name}",{{}}]')
    return random_.choice(shapes)


def test_malformed_events_are_answered_and_change_nothing(edge: EdgeServer) -> None:
    with edge.page() as page:
        before = page.call("start", {"draft": DRAFT})["epoch"]
        send_malformed(page, edge.port, DRAFT)
        assert page.call("start", {"draft": DRAFT})["epoch"] == before, "no call reached the drafts"


@pytest.mark.long
def test_very_many_malformed_events_change_nothing(edge: EdgeServer) -> None:
    with edge.page() as page:
        before = page.call("start", {"draft": DRAFT})["epoch"]
        send_malformed(page, edge.port, DRAFT, share(LONG_EVENTS))
        assert page.call("start", {"draft": DRAFT})["epoch"] == before, "no call reached the drafts"


def send_malformed(page: RawPage, port: int, draft: str, events: int = EVENTS_IN_ALL) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails
    random_ = random.Random(seed)
    for batch in range(events // BATCH):
        first_id = 1000 + batch * BATCH
        send_batch(page, {first_id + n: malformed(random_, draft) for n in range(BATCH)})
    show("malformed events", seed, events=events, answered=events, hub_lag_below_ms=hub_lag(port))


def send_batch(page: RawPage, sent: dict[int, str]) -> None:
    began = time.monotonic()
    for number, rest in sent.items():
        page.send(f"42/story,{number}{'' if rest[:1].isdigit() else rest}")
    for number, rest in sent.items():
        answer = page.ack(number)
        assert answer["ok"] is False, rest
        assert answer["error"]["message"], rest
    assert time.monotonic() - began < 5, "a second for each, with a batch of a hundred on a busy machine"
