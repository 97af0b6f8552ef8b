"""Live writing: real server, real engine process with a fake model, real sockets; people type while it writes."""

from __future__ import annotations

import json
import random
import threading

import pytest

from stories.text.utf16 import to_units
from tests.app.live_page import LivePage, Refusal
from tests.app.server import AppServer
from tests.web.raw_page import ask

pytestmark = pytest.mark.app
GREEDY = {"temperature": 0}


def test_an_edit_stays_while_the_model_goes_on_writing(app: AppServer) -> None:
    draft = app.draft()
    with app.page(draft) as page:
        page.ask("start")
        page.wait_for_words(5)
        page.type(" Suddenly", at=4)
        page.settle()
        page.wait_for_words(5)
        page.ask("pause")
        assert page.text.startswith("Once Suddenly upon a time")
        assert app.text(draft) == page.text


def write_20(page: LivePage) -> str:
    """Let the model write 20 tokens and return them."""
    before = len(page.text)
    page.states.clear()
    page.ask("start", limit=20)
    page.wait_until(lambda: any(state.get("detail") == "limit" for state in page.states))
    return page.text[before:]


def test_the_model_continues_from_the_edited_text(app: AppServer) -> None:
    drafts = [app.draft(sampling=GREEDY) for _ in range(3)]
    pages = [app.page(draft) for draft in drafts]
    first = [write_20(page) for page in pages]
    assert first[0] == first[1] == first[2]
    for page in pages[:2]:
        page.type("X", at=5)
        page.settle()
    second = [write_20(page) for page in pages]
    for page in pages:
        page.close()
    assert second[0] == second[1], "equal texts are continued alike"
    assert second[0] != second[2], "another text is continued differently"


def test_premise_model_and_settings_take_effect_and_survive(app: AppServer) -> None:
    draft = app.draft(mode="prompt", prompt="A lighthouse", sampling=GREEDY)
    with app.page(draft) as page:
        assert page.text == ""
        assert page.opened["settings"]["premise"] == "A lighthouse"
        first = write_20(page)
        changed = page.ask("configure", premise="A green dragon", sampling={"min_p": 0.5})
        assert changed["premise"] == "A green dragon"
        assert changed["sampling"] == {**page.opened["settings"]["sampling"], "min_p": 0.5}
        page.delete(0, len(page.text))
        page.settle()
        assert write_20(page) != first
        with pytest.raises(Refusal, match="unknown_model"):
            page.ask("configure", model="nothing")
        with pytest.raises(Refusal, match="temperature must be"):
            page.ask("configure", sampling={"temperature": 9})
        assert page.ask("configure", model="Fake instant")["model"] == "Fake instant"


def test_rewind_and_retry_keep_the_removed_text_as_a_draft(app: AppServer) -> None:
    draft = app.draft()
    with app.page(draft) as page:
        write_20(page)
        before = page.text
        answer = page.ask("rewind", revision=page.revision)
        page.wait_until(lambda: page.revision >= answer["revision"])
        assert before.startswith(page.text)
        assert len(page.text) < len(before)
        assert app.text(answer["kept"]) == before
        write_20(page)
        written, attempt = page.text, page.ask("retry", revision=page.revision)
        page.wait_until(lambda: page.revision > attempt["revision"])
        page.ask("pause")
        assert app.text(attempt["kept"]) == written
    siblings = {entry["id"]: entry for story in app.get("/api/stories")["stories"] for entry in story["drafts"]}
    assert siblings[answer["kept"]]["parent"] == draft


def test_a_fork_begins_with_its_parents_text_at_that_revision(app: AppServer) -> None:
    draft = app.draft()
    with app.page(draft) as page:
        write_20(page)
        text, head = page.text, page.revision
    story = next(s for s in app.get("/api/stories")["stories"] if s["drafts"][0]["id"] == draft)
    forks = f"/api/stories/{story['id']}/drafts"
    for revision, expected in ((0, "Once upon a time"), (head, text)):
        body = json.dumps({"parent": draft, "revision": revision})
        made = ask(app.port, "POST", forks, body, Cookie=app.cookie)
        assert (made.status, made.json["forked_at"]) == (201, revision)
        assert app.text(made.json["id"]) == expected
    beyond = ask(app.port, "POST", forks, json.dumps({"parent": draft, "revision": head + 1}), Cookie=app.cookie)
    assert (beyond.status, beyond.json["error"]["code"]) == (400, "invalid")


