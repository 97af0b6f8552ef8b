"""Faults: after the engine, a model or the server dies, no typed text is lost and the run continues."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.server import AppServer, running_server

pytestmark = pytest.mark.app


@pytest.fixture
def own_app(mode: str, tmp_path: Path) -> Iterator[AppServer]:
    with running_server(tmp_path, mode) as server:
        yield server


def test_a_run_continues_after_its_engine_was_killed(own_app: AppServer) -> None:
    draft = own_app.draft()
    with own_app.page(draft) as page:
        page.ask("start")
        page.wait_for_words(3)
        page.states.clear()
        own_app.engine().kill()
        page.wait_for_state("loading")
        page.type(" Typed without an engine.")
        page.settle()
        page.wait_for_words(3)
        page.wait_for_state("writing")
        page.ask("pause")
        assert " Typed without an engine." in page.text
        assert own_app.text(draft) == page.text


def test_a_request_to_a_killed_engine_is_answered_at_once(own_app: AppServer) -> None:
    draft = own_app.draft()
    with own_app.page(draft) as page:
        page.ask("start", limit=3)
        page.wait_until(lambda: page.states[-1].get("detail") == "limit")
        engine = own_app.engine()
        engine.suspend()
        began = time.monotonic()
        answer: list[dict[str, Any]] = []
        asking = threading.Thread(target=lambda: answer.append(page.try_to("alternatives", revision=0, at=1)))
        asking.start()
        page.ask("pause")  # its answer shows that the server has the request
        engine.kill()
        asking.join()
        assert answer[0]["error"]["code"] == "engine_down"
        assert time.monotonic() - began < 10


def test_a_model_that_raises_ends_only_its_run(own_app: AppServer) -> None:
    draft = own_app.draft(model="Fake raises-40")
    with own_app.page(draft) as page:
        page.ask("start")
        failed = page.wait_for_state("failed")
        assert failed["detail"]
        page.type(" Still editable.")
        page.settle()
        page.states.clear()
        page.ask("start", limit=5)
        page.wait_until(lambda: any(state.get("detail") == "limit" for state in page.states))


def test_a_model_that_crashes_the_engine_does_not_stop_editing(own_app: AppServer) -> None:
    draft = own_app.draft(model="Fake crash-60")
    with own_app.page(draft) as page:
        page.ask("start")
        page.wait_for_state("writing")
        page.wait_for_state("loading")
        page.type(" Still editable.")
        page.settle()
        page.ask("pause")
        assert "Still editable." in page.text


def test_a_killed_server_continues_the_run_after_its_next_start(mode: str, tmp_path: Path) -> None:
    with running_server(tmp_path, mode) as app:
        draft = app.draft(sampling={"temperature": 0.5})
        with app.page(draft) as page:
            page.ask("start")
            page.wait_for_words(3)
            page.type(" Suddenly", at=4)
            page.settle()
            typed_at = page.revision
            app.process.kill()
            app.process.wait(10)
        name, _, value = app.cookie.partition("=")
        shown = page.text
    with running_server(tmp_path, mode) as again:
        again.cookie = f"{name.rpartition('_')[0]}_{again.port}={value}"
        with again.page(draft) as page:
            assert page.revision >= typed_at
            assert "Once Suddenly" in page.text
            assert page.text.startswith(shown) or shown.startswith(page.text)
            assert page.opened["settings"]["sampling"]["temperature"] == 0.5
            page.wait_for_words(3)
            page.ask("pause")
        story = again.get("/api/stories")["stories"][0]
        assert story["drafts"][0]["id"] == draft
