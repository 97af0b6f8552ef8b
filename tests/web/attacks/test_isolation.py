"""Isolation of owners: no event and no route reaches the stories of another browser, for any id."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.conftest import MODES
from tests.web.raw_page import Json, RawPage, ask, cookie_of
from tests.web.test_server import MODEL, running

pytestmark = pytest.mark.app

RANDOM_IDS, LONG_RANDOM_IDS = 300, 10_000
BATCH = 100
EVENTS: dict[str, Json] = {
    "open": {},
    "close": {},
    "start": {},
    "pause": {},
    "configure": {"model": MODEL},
    "rewind": {"revision": 0},
    "retry": {"revision": 0},
    "alternatives": {"revision": 0, "at": 0},
    "seen": {"revision": 0},
    "hold": {"composing": True},
    "edit": {"revision": 0, "client": "c" * 32, "updates": [{"changes": [4, [0, "x"]]}]},
}


class Person:
    """A browser with two stories of two drafts each."""

    def __init__(self, port: int) -> None:
        self.port, self.cookie = port, cookie_of(port)
        self.stories = [self._new_story() for _ in range(2)]
        self.drafts = [draft["id"] for story in self.stories for draft in story["drafts"]]

    def _new_story(self) -> Json:
        body = json.dumps({"mode": "continue", "prompt": "Once", "model": MODEL, "drafts": 2})
        story: Json = ask(self.port, "POST", "/api/stories", body, Cookie=self.cookie).json
        return story

    def sees(self) -> tuple[Any, ...]:
        """Return all stories and texts of this person, as the server has them."""
        texts = [self.ask("GET", f"/api/drafts/{draft}/export?format=txt").body for draft in self.drafts]
        return self.ask("GET", "/api/stories").json, texts

    def ask(self, method: str, path: str, body: str | None = None) -> Any:
        return ask(self.port, method, path, body, Cookie=self.cookie)


@pytest.fixture(scope="module", params=MODES)
def people(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Person, Person]]:
    with running(request.param, tmp_path_factory.mktemp("data")) as (port, _):
        yield Person(port), Person(port)


def test_events_on_drafts_of_another_owner_are_refused(people: tuple[Person, Person]) -> None:
    mine, theirs = people
    before = theirs.sees()
    with RawPage(mine.port, mine.cookie) as thief, RawPage(theirs.port, theirs.cookie) as owner:
        for draft in theirs.drafts:
            assert owner.call("open", {"draft": draft})["ok"]
            for event, rest in EVENTS.items():
                assert thief.call(event, {"draft": draft, **rest})["error"]["code"] == "unknown_draft", event
        assert theirs.sees() == before
        assert owner.call("edit", {"draft": draft, **EVENTS["edit"], "client": secrets.token_hex(16)})["ok"]
        owner.read_until(lambda: "event updates" in owner.log)
        assert thief.call("pause", {"draft": mine.drafts[0]})["ok"]
        assert thief.events == [], "no update of another owner's draft arrives"


def test_routes_to_stories_of_another_owner_are_refused(people: tuple[Person, Person]) -> None:
    mine, theirs = people
    before = theirs.sees()
    for story in theirs.stories:
        path = f"/api/stories/{story['id']}"
        assert mine.ask("GET", path).status == 404
        assert mine.ask("PATCH", path, '{"title": "Mine now"}').status == 404
        assert mine.ask("POST", f"{path}/drafts", "{}").status == 404
        assert mine.ask("DELETE", path).status == 404
    for draft in theirs.drafts:
        for wanted in ("txt", "md", "json"):
            assert mine.ask("GET", f"/api/drafts/{draft}/export?format={wanted}").status == 404
        assert mine.ask("GET", f"/api/drafts/{draft}/history").status == 404
        assert mine.ask("DELETE", f"/api/drafts/{draft}").status == 404
        fork = json.dumps({"parent": draft, "revision": 0})
        assert mine.ask("POST", f"/api/stories/{mine.stories[0]['id']}/drafts", fork).status == 404
    assert {story["id"] for story in mine.ask("GET", "/api/stories").json["stories"]}.isdisjoint(
        story["id"] for story in theirs.stories
    )
    assert theirs.sees() == before


def test_guessed_ids_reach_no_draft(people: tuple[Person, Person]) -> None:
    guess(people[0], RANDOM_IDS)


@pytest.mark.long
def test_ten_thousand_guessed_ids_reach_no_draft(people: tuple[Person, Person]) -> None:
    guess(people[0], LONG_RANDOM_IDS)


def guess(mine: Person, count: int) -> None:
    chance = random.Random()
    with RawPage(mine.port, mine.cookie) as thief:
        for _ in range(count // BATCH):
            sent = []
            for _ in range(BATCH):
                event = chance.choice(list(EVENTS))
                sent.append(thief.emit(event, {"draft": secrets.token_hex(16), **EVENTS[event]}))
            codes = {thief.ack(number).get("error", {}).get("code") for number in sent}
            assert codes <= {"unknown_draft", "busy", "rate_limited"}, codes
            assert "unknown_draft" in codes
