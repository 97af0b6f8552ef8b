"""The WebSocket of threading mode, between a real client and Werkzeug's server: order, bounds and broken messages."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import websocket
from werkzeug.serving import WSGIRequestHandler, make_server

from web.threaded_websocket import MAX_WAITING, ThreadedWebSocket

MAX_SIZE = 5000
MESSAGE = "4{:0100d}"
MESSAGES_IN_ONE_READ = 4096 // 100


class QuietHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Print nothing."""


@contextmanager
def connected(handle: Callable[[Any, dict[str, Any]], None]) -> Iterator[websocket.WebSocket]:
    """Yield a client of a server that calls `handle(socket, environ)` for its one connection, and wait for the end."""
    ended = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        def handler(server_socket: Any) -> None:
            try:
                handle(server_socket, environ)
            finally:
                ended.set()

        limits = SimpleNamespace(max_http_buffer_size=MAX_SIZE)
        return ThreadedWebSocket(handler, limits)(environ, start_response)

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    client = websocket.create_connection(f"ws://127.0.0.1:{server.server_port}/", timeout=10)
    try:
        yield client
        assert ended.wait(10), "the handler still waits"
    finally:
        cast(Any, client).shutdown()
        server.shutdown()
        serving.join(10)
        server.server_close()


def read_all(server_socket: Any) -> list[Any]:
    received: list[Any] = []
    while (message := server_socket.wait()) is not None:
        received.append(message)
    return received


def test_messages_arrive_in_order_and_few_wait_in_memory() -> None:
    go = threading.Event()
    waiting: list[int] = []
    received: list[Any] = []

    def handle(server_socket: Any, environ: dict[str, Any]) -> None:
        while not go.wait(0.01):
            waiting.append(len(server_socket.ws.input_buffer))
        received.extend(read_all(server_socket))

    sent = [MESSAGE.format(number) for number in range(1000)]
    with connected(handle) as client:
        for message in sent:
            client.send(message)
        deadline = time.monotonic() + 10
        while not (waiting and waiting[-1] > MAX_WAITING) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        go.set()
        client.close()
    assert MAX_WAITING < max(waiting) <= MAX_WAITING + MESSAGES_IN_ONE_READ
    assert received == sent


def test_text_that_is_no_engine_io_packet_ends_the_connection() -> None:
    for text in ("x", "7", "b4AAAA", "", "\u0664"):
        received: list[Any] = []
        with connected(lambda server_socket, environ, to=received: to.extend(read_all(server_socket))) as client:  # type: ignore[misc]
            client.send("4first")
            client.send(text)
            client.send("4after")
        assert received == ["4first"], text


def test_a_message_above_the_limit_ends_the_connection() -> None:
    received: list[Any] = []
    refused = threading.Event()

    def handle(server_socket: Any, environ: dict[str, Any]) -> None:
        received.append(server_socket.wait())
        assert refused.wait(10)
        while server_socket.ws.connected:
            time.sleep(0.01)
        received.append(server_socket.wait())

    allowed = "4" + "x" * (MAX_SIZE - 1)
    with connected(handle) as client:
        client.send(allowed)
        client.send(allowed + "x")
        opcode, data = client.recv_data(control_frame=True)
        refused.set()
    assert (opcode, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 1009)
    assert received == [allowed, None]


def test_closing_a_connection_whose_socket_is_closed_raises_nothing() -> None:
    closed: list[bool] = []

    def handle(server_socket: Any, environ: dict[str, Any]) -> None:
        gone = socket.socket()
        gone.close()
        server_socket.ws.sock = gone
        server_socket.close()
        closed.append(True)

    with connected(handle):
        pass
    assert closed == [True]
