"""A data folder that an older version wrote: every story opens as it was, and goes on.

`older_data/stories.db` was written by the version before the modules were sorted into folders (2026-11-28), with edits
by hand, models, retries, rewinds and emoji; `expected.json` is what that version answered about it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stories.text.changes import ChangeSet
from stories.text.utf16 import from_units, to_units
from tests.app.server import AppServer, running_server
from tests.web.raw_page import ask
from web.owner import Owners

pytestmark = pytest.mark.app

FOLDER = Path(__file__).parent / "older_data"
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text("utf-8"))
KEY = b"k" * 32


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    data = tmp_path_factory.mktemp("older")
    shutil.copy(FOLDER / "stories.db", data)
    (data / "secret.key").write_bytes(KEY)
    with running_server(data, "eventlet") as app:
        owners = Owners(KEY, app.port, secure=False)
        app.cookie = f"{owners.cookie}={owners._signer.sign(EXPECTED['owner']).decode()}"
        yield app


def test_the_library_is_the_same(older: AppServer) -> None:
    for draft in EXPECTED["drafts"]:
        older.text(draft)  # words of open drafts are counted to the last one
    assert older.get("/api/stories")["stories"] == EXPECTED["stories"]


@pytest.mark.parametrize("draft", list(EXPECTED["drafts"]))
def test_a_draft_is_the_same(older: AppServer, draft: str) -> None:
    with older.page(draft) as page:
        opened = page.ask("open")
        assert {name: opened[name] for name in EXPECTED["drafts"][draft]} == EXPECTED["drafts"][draft]
        log = page.ask("open", revision=0).get("updates", [])
    assert len(log) == opened["revision"]
    assert older.get(f"/api/drafts/{draft}/history") == EXPECTED["history"][draft]
    text = to_units(beginning_of(older, draft))
    for update in log:
        text = ChangeSet.from_json(update["changes"]).apply(text)
    assert from_units(text) == from_units(to_units(opened["text"]))


def beginning_of(older: AppServer, draft: str) -> str:
    """The text of a new draft that begins as this draft began."""
    story = next(story for story in EXPECTED["stories"] if any(one["id"] == draft for one in story["drafts"]))
    fork = json.dumps({"parent": draft, "revision": 0})
    headers = {"Cookie": older.cookie, "Content_Type": "application/json"}
    made = ask(older.port, "POST", f"/api/stories/{story['id']}/drafts", fork, **headers).json["id"]
    text = older.text(made)
    assert ask(older.port, "DELETE", f"/api/drafts/{made}", **headers).status == 204
    return text


@pytest.mark.parametrize("story", list(EXPECTED["export"]))
def test_a_story_is_exported_the_same(older: AppServer, story: str) -> None:
    draft = next(entry for entry in EXPECTED["stories"] if entry["id"] == story)["drafts"][0]["id"]
    assert older.get(f"/api/drafts/{draft}/export?format=json") == EXPECTED["export"][story]


def test_an_older_draft_goes_on(older: AppServer) -> None:
    draft = EXPECTED["stories"][0]["drafts"][0]["id"]
    before = older.text(draft)
    with older.page(draft) as page:
        page.type("By hand. ", 0)
        page.settle()
        page.ask("start", limit=5)
        page.wait_for_state("paused")
        assert page.text.startswith("By hand. ")
        assert len(page.text) > len(to_units(before)) + len("By hand. ")
