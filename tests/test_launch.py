"""Launcher: run_local.sh and launch.py in a small checkout with a real environment, a real pip and a small server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from generator.models import bundled
from tests.generator.models.model_folders import make_model

ROOT = Path(__file__).parents[1]
FILES = (
    "launch.py",
    "run_local.sh",
    "generator/__init__.py",
    "generator/models/bundled.py",
    "web/__init__.py",
    "web/settings.py",
)

SERVER = """
import http.server, sys

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *words):
        pass

with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
    print(f"arguments {sys.argv[1:]}", flush=True)
    print(f"StoryGen is at http://127.0.0.1:{server.server_address[1]}", flush=True)
    for _ in range(int(sys.argv[sys.argv.index("--threads") + 1])):
        server.handle_request()
sys.exit(5)
"""

# Records the address, then fetches the page, as a browser does.
BROWSER = """
import os, sys, urllib.request

with open(os.environ["OPENED"], "a") as opened:
    opened.write(sys.argv[1] + "\\n")
urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1]).close()
"""

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows uses run_local.bat"),
    pytest.mark.slow,
]


class Checkout:
    """A checkout with the launcher, a server that answers as many requests as `--threads` says, and a fake browser."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in FILES:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
        (root / "server.py").write_text(SERVER)
        (root / "requirements.txt").write_text("# empty\n")
        make_model(root / bundled.FOLDER, tokenizer_config__json=b"{}")
        self.opened = root / "opened.txt"
        browser = root / "browser.py"
        browser.write_text(BROWSER)
        self.environ = {
            **os.environ,
            "BROWSER": f"'{sys.executable}' '{browser}' %s",
            "OPENED": str(self.opened),
            "DISPLAY": ":99",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": "",
        }

    def start(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run run_local.sh until it ends."""
        command = [str(self.root / "run_local.sh"), *arguments]
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("checkout with a blank"))


def test_only_the_first_start_installs_and_every_start_opens_the_page(checkout: Checkout) -> None:
    first = checkout.start("--threads", "2")
    assert "Making a Python environment" in first.stderr
    assert "Installing the packages of requirements.txt" in first.stderr
    assert "arguments ['--threads', '2']" in first.stdout
    address = first.stdout.splitlines()[-1].removeprefix("StoryGen is at ")
    assert checkout.opened.read_text().split() == [address]
    assert first.returncode == 5  # the server's own
    second = checkout.start("--threads", "2")
    assert second.stderr == ""
    assert len(checkout.opened.read_text().split()) == 2


def test_no_browser_opens_no_page(checkout: Checkout) -> None:
    checkout.opened.unlink(missing_ok=True)
    checkout.start("--threads", "0", "--no-browser")
    assert not checkout.opened.exists()


def test_a_broken_environment_is_made_again(checkout: Checkout) -> None:
    checkout.start("--threads", "0")
    python = checkout.root / ".venv" / "bin" / "python"
    python.unlink()
    again = checkout.start("--threads", "0")
    assert "Making a Python environment" in again.stderr
    assert again.returncode == 5


def test_changed_requirements_are_installed_and_a_missing_network_is_reported(checkout: Checkout) -> None:
    checkout.start("--threads", "0")
    (checkout.root / "requirements.txt").write_text("surely-not-there==1.0\n")
    failed = checkout.start("--threads", "0")
    (checkout.root / "requirements.txt").write_text("# still empty\n")
    assert failed.returncode == 1
    assert (
        failed.stderr.splitlines()[-1] == "The packages could not be downloaded. Check the network, then start again."
    )
    assert "Traceback" not in failed.stderr
    assert checkout.start("--threads", "0").returncode == 5


def test_a_mistake_in_an_option_is_reported_before_the_installation(tmp_path: Path) -> None:
    fresh = Checkout(tmp_path)
    refused = fresh.start("--port", "many")
    assert refused.stderr == "--port must be a whole number from 0 to 65535, not 'many'.\n"
    assert refused.returncode == 1
    assert not (tmp_path / ".venv").exists()


def test_storygen_starts_without_the_bundled_model(checkout: Checkout) -> None:
    (checkout.root / bundled.FOLDER / "config.json").unlink()
    started = checkout.start("--threads", "0")
    make_model(checkout.root / bundled.FOLDER, tokenizer_config__json=b"{}")
    assert "could not be installed. StoryGen also works without it." in started.stderr
    assert started.returncode == 5


def test_sigterm_stops_the_server(checkout: Checkout) -> None:
    command = [str(checkout.root / "run_local.sh"), "--threads", "1000", "--no-browser"]
    with subprocess.Popen(command, env=checkout.environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("StoryGen is at"):
            pass
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def test_without_a_supported_python_the_message_names_the_versions(tmp_path: Path) -> None:
    for name in ("dirname", "sh"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    run = subprocess.run(
        [str(ROOT / "run_local.sh")],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr.startswith("StoryGen needs Python 3.10 to 3.14, and found none.")
