"""Rooms of drafts: each page receives the updates of its open drafts once, in order, after the answer to its `open`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web.conftest import EdgeServer
from tests.web.edge_server import DRAFT
from web.broadcaster import Broadcaster
from web.metrics import Metrics
from web.socket_guard import NAMESPACE

Received = list[tuple[str, Any]]


class RecordingServer:
    """The rooms of a Socket.IO server, which delivers at once. It is its own manager."""

    def __init__(self, *sids: str) -> None:
        self.received: dict[str, Received] = {sid: [] for sid in sids}
        self._rooms: dict[str, set[str]] = defaultdict(set)
        self.manager = self

    def emit(
        self, event: str, payload: Any, to: str | None = None, skip_sid: Collection[str] = (), namespace: str = ""
    ) -> None:
        assert namespace == NAMESPACE
        for sid, received in self.received.items():
            if (to is None or to == sid or sid in self._rooms[to]) and sid not in skip_sid:
                received.append((event, payload))

    def enter_room(self, sid: str, room: str, namespace: str) -> None:
        self._rooms[room].add(sid)

    def leave_room(self, sid: str, room: str, namespace: str) -> None:
        self._rooms[room].discard(sid)

    def rooms(self, sid: str, namespace: str) -> list[str]:
        return [sid, *(room for room, members in self._rooms.items() if sid in members)]

    def is_connected(self, sid: str, namespace: str) -> bool:
        return sid in self.received

    def get_participants(self, namespace: str, room: str) -> Iterator[tuple[str, str]]:
        return iter([(sid, f"eio {sid}") for sid in sorted(self._rooms[room])])

    def disconnect(self, sid: str) -> None:
        self.received.pop(sid)
        for members in self._rooms.values():
            members.discard(sid)


def broadcaster_of(server: Any, slow: Collection[str] = (), dropped: list[str] | None = None) -> Broadcaster:
    drop = (dropped if dropped is not None else []).append
    return Broadcaster(server, Metrics(), lambda eio_sid: eio_sid in slow, drop)


steps = st.lists(
    st.tuples(st.sampled_from(["join", "answered", "leave", "publish", "publish"]), *[st.sampled_from("ab")] * 2),
    max_size=40,
)


@given(steps)
def test_a_page_receives_each_update_of_its_open_drafts_once_and_in_order(steps: list[tuple[str, str, str]]) -> None:
    server = RecordingServer("a", "b")
    broadcaster = broadcaster_of(server)
    open_drafts: dict[str, set[str]] = {"a": set(), "b": set()}
    opening: dict[str, tuple[str, Received]] = {}
    expected: dict[str, Received] = {"a": [], "b": []}
    for number, (step, sid, draft) in enumerate(steps):
        if step == "join" and sid not in opening:
            broadcaster.join(sid, draft)
            opening[sid] = (draft, [])
        elif step == "answered":
            broadcaster.answered(sid)
            if sid in opening:
                opened, held_back = opening.pop(sid)
                open_drafts[sid].add(opened)
                expected[sid] += held_back
        elif step == "leave" and sid not in opening:
            broadcaster.leave(sid, draft)
            open_drafts[sid].discard(draft)
        elif step == "publish":
            broadcaster.publish(draft, "state", {"number": number})
            for page in ("a", "b"):
                if page in opening and opening[page][0] == draft:
                    opening[page][1].append(("state", {"number": number}))
                elif draft in open_drafts[page]:
                    expected[page].append(("state", {"number": number}))
        assert server.received == expected


def test_updates_published_during_an_open_are_held_back_until_its_answer() -> None:
    server = RecordingServer("page")
    broadcaster = broadcaster_of(server)
    broadcaster.publish("d", "state", {"number": 0})
    broadcaster.join("page", "d")
    broadcaster.publish("d", "state", {"number": 1})
    broadcaster.publish("another", "state", {"number": 2})
    assert server.received["page"] == []
    broadcaster.answered("page")
    broadcaster.publish("d", "state", {"number": 3})
    assert [payload["number"] for _, payload in server.received["page"]] == [1, 3]


def test_a_forgotten_page_receives_nothing() -> None:
    server = RecordingServer("page")
    broadcaster = broadcaster_of(server)
    broadcaster.join("page", "d")
    broadcaster.publish("d", "state", {})
    broadcaster.forget("page")
    broadcaster.answered("page")
    assert server.received["page"] == []


def test_a_page_that_disconnects_during_an_open_enters_no_room() -> None:
    server = RecordingServer("page", "other")
    broadcaster = broadcaster_of(server)
    broadcaster.join("page", "d")
    server.disconnect("page")
    broadcaster.answered("page")
    assert list(server.get_participants(NAMESPACE, "draft:d")) == []


def test_only_other_open_drafts_of_the_page_are_counted() -> None:
    server = RecordingServer("page", "other")
    broadcaster = broadcaster_of(server)
    for sid, draft in (("page", "d"), ("page", "e"), ("other", "f")):
        broadcaster.join(sid, draft)
        broadcaster.answered(sid)
    assert [broadcaster.num_others("page", draft) for draft in ("d", "e", "f")] == [1, 1, 2]
    broadcaster.leave("page", "e")
    assert broadcaster.num_others("page", "d") == 0


def test_slow_pages_of_the_draft_are_dropped() -> None:
    server, dropped = RecordingServer("slow", "fast", "elsewhere"), list[str]()
    broadcaster = broadcaster_of(server, slow=("eio slow", "eio elsewhere"), dropped=dropped)
    for sid, draft in (("slow", "d"), ("fast", "d"), ("elsewhere", "e")):
        broadcaster.join(sid, draft)
        broadcaster.answered(sid)
    broadcaster.publish("d", "state", {})
    assert dropped == ["eio slow"]


def test_an_event_for_all_pages_reaches_pages_without_drafts() -> None:
    server = RecordingServer("a", "b")
    broadcaster_of(server).publish_to_all("menu", {"continue": []})
    assert server.received == {sid: [("menu", {"continue": []})] for sid in ("a", "b")}


def test_updates_are_counted_by_author_with_their_tokens() -> None:
    server: Any = RecordingServer()
    metrics = Metrics()
    broadcaster = Broadcaster(server, metrics, lambda eio_sid: False, lambda eio_sid: None)
    updates = [{"author": "model:m", "tokens": [[1, -1.0], [2, -1.0]]}, {"author": "user"}, {"author": "model:n"}]
    broadcaster.publish("d", "updates", {"updates": updates})
    broadcaster.publish("d", "state", {})
    rendered = metrics.render().decode()
    assert 'story_updates_total{author="model"} 2.0' in rendered
    assert 'story_updates_total{author="user"} 1.0' in rendered
    assert "story_generation_tokens_total 2.0" in rendered


@pytest.mark.app
def test_updates_published_during_an_open_follow_its_answer(edge: EdgeServer) -> None:
    with edge.page() as page:
        number = page.emit("open", {"draft": DRAFT})
        page.read_until(lambda: len(page.events) == 3)
        assert page.log == [f"ack {number}", *["event updates"] * 3]


@pytest.mark.app
def test_opening_a_draft_again_loses_and_repeats_no_update(edge: EdgeServer) -> None:
    with edge.page() as page:
        for _ in range(5):
            page.call("open", {"draft": DRAFT})
        page.call("start", {"draft": DRAFT})
        assert page.log.count("event updates") == 15


@pytest.mark.app
def test_a_closed_draft_sends_no_updates(edge: EdgeServer) -> None:
    with edge.page() as page:
        page.call("open", {"draft": DRAFT})
        page.call("close", {"draft": DRAFT})
        page.log.clear()
        page.call("pause", {"draft": DRAFT})
        assert "event updates" not in page.log


@pytest.mark.app
def test_a_page_receives_no_updates_of_drafts_it_has_not_opened(edge: EdgeServer) -> None:
    with edge.page() as page, edge.page() as stranger:
        page.call("open", {"draft": DRAFT})
        page.call("pause", {"draft": DRAFT})
        stranger.call("start", {"draft": DRAFT})
        assert "event updates" not in stranger.log
