"""nginx: the real program with the configuration of deploy/, on free ports and with a certificate made for the test."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SITE = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
NAME = "stories.example.org"
_MAIN = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log notice;
worker_processes 1; worker_shutdown_timeout 60s;
events {{ worker_connections 512; }}
http {{
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  include {folder}/site.conf;
}}
"""


def find() -> str | None:
    """The path of nginx on this system or in the folder of run_tests.sh, or None."""
    places = [None, "/usr/sbin", str(ROOT / ".test-tools" / "nginx" / "usr" / "sbin")]
    return next((found for place in places if (found := shutil.which("nginx", path=place))), None)


@dataclass(frozen=True)
class Proxy:
    """A running nginx with its ports for HTTPS and for plain HTTP."""

    program: str
    folder: Path
    port: int
    plain_port: int

    def reload(self) -> None:
        """Reload the configuration. Old workers end with their last connection."""
        subprocess.run([*_command(self.program, self.folder), "-s", "reload"], check=True, capture_output=True)


def _command(program: str, folder: Path) -> list[str]:
    return [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


@contextmanager
def running_nginx(program: str, folder: Path, server_port: int) -> Iterator[Proxy]:
    """Run nginx in front of the server at `server_port` until the block ends."""
    port, plain_port = _free_ports()
    _make_certificate(folder)
    site = SITE if _has_ipv6() else "\n".join(line for line in SITE.splitlines() if "[::]" not in line)
    for public, own in ((443, port), (80, plain_port)):
        site = site.replace(f"listen {public}", f"listen 127.0.0.1:{own}").replace(f"[::]:{public}", f"[::1]:{own}")
    site = site.replace("127.0.0.1:5000", f"127.0.0.1:{server_port}")
    site = site.replace(f"/etc/letsencrypt/live/{NAME}", str(folder))
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder))
    command = _command(program, folder)
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port)
            yield Proxy(program, folder, port, plain_port)
        finally:
            process.terminate()
            process.wait(15)


def _make_certificate(folder: Path) -> None:
    names = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
    subprocess.run(["openssl", "req", "-x509", *kind, *names], check=True, capture_output=True)


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError("nginx does not listen")
