"""The real server process from start to stop, with a model that needs no weights, in both async modes."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.test_protocol_docs import rows
from tests.web.attacks.test_malformed_events import send_malformed
from tests.web.conftest import MODES, ROOT
from tests.web.raw_page import Json, RawPage, ask, cookie_of
from web.namespace import MAX_DRAFTS_PER_CONNECTION

pytestmark = [
    pytest.mark.app,
    pytest.mark.parametrize("mode", MODES),
]
MODEL = "Fake instant"


@contextmanager
def running(mode: str, data: Path, *flags: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Yield the port and the process. A test may end the process earlier."""
    command = [sys.executable, "server.py", "--port", "0", "--no-browser", "--fake-models", "--log-level", "error"]
    with subprocess.Popen(
        [*command, "--async-mode", mode, "--data", str(data), *flags], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline().rpartition(":")[2]), process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(15)


def new_draft(port: int, cookie: str, prompt: str = "Once") -> str:
    body = json.dumps({"mode": "continue", "prompt": prompt, "model": MODEL})
    reply = ask(port, "POST", "/api/stories", body, Cookie=cookie)
    assert reply.status == 201, reply.body
    draft: str = reply.json["drafts"][0]["id"]
    return draft


def wait_until_written(page: RawPage, updates: int) -> None:
    page.read_until(lambda: page.log.count("event updates") >= updates, 60)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that asks a process to end")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_stops_within_ten_seconds_while_a_model_writes(mode: str, number: int, tmp_path: Path) -> None:
    with running(mode, tmp_path) as (port, process):
        cookie = cookie_of(port)
        draft = new_draft(port, cookie)
        with RawPage(port, cookie) as page, RawPage(port, cookie) as other:
            page.call("open", {"draft": draft})
            other.call("open", {"draft": draft})
            assert page.call("start", {"draft": draft})["ok"]
            wait_until_written(page, 2)
            children = psutil.Process(process.pid).children(recursive=True)
            assert children, "the engine runs in a process of its own"
            os.kill(process.pid, number)
            assert process.wait(10) == 0
            assert psutil.wait_procs(children, timeout=5)[1] == []
            assert page.is_hung_up(2)


def test_stories_settings_and_cookies_survive_a_restart(mode: str, tmp_path: Path) -> None:
    edit: Json = {"revision": 0, "client": secrets.token_hex(16), "updates": [{"changes": [4, [0, " 🐢"]]}]}
    with running(mode, tmp_path) as (port, process):
        cookie = cookie_of(port)
        edit["draft"] = draft = new_draft(port, cookie)
        with RawPage(port, cookie) as page:
            assert page.call("edit", edit) == {"ok": True, "revision": 1}
            assert page.call("configure", {"draft": draft, "sampling": {"top_k": 7}})["ok"]
        process.kill()  # acknowledged edits are durable
        process.wait(15)
    with running(mode, tmp_path) as (port, _):
        value = cookie.partition("=")[2]
        with RawPage(port, f"storygen_{port}={value}") as page:
            opened = page.call("open", {"draft": draft})
            assert page.call("edit", edit) == {"ok": True, "revision": 1}, "the repeated edit is recognised"
        assert (opened["text"], opened["revision"]) == ("Once 🐢", 1)
        assert opened["settings"]["sampling"]["top_k"] == 7
        if sys.platform != "win32":
            assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600


def test_a_page_can_open_a_limited_number_of_drafts(mode: str, tmp_path: Path) -> None:
    with running(mode, tmp_path) as (port, _):
        cookie = cookie_of(port)
        body = json.dumps({"mode": "continue", "prompt": "Once", "model": MODEL, "drafts": 13})
        stories = [ask(port, "POST", "/api/stories", body, Cookie=cookie).json for _ in range(5)]
        drafts = [draft["id"] for story in stories for draft in story["drafts"]]
        with RawPage(port, cookie) as page:
            for draft in drafts[:MAX_DRAFTS_PER_CONNECTION]:
                assert page.call("open", {"draft": draft})["ok"]
            assert page.call("open", {"draft": drafts[0]})["ok"], "it is open already"
            assert page.call("open", {"draft": drafts[-1]})["error"]["code"] == "busy"
            assert page.call("close", {"draft": drafts[0]})["ok"]
            assert page.call("open", {"draft": drafts[-1]})["ok"]