def test_a_deleted_draft_is_unknown_to_the_pages_that_have_it_open(app: AppServer) -> None:
    draft = app.draft()
    with app.page(draft) as writer, app.page(draft) as other:
        writer.ask("start")
        writer.wait_for_words(2)
        gone = threading.Event()
        answers: list[str] = []

        def keep_asking() -> None:
            while not gone.is_set():
                for event, body in (("seen", {"revision": 0}), ("hold", {"composing": False}), ("pause", {})):
                    answers.append(other.try_to(event, **body).get("error", {}).get("code", "ok"))

        asking = threading.Thread(target=keep_asking)
        asking.start()
        assert ask(app.port, "DELETE", f"/api/drafts/{draft}", Cookie=app.cookie).status == 204
        for event in ("open", "start", "pause"):
            assert writer.try_to(event)["error"]["code"] == "unknown_draft"
        gone.set()
        asking.join()
        assert set(answers) <= {"ok", "unknown_draft"}


def test_alternatives_include_the_present_word(app: AppServer) -> None:
    draft = app.draft()
    with app.page(draft) as page:
        write_20(page)
        at = len(page.text) - 3
        answer = page.ask("alternatives", revision=page.revision, at=at)
        start, end = answer["range"]
        assert start <= at < end
        present = page.text[start:end]
        probabilities = [option["probability"] for option in answer["options"]]
        assert any(to_units(option["text"]) == present for option in answer["options"])
        assert probabilities == sorted(probabilities, reverse=True)


def test_the_draft_of_another_person_is_unknown(app: AppServer) -> None:
    draft = app.draft()
    stranger = AppServer(app.port, app.data, app.process)
    assert stranger.cookie != app.cookie
    with stranger.page(stranger.draft()) as page:
        for event, body in (("start", {}), ("pause", {}), ("open", {}), ("seen", {"revision": 0})):
            answer = page.try_to(event, **{**body, "draft": draft})
            assert answer["error"]["code"] == "unknown_draft", event
    assert ask(app.port, "GET", f"/api/drafts/{draft}/export", Cookie=stranger.cookie).status == 404


def test_an_exported_story_is_imported_unchanged(app: AppServer) -> None:
    draft = app.draft(prompt="Once 😀 upon", title="A title: with/odd characters")
    with app.page(draft) as page:
        write_20(page)
        text = page.text
    exported = ask(app.port, "GET", f"/api/drafts/{draft}/export?format=json", Cookie=app.cookie)
    assert ask(app.port, "GET", f"/api/drafts/{draft}/export?format=txt", Cookie=app.cookie).body
    back = ask(
        app.port, "POST", "/api/stories/import?filename=a.json", exported.body, Cookie=app.cookie,
        Content_Type="application/json",
    )  # fmt: skip
    assert back.status == 201, back.body
    assert app.text(back.json["drafts"][0]["id"]) == text


@pytest.mark.slow
def test_two_delayed_tabs_and_the_model_converge(app: AppServer) -> None:
    draft = app.draft()
    rng = random.Random(7)
    pause = threading.Event()
    with app.page(draft, latency=0.15) as one, app.page(draft, latency=0.15) as two:
        one.ask("start")
        typed = [f"<{number}😀>" for number in range(40)]
        for word in typed:
            at_the_end = rng.random() < 0.5
            rng.choice([one, two]).type(word, at=None if at_the_end else 4)
            pause.wait(rng.random() * 0.2)
        one.settle()
        two.settle()
        two.ask("pause")
        reached = app.text(draft)
        one.wait_until(lambda: one.text == reached)
        two.wait_until(lambda: two.text == reached)
        assert all(reached.count(to_units(word)) == 1 for word in typed)
        assert not one.refusals + two.refusals
