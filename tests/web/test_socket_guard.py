"""Packets, rates and answers of one connection: the guard at a Socket.IO server without a network, and real sockets."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest
import socketio  # type: ignore[import-untyped]
from engineio.packet import MESSAGE  # type: ignore[import-untyped]
from engineio.packet import Packet as EnginePacket
from engineio.socket import Socket  # type: ignore[import-untyped]
from hypothesis import example, given
from hypothesis import strategies as st
from socketio.packet import ACK, CONNECT, EVENT  # type: ignore[import-untyped]

from tests.web.conftest import EdgeServer
from tests.web.edge_server import DRAFT
from web.addresses import Addresses, AddressLimits
from web.metrics import Metrics
from web.socket_guard import NAMESPACE, SocketGuard, SocketLimits, TextPacket

EDIT = {"draft": DRAFT, "revision": 0, "updates": [{"changes": [[0, "x"]]}]}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 99) | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
)
packet_texts = st.text(max_size=40) | st.from_regex(r"[0-6]{1,3}-?(/story,)?[0-9]{0,3}[\[{\"a]*", fullmatch=True)


class StillServer(socketio.Server):  # type: ignore[misc]  # python-socketio has no types
    """A Socket.IO server that notes when it should sleep, and keeps background tasks until `run_tasks`."""

    def __init__(self) -> None:
        super().__init__(async_mode="threading", serializer=TextPacket, namespaces=[NAMESPACE], async_handlers=False)
        self.slept: list[float] = []
        self.tasks: list[Callable[[], object]] = []

    def sleep(self, seconds: float = 0) -> None:
        self.slept.append(seconds)

    def start_background_task(self, target: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        self.tasks.append(lambda: target(*args, **kwargs))

    def run_tasks(self) -> None:
        while self.tasks:
            self.tasks.pop(0)()


class GuardedServer:
    """A guard at a still server, which records the events that pass and the answers that are queued."""

    def __init__(self, **limits: Any) -> None:
        self.server, self.metrics = StillServer(), Metrics()
        addresses = Addresses(AddressLimits(), behind_proxy=False)
        self.guard = SocketGuard(self.server, SocketLimits(**limits), addresses, self.metrics)
        self.log: list[str] = []
        self.guard.answer_with(("start", "slow"), ("slow",), self._answer, lambda sid: self.log.append("answered"))

    def _answer(self, sid: str, event: str, data: Any) -> dict[str, Any]:
        self.log.append(event)
        return {"ok": True, "given": data}

    def connect(self, name: str = "page", join: bool = True) -> Socket:
        connection = Socket(self.server.eio, name)
        self.server.eio.sockets[name] = connection
        self.server._handle_eio_connect(name, {"REMOTE_ADDR": "127.0.0.1"})
        if join:
            self.guard.message(name, "0/story,{}")
            assert connection.queue.get(timeout=5).data.startswith("0/story,")
        return connection

    def call(self, connection: Socket, data: Any, number: int = 7) -> Any:
        """Send one event and return its acknowledgement; None if none is queued yet."""
        self.guard.message(connection.sid, f"2/story,{number}{json.dumps(data)}")
        return self.read(connection, number)

    def read(self, connection: Socket, number: int = 7) -> Any:
        if connection.queue.empty():
            return None
        text: str = connection.queue.get(timeout=5).data
        assert text.startswith(f"3/story,{number}["), text
        return json.loads(text.removeprefix(f"3/story,{number}"))[0]


@given(packet_texts)
def test_decoding_a_packet_never_fails(text: str) -> None:
    packet = TextPacket(encoded_packet=text)
    assert isinstance(packet.packet_type, int)
    assert packet.id is None or isinstance(packet.id, int)


@given(st.lists(json_values, min_size=1, max_size=3), st.none() | st.integers(0, 10**6), st.sampled_from([EVENT, ACK]))
def test_a_decoded_packet_is_the_packet_that_was_encoded(data: list[Any], number: int | None, kind: int) -> None:
    packet = TextPacket(encoded_packet=TextPacket(kind, data=data, namespace=NAMESPACE, id=number).encode())
    assert (packet.packet_type, packet.namespace, packet.id, packet.data) == (kind, NAMESPACE, number, data)


@pytest.mark.parametrize("data", ["", "[", "{}x", '["start",{"a":', "[" * 100_000])
def test_an_unreadable_event_keeps_its_namespace_and_id(data: str) -> None:
    packet = TextPacket(encoded_packet=f"2/story,5{data}")
    assert (packet.packet_type, packet.namespace, packet.id) == (EVENT, "/story", 5)
    assert packet.data is None


def test_a_packet_with_attachments_is_a_text_packet_without_data() -> None:
    packet = TextPacket(encoded_packet='51-/story,3["start",{"_placeholder":true,"num":0}]')
    assert (packet.packet_type, packet.id, packet.data) == (EVENT, 3, None)
    assert TextPacket(encoded_packet="0/story,{}").packet_type == CONNECT


def test_an_event_is_answered_before_it_counts_as_answered() -> None:
    guarded = GuardedServer()
    page = guarded.connect()
    assert guarded.call(page, ["start", {"a": 1}]) == {"ok": True, "given": {"a": 1}}
    assert guarded.log == ["start", "answered"]


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({}, ""),
        ([], ""),
        ([1, {}], ""),
        (["other", {}], "other"),
        (["connect", {}], "connect"),
        (["start"], "start"),
        (["start", {}, {}], "start"),
        (["start", []], "start"),
    ],
)
def test_a_malformed_event_is_refused_and_reaches_no_handler(data: Any, named: str) -> None:
    guarded = GuardedServer()
    answer = guarded.call(guarded.connect(), data)
    assert (answer["ok"], answer["error"]["code"]) == (False, "invalid")
    assert named in answer["error"]["message"]
    assert guarded.log == []


def test_events_before_the_connect_are_refused() -> None:
    guarded = GuardedServer()
    assert guarded.call(guarded.connect(join=False), ["start", {}])["error"]["code"] == "protocol"


def test_events_above_the_rate_are_refused() -> None:
    guarded = GuardedServer(events=0.001, events_burst=4)  # the connect counts too
    page = guarded.connect()
    answers = [guarded.call(page, ["start", {}]) for _ in range(5)]
    assert [answer.get("error", {}).get("code") for answer in answers] == [None] * 3 + ["rate_limited"] * 2
    assert guarded.log.count("start") == 3


def test_slow_events_are_answered_in_the_background_up_to_a_limit() -> None:
    guarded = GuardedServer(background=2)
    page = guarded.connect()
    assert guarded.call(page, ["slow", {}], 1) is None
    assert guarded.call(page, ["slow", {}], 2) is None
    assert guarded.call(page, ["slow", {}], 3)["error"]["code"] == "busy"
    assert guarded.call(page, ["start", {}], 4)["ok"], "other events do not wait"
    guarded.server.run_tasks()
    assert [guarded.read(page, number)["ok"] for number in (1, 2)] == [True, True]
    assert guarded.call(page, ["slow", {}], 5) is None, "it may ask again"


def test_a_client_waits_ten_times_the_seconds_that_its_event_took() -> None:
    guarded = GuardedServer()
    page = guarded.connect()
    sid = guarded.server.manager.sid_from_eio_sid(page.sid, NAMESPACE)
    for seconds, waits in ((0.02, 0.0), (0.03, 0.3), (100.0, 5.0)):
        guarded.guard.charge(sid, seconds)
        guarded.call(page, ["start", {}])
        assert guarded.server.slept[-1] == pytest.approx(waits)
        guarded.call(page, ["start", {}])
        assert guarded.server.slept[-1] == 0.0, "it waits once"


def test_bytes_above_the_rate_delay_the_next_message() -> None:
    guarded = GuardedServer(bytes=1000, bytes_burst=2000)
    page = guarded.connect()
    guarded.server.slept.clear()
    guarded.guard.message(page.sid, "4" + "x" * 3500)
    assert guarded.server.slept[0] == pytest.approx(1.5, abs=0.2)


def test_binary_messages_are_counted_and_dropped() -> None:
    guarded = GuardedServer()
    page = guarded.connect()
    guarded.guard.message(page.sid, b"2/story,1" + b'["start",{}]')
    assert page.queue.empty()
    assert b'story_rejected_total{reason="binary"} 1.0' in guarded.metrics.render()


@given(sizes=st.lists(st.integers(0, 60), max_size=40))
@example(sizes=[0] * 30)
@example(sizes=[0] * 31)
@example(sizes=[25] * 20)
@example(sizes=[26] * 20)
def test_a_client_is_slow_when_too_many_packets_or_bytes_wait(sizes: list[int]) -> None:
    guarded = GuardedServer(queue=30, queue_bytes=500)
    page = guarded.connect()
    for size in sizes:
        page.queue.put(EnginePacket(MESSAGE, "x" * size))
    assert guarded.guard.is_slow(page.sid) == (len(sizes) > 16 and (len(sizes) > 30 or sum(sizes) > 500))


def test_a_dropped_client_is_closed_and_counted() -> None:
    guarded = GuardedServer()
    page, other = guarded.connect("page"), guarded.connect("other")
    guarded.guard.drop(page.sid)
    assert (page.closed, other.closed) == (True, False)
    assert b"story_slow_clients_total 1.0" in guarded.metrics.render()
    assert guarded.call(other, ["start", {}])["ok"]
    guarded.guard.message(page.sid, '2/story,1["start",{}]')
    assert guarded.log.count("start") == 1, "events of a closed connection are ignored"


@pytest.mark.parametrize(("unused_seconds", "closed"), [(-1.0, True), (60.0, False)])
def test_a_sweep_closes_connections_that_never_joined(unused_seconds: float, closed: bool) -> None:
    guarded = GuardedServer(unused_seconds=unused_seconds)
    joined, unused = guarded.connect("joined"), guarded.connect("unused", join=False)
    guarded.guard.sweep()
    assert (joined.closed, unused.closed) == (False, closed)


def test_the_server_is_full_at_its_number_of_connections() -> None:
    guarded = GuardedServer(connections=2)
    guarded.connect("first")
    assert not guarded.guard.is_full()
    guarded.connect("second")
    assert guarded.guard.is_full()
    guarded.guard.close_all()
    assert all(connection.closed for connection in guarded.server.eio.sockets.values())


def test_an_unknown_version_of_the_library_is_refused() -> None:
    server: Any = StillServer()
    server._handle_connect = None
    with pytest.raises(RuntimeError, match="_handle_connect"):
        SocketGuard(server, SocketLimits(), Addresses(AddressLimits(), behind_proxy=False), Metrics())


@pytest.mark.app
def test_alternatives_do_not_delay_other_events(edge: EdgeServer) -> None:
    """The server holds the alternatives back until an edit arrives on the same connection."""
    asked = {"draft": DRAFT, "revision": 0, "at": 0}
    with edge.page() as page:
        first, second = page.emit("alternatives", asked), page.emit("alternatives", asked)
        third = page.call("alternatives", asked)
        released = page.acks.keys() & {first, second}  # by an edit of an earlier test
        assert third["ok"] or (third["error"]["code"] == "busy" and not released)
        assert page.call("edit", EDIT | {"client": secrets.token_hex(16)})["ok"]
        assert page.ack(first)["ok"]
        assert page.ack(second)["ok"]


@pytest.mark.app
def test_events_without_an_id_are_not_acknowledged(edge: EdgeServer) -> None:
    with edge.page() as page:
        page.send(f'42/story,["seen",{{"draft":"{DRAFT}","revision":0}}]')
        page.send('42/story,["nonsense"]')
        page.call("start", {"draft": DRAFT})
        assert list(page.acks) == [1]
