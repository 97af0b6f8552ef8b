"""Heavy edits: edits of very many updates or places are answered, and other clients are not delayed."""

from __future__ import annotations

import json
import secrets
import time
from contextlib import suppress

import pytest
import websocket

from tests.app.server import AppServer
from tests.web.raw_page import RawPage

pytestmark = pytest.mark.app


def keystrokes(count: int) -> list[dict[str, object]]:
    """The updates of `count` letters, each typed at the beginning of a text that was empty at first."""
    return [{"changes": [[0, "x"], *([at] if at else [])]} for at in range(count)]


def test_a_thousand_keystrokes_at_once_disconnect_no_page(app: AppServer) -> None:
    draft = app.draft(prompt="")
    with RawPage(app.port, app.cookie) as writer, RawPage(app.port, app.cookie) as reader:
        for page in (writer, reader):
            assert page.call("open", {"draft": draft})["ok"]
        push = {"draft": draft, "revision": 0, "client": secrets.token_hex(16), "updates": keystrokes(1000)}
        assert writer.call("edit", push) == {"ok": True, "revision": 1000}
        for page in (writer, reader):
            page.read_until(lambda: any(body.get("revision") == 999 for _, body in page.events))  # noqa: B023


def test_heavy_edits_are_all_answered_and_delay_no_other_client(app: AppServer) -> None:
    draft, other = app.draft(prompt=""), app.draft(prompt="")
    writers = [RawPage(app.port, app.cookie) for _ in range(3)]
    pushes = [
        writer.emit(
            "edit", {"draft": draft, "revision": 0, "client": secrets.token_hex(16), "updates": keystrokes(1000)}
        )
        for writer in writers
    ]
    with RawPage(app.port, app.cookie) as bystander:
        waits = []
        for _ in range(20):
            began = time.monotonic()
            assert bystander.call("pause", {"draft": other})["ok"]
            waits.append(time.monotonic() - began)
        answers = [writer.ack(push) for writer, push in zip(writers, pushes, strict=True)]
        assert max(waits) < 5, waits
        assert {json.dumps(answer.get("error", {}).get("code")) for answer in answers} <= {"null", '"behind"'}
        assert any(answer["ok"] for answer in answers)
    for writer in writers:
        writer.__exit__()


def test_edits_at_very_many_places_delay_no_other_client(app: AppServer) -> None:
    """Applying such an edit takes about a second, and reading it a quarter of that."""
    draft, other = app.draft(prompt="x" * 50_000), app.draft(prompt="")
    comb = [part for _ in range(18_000) for part in (1, [1, "y"])] + [14_000]
    push = {"draft": draft, "revision": 0, "client": secrets.token_hex(16), "updates": [{"changes": comb}]}
    with RawPage(app.port, app.cookie) as hostile, RawPage(app.port, app.cookie) as bystander:
        assert hostile.call("edit", {**push, "updates": [{"changes": comb}] * 2})["error"]["code"] == "too_large"
        sent = hostile.emit("edit", push)
        waits = []
        while hostile.acks.get(sent) is None:
            began = time.monotonic()
            assert bystander.call("pause", {"draft": other})["ok"]
            waits.append(time.monotonic() - began)
            hostile.socket.settimeout(0.01)
            with suppress(websocket.WebSocketTimeoutException):
                hostile.read()
        assert hostile.acks[sent]["ok"]
        assert len(waits) > 5, "other requests are answered meanwhile"
