"""Fake hub: a model hub on loopback with one model, which answers huggingface_hub and can break connections."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MODEL_ID = "someone/tiny"
_COMMIT = "c" * 40


class FakeHub(ThreadingHTTPServer):
    """The server. The next `breaks` downloads of weights stop half-way. `served` lists each `(file, first byte)`."""

    def __init__(self, folder: Path, breaks: int) -> None:
        super().__init__(("127.0.0.1", 0), _RequestHandler)
        self.files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        self.breaks = breaks
        self.served: list[tuple[str, int]] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _RequestHandler(BaseHTTPRequestHandler):
    server: FakeHub

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith(f"/api/models/{MODEL_ID}/tree/"):
            files = self.server.files.items()
            self._send_json([{"type": "file", "path": n, "size": len(d), "oid": _etag(d)} for n, d in files])
        elif path.startswith(f"/api/models/{MODEL_ID}"):
            self._send_json({"id": MODEL_ID, "sha": _COMMIT, "siblings": [{"rfilename": n} for n in self.server.files]})
        elif name := self._file(path):
            self._send_file(name)
        else:
            self.send_error(404)

    def do_HEAD(self) -> None:
        if name := self._file(self.path):
            self._send_head(name, 0)
        else:
            self.send_error(404)

    def _file(self, path: str) -> str:
        name = path.rpartition("/")[2]
        return name if path.startswith(f"/{MODEL_ID}/resolve/") and name in self.server.files else ""

    def _send_head(self, name: str, first: int) -> None:
        data = self.server.files[name]
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(data) - first))
        self.send_header("ETag", f'"{_etag(data)}"')
        self.send_header("X-Repo-Commit", _COMMIT)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.end_headers()

    def _send_file(self, name: str) -> None:
        data = self.server.files[name]
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.server.served.append((name, first))
        self._send_head(name, first)
        if name.endswith((".safetensors", ".bin")) and self.server.breaks != 0:
            self.server.breaks -= 1
            self.wfile.write(data[first : (first + len(data)) // 2])
            self.close_connection = True
        else:
            self.wfile.write(data[first:])

    def _send_json(self, data: object) -> None:
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def _etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@contextmanager
def fake_hub(folder: Path, breaks: int = 0) -> Iterator[FakeHub]:
    """Run a hub with the files of `folder`."""
    with FakeHub(folder, breaks) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