def test_no_update_follows_the_answer_to_pause(mode: str, tmp_path: Path) -> None:
    with running(mode, tmp_path) as (port, _):
        cookie = cookie_of(port)
        draft = new_draft(port, cookie)
        with RawPage(port, cookie) as page:
            page.call("open", {"draft": draft})
            for _ in range(10):
                seen = page.log.count("event updates")
                page.call("start", {"draft": draft})
                wait_until_written(page, seen + 2)
                number = page.emit("pause", {"draft": draft})
                paused = page.ack(number)["revision"]
                quiet = page.emit("hold", {"draft": draft, "composing": False})
                page.ack(quiet)
                after = page.log[page.log.index(f"ack {number}") :]
                assert "event updates" not in after
                last = [body for event, body in page.events if event == "updates"][-1]
                assert last["revision"] + len(last["updates"]) == paused


def test_malformed_events_change_no_stored_story(mode: str, tmp_path: Path) -> None:
    with running(mode, tmp_path) as (port, _):
        cookie = cookie_of(port)
        draft = new_draft(port, cookie)
        with RawPage(port, cookie) as page:
            before = page.call("open", {"draft": draft}), ask(port, "GET", "/api/stories", Cookie=cookie).json
            send_malformed(page, port, draft)
            after = page.call("open", {"draft": draft}), ask(port, "GET", "/api/stories", Cookie=cookie).json
    assert after == before


def test_every_field_sent_is_documented(mode: str, tmp_path: Path) -> None:
    documented = {event: {row[0].strip("`?") for row in rows(event)} for event in ("updates", "state")}
    with running(mode, tmp_path) as (port, _):
        cookie = cookie_of(port)
        draft = new_draft(port, cookie)
        with RawPage(port, cookie) as page:
            page.call("open", {"draft": draft})
            page.call("start", {"draft": draft, "limit": 400})
            page.read_until(lambda: page.events[-1][1].get("detail") == "limit", 60)
            for event, body in page.events:
                if event != "menu":
                    assert body.keys() <= documented[event], event
            assert {"updates", "state"} <= {event for event, _ in page.events}


def test_a_taken_port_is_reported_in_one_sentence(mode: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "server.py", "--port", port, "--async-mode", mode, "--data", str(tmp_path)]
        ended = subprocess.run([*command, "--no-browser"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"Port {port} of 127.0.0.1 cannot be used")
    assert len(ended.stderr.splitlines()) == 1


def test_a_setting_out_of_range_is_reported_in_one_sentence(mode: str) -> None:
    command = [sys.executable, "server.py", "--port", "99999", "--async-mode", mode]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)


def test_an_unwritable_folder_is_reported_in_one_sentence(mode: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = [sys.executable, "server.py", "--port", "0", "--async-mode", mode, "--data", str(tmp_path / "file")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1), ended.stderr


def test_connections_of_closed_pages_are_released(mode: str, tmp_path: Path) -> None:
    with running(mode, tmp_path) as (port, _):
        cookie = cookie_of(port)
        draft = new_draft(port, cookie)
        for _ in range(30):
            with RawPage(port, cookie) as page:
                page.call("open", {"draft": draft})
        with RawPage(port, cookie) as page:
            page.read_until(lambda: connections(port, page) == 1, 10)


def connections(port: int, page: RawPage) -> int:
    page.call("seen", {"draft": "d" * 32, "revision": 0})
    time.sleep(0)
    text = ask(port, "GET", "/metrics").body.decode()
    return int(float(text.partition("\nstory_ws_connections ")[2].partition("\n")[0]))
