"""Fake hub: an HTTP server on loopback that answers for the configurations of a few models."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeHub(ThreadingHTTPServer):
    """`answers` maps a model's path to a status and a body. `asked` lists the paths of all requests, in order.

    A body of a redirect (status 302) is the address to go to. `tokens` lists the Authorization headers.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.tokens: list[str | None] = []

    @property
    def endpoint(self) -> str:
        """The address of the hub."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def environ(self) -> dict[str, str]:
        """An environment in which this server is the model hub, and the local cache is empty."""
        return {**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": self.endpoint, "HF_HUB_CACHE": "/nowhere"}


@contextmanager
def serving() -> Iterator[FakeHub]:
    """Run a fake hub in a thread."""
    with FakeHub() as hub:
        thread = threading.Thread(target=hub.serve_forever)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.tokens.append(self.headers["Authorization"])
        status, body = self.server.answers.get(self.path.removesuffix("/resolve/main/config.json"), (404, b""))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", body.decode())
            body = b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""
