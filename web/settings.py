"""The server's settings: one table of names, flags, variables, defaults and what they mean.

Owns reading and checking them. Needs nothing but the standard library and starts nothing, so that it can be read
before anything is patched. The same table is in README.md; a test compares the two.
"""

from __future__ import annotations

import argparse
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("backup", "restore")  # instead of serving


class SettingsError(ValueError):
    """A setting cannot be used; the message is one sentence that says which and what is allowed."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """`threads` 0 leaves the choice to torch; `fake_models` are names of the engine's test models."""

    host: str
    port: int
    data: Path
    no_browser: bool
    threads: int
    device: str
    precision: str
    memory: int
    log_level: str
    log_format: str
    keep_days: int
    async_mode: str
    fake_models: tuple[str, ...]
    public_origin: str | None
    behind_proxy: bool
    pages_per_address: int


@dataclass(frozen=True, slots=True)
class Setting:
    """`parse` turns the text of a flag or variable into a value, or raises ValueError saying what is allowed.

    `bare` is the text a flag without a value stands for; None where a value is needed.
    """

    name: str
    default: str
    parse: Callable[[str], Any]
    help: str
    bare: str | None = None

    @property
    def flag(self) -> str:
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        return "STORYGEN_ASYNC" if self.name == "async_mode" else f"STORYGEN_{self.name.upper()}"


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return text.lower()

    return parse


def _yes_or_no(text: str) -> bool:
    return _one_of("1", "yes", "true", "on", "0", "no", "false", "off")(text) in ("1", "yes", "true", "on")


def _host(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z.:-]{1,253}", text):
        raise ValueError("an IP address or a host name")
    return text


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,2})?", text, re.ASCII):
        raise ValueError("auto, cpu, cuda, cuda:0 … or mps")
    return text


def _fakes(text: str) -> tuple[str, ...]:
    """Nothing given: none. Otherwise the ordinary two, then those that are named."""
    if text.lower() in ("", "0", "no", "false", "off"):
        return ()
    named = [] if text.lower() in ("1", "yes", "true", "on") else [name.strip() for name in text.split(",")]
    if not all(re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", name, re.ASCII) for name in named):
        raise ValueError("names of test models with commas between them, such as instant,paced-50")
    return tuple(dict.fromkeys(["paced-30", "instant", *named]))


def _origin(text: str) -> str | None:
    if not text:
        return None
    parts = urlsplit(text)
    bare = not (parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme not in ("http", "https") or not parts.hostname or not bare:
        raise ValueError("what the browser's address line begins with, such as https://stories.example.org")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _folder(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("the path of a folder")
    return Path(text).expanduser().resolve()


SETTINGS: tuple[Setting, ...] = (
    Setting("port", "5000", _whole(0, 65535), "TCP port; 0 takes any free one"),
    Setting("host", "127.0.0.1", _host, "address to listen on; others than this machine's need --public-origin"),
    Setting("data", str(ROOT / "data"), _folder, "folder of the stories"),
    Setting("no_browser", "no", _yes_or_no, "do not open a browser", bare="yes"),
    Setting("threads", "0", _whole(0, 1024), "CPU threads of the engine; 0 lets it choose"),
    Setting("device", "auto", _device, "where models run: auto, cpu, cuda, cuda:1, mps"),
    Setting(
        "precision", "auto", _one_of("auto", "fp32", "bf16", "int8"), "number format of models: auto, fp32, bf16, int8"
    ),
    Setting("memory", "4000", _whole(1, 10_000_000), "MB that loaded models may take together"),
    Setting("log_level", "info", _one_of("debug", "info", "warning", "error"), "debug, info, warning or error"),
    Setting("log_format", "text", _one_of("text", "json"), "text, or json for one object a line"),
    Setting("keep_days", "0", _whole(0, 36_500), "delete stories unchanged for so many days; 0 keeps them all"),
    Setting("async_mode", "eventlet", _one_of("eventlet", "threading"), "how connections are served"),
    Setting("fake_models", "", _fakes, "offer test models that need no weights", bare="yes"),
    Setting("public_origin", "", _origin, "address under which others reach it, such as https://stories.example.org"),
    Setting("behind_proxy", "no", _yes_or_no, "trust X-Forwarded headers of one proxy", bare="yes"),
    Setting("pages_per_address", "100", _whole(1, 1_000_000), "pages open at a time from one network address"),
)


def take_command(argv: Sequence[str]) -> tuple[tuple[str, Path] | None, list[str]]:
    """`backup FILE` or `restore FILE` at the head of the arguments, and the rest. Raises SettingsError."""
    if not argv or argv[0] not in COMMANDS:
        return None, list(argv)
    if len(argv) < 2 or argv[1].startswith("-"):
        raise SettingsError(f"{argv[0]} needs the name of a file, such as {argv[0]} stories.backup.")
    return (argv[0], Path(argv[1]).expanduser()), list(argv[2:])


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> ServerSettings:
    """Settings from flags, then STORYGEN_* variables, then defaults. Raises SettingsError; `--help` exits."""
    flags = vars(_parser().parse_args(list(argv)))
    settings = ServerSettings(**{setting.name: _value(setting, flags[setting.name], environ) for setting in SETTINGS})
    if not settings.public_origin and not _is_loopback(settings.host):
        raise SettingsError(
            f"--host {settings.host} lets others reach this server; say with --public-origin by which address they "
            "do (such as --public-origin https://stories.example.org), or leave --host out."
        )
    return settings


def _value(setting: Setting, flag: str | None, environ: Mapping[str, str]) -> Any:
    given, source = (flag, setting.flag) if flag is not None else (environ.get(setting.variable), setting.variable)
    try:
        return setting.parse(setting.default if given is None else given)
    except (ValueError, OSError, RuntimeError) as error:
        raise SettingsError(f"{source} must be {error}, not {given!r}.") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}; --help lists what there is.")


def _parser() -> _Parser:
    words = "StoryGen, a live writing desk. First of all may come: backup FILE, or restore FILE."
    parser = _Parser(prog="server.py", description=words, allow_abbrev=False)
    for setting in SETTINGS:
        bare: dict[str, Any] = {} if setting.bare is None else {"nargs": "?", "const": setting.bare}
        default = f" (default: {setting.default})" if setting.default else ""
        words = f"{setting.help}{default}, or {setting.variable}".replace("%", "%%")
        parser.add_argument(setting.flag, dest=setting.name, metavar=setting.name.upper(), help=words, **bare)
    return parser
