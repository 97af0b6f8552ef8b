"""Keeping: backup and restore, one server per folder, old stories, metrics and the log."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.app.server import ROOT, AppServer, running_server
from tests.web.raw_page import RawPage, ask

pytestmark = pytest.mark.app

MODE = "eventlet"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "server.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_backup_of_a_running_server_is_restored_after_its_end(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "stories.backup"
    with running_server(data, MODE) as app:
        draft = app.draft(prompt="Worth keeping")
        done = run("backup", file, "--data", data)
        assert (done.returncode, done.stderr) == (0, "")
        assert "secret.key" in done.stdout
        assert ask(app.port, "DELETE", f"/api/drafts/{draft}", Cookie=app.cookie).status == 204
        refused = run("restore", file, "--data", data)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
        assert "Another StoryGen is using this folder" in refused.stderr
        second = run("--port", "0", "--no-browser", "--data", data)
        assert (second.returncode, len(second.stderr.splitlines())) == (2, 1)
        assert "Another StoryGen is using this folder" in second.stderr
    assert run("restore", file, "--data", data).returncode == 0
    with running_server(data, MODE) as again:
        again.cookie = f"storygen_{again.port}={app.cookie.partition('=')[2]}"
        assert again.text(draft) == "Worth keeping"


@pytest.mark.parametrize("arguments", [("backup",), ("backup", "--data"), ("restore", "/nowhere/x"), ("bakup", "x")])
def test_a_command_that_fails_prints_one_sentence(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ended = run(*arguments, *(() if arguments[-1] == "--data" else ("--data", tmp_path)))
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1), ended.stderr


def test_old_stories_are_kept_until_pages_had_time_to_reconnect(tmp_path: Path) -> None:
    with running_server(tmp_path, MODE) as app:
        app.draft(title="Old")
        app.draft(title="Young")
    with closing(sqlite3.connect(tmp_path / "stories.db")) as connection:
        connection.execute("UPDATE story SET updated = updated - 3 * 86400 WHERE title = 'Old'")
        connection.commit()
    with running_server(tmp_path, MODE, options=("--keep-days", "2")) as again:
        again.cookie = f"storygen_{again.port}={app.cookie.partition('=')[2]}"
        wait_for_titles(again, {"Old", "Young"})


def wait_for_titles(app: AppServer, titles: set[str]) -> None:
    for _ in range(500):
        shown = {story["title"] for story in app.get("/api/stories")["stories"]}
        if shown == titles:
            return
        time.sleep(0.02)
    raise AssertionError(shown)


def test_metrics_count_commits_drafts_and_runs(tmp_path: Path) -> None:
    with running_server(tmp_path, MODE) as app:
        draft = app.draft()
        before = metrics(app)
        assert (before["story_db_commits_total"], before["story_drafts_open"]) == (0, 0)
        with RawPage(app.port, app.cookie) as page:
            edit = {"revision": 0, "client": "c" * 32, "updates": [{"changes": [[0, "x"], 16]}]}
            assert page.call("edit", {"draft": draft, **edit})["ok"]
            assert page.call("start", {"draft": draft})["ok"]
        after = metrics(app)
    assert after["story_db_batch_ops_total"] == after["story_db_commits_total"] == 2
    assert after["story_db_commit_seconds_total"] > 0
    assert (after["story_drafts_open"], after["story_requests_running"]) == (1, 1)
    assert {"story_engine_up", "story_engine_restarts_total", "story_hub_lag_seconds_count"} <= after.keys()


def test_metrics_count_the_tokens_of_the_engine(tmp_path: Path) -> None:
    with running_server(tmp_path, MODE) as app, app.page(app.draft()) as page:
        page.ask("start", limit=20)
        page.wait_for_state("paused")
        figures = metrics(app)
    # The engine may add up to three tokens to finish a character.
    assert figures["story_engine_tokens_total"] == figures["story_generation_tokens_total"]
    assert 20 <= figures["story_engine_tokens_total"] <= 23


def metrics(app: AppServer) -> dict[str, float]:
    lines = ask(app.port, "GET", "/metrics").body.decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_the_log_has_one_object_per_line_and_no_story_text(tmp_path: Path) -> None:
    log = tmp_path / "log"
    options = ("--log-format", "json", "--log-level", "debug")
    with running_server(tmp_path / "data", MODE, log=log, options=options) as app:
        draft = app.draft(mode="prompt", prompt="Zanzibar premise", title="Zanzibar title")
        with RawPage(app.port, app.cookie) as page:
            page.call("open", {"draft": draft})
            edit = {"revision": 0, "client": "c" * 32, "updates": [{"changes": [[0, "Zanzibar text"]]}]}
            assert page.call("edit", {"draft": draft, **edit})["ok"]
            page.send(f'42/story,9["edit",{{"draft":"{draft}","Zanzibar":["Zanzibar"]}}]')
            page.send(f'42/story,99["Zanzibar",{{"draft":"{draft}"}}]')
            assert not page.ack(99)["ok"]
            page.send("nonsense Zanzibar")
            assert page.is_hung_up(), "a message that is not a packet ends the connection"
        app.get(f"/api/drafts/{draft}/export?format=Zanzibar")
        ask(app.port, "POST", "/api/stories", '{"mode": "Zanzibar"}', Cookie=app.cookie)
        app.engine().kill()
        for _ in range(500):
            if "generator.engine_host.supervisor" in log.read_text():
                break
            time.sleep(0.02)
        secret = app.cookie.partition("=")[2]
    written = log.read_text()
    lines = [json.loads(line) for line in written.splitlines()]
    assert any("engine" in line["message"] for line in lines)
    assert "Zanzibar" not in written
    assert secret not in written
