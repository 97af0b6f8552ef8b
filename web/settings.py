"""Settings: one table of the server's settings, with their flags, variables, defaults and help texts.

Owns the table, the parsing and the checks. Imports only the standard library and starts nothing, because it runs before
the standard library is patched. README.md has the same table, and a test compares the two.
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
COMMANDS = ("backup", "restore")  # run instead of the server


class SettingsError(ValueError):
    """A setting is invalid. The message is one sentence that names the setting and the allowed values."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The values of all settings. `SETTINGS` has their meanings. `fake_models` names test models of the engine."""

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
    """One setting of the server.

    `parse` converts the text of a flag or variable into a value. It raises ValueError with the allowed values. `bare`
    is the text that a flag without a value means, or None if the flag needs a value.
    """

    name: str
    default: str
    parse: Callable[[str], Any]
    help: str
    bare: str | None = None

    @property
    def flag(self) -> str:
        """The flag of the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment variable."""
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
    """Return the names of the test models: none for no, the two usual ones for yes, and any further named ones."""
    if text.lower() in ("", "0", "no", "false", "off"):
        return ()
    named = [] if text.lower() in ("1", "yes", "true", "on") else [name.strip() for name in text.split(",")]
    if not all(re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", name, re.ASCII) for name in named):
        raise ValueError("names of test models, separated by commas, such as instant,paced-50")
    return tuple(dict.fromkeys(["paced-30", "instant", *named]))


def _origin(text: str) -> str | None:
    if not text:
        return None
    parts = urlsplit(text)
    bare = not (parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme not in ("http", "https") or not parts.hostname or not bare:
        raise ValueError("the scheme and host of a web address, such as https://stories.example.org")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _folder(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("the path of a folder")
    return Path(text).expanduser().resolve()


SETTINGS: tuple[Setting, ...] = (
    Setting("port", "5000", _whole(0, 65535), "TCP port; 0 uses any free port"),
    Setting(
        "host",
        "127.0.0.1",
        _host,
        "address to listen on; an address that other computers can reach needs --public-origin",
    ),
    Setting("data", str(ROOT / "data"), _folder, "folder in which the stories are stored"),
    Setting("no_browser", "no", _yes_or_no, "do not open a browser", bare="yes"),
    Setting("threads", "0", _whole(0, 1024), "CPU threads of the engine; 0 lets the engine choose"),
    Setting("device", "auto", _device, "device of the models: auto, cpu, cuda, cuda:1 or mps"),
    Setting(
        "precision",
        "auto",
        _one_of("auto", "fp32", "bf16", "int8"),
        "number format of the models: auto, fp32, bf16 or int8",
    ),
    Setting("memory", "4000", _whole(1, 10_000_000), "total memory for loaded models, in MB"),
    Setting(
        "log_level",
        "info",
        _one_of("debug", "info", "warning", "error"),
        "level of the log: debug, info, warning or error",
    ),
    Setting(
        "log_format", "text", _one_of("text", "json"), "format of the log: text, or json for one JSON object per line"
    ),
    Setting(
        "keep_days",
        "0",
        _whole(0, 36_500),
        "delete stories that were not changed for this number of days; 0 keeps all stories",
    ),
    Setting(
        "async_mode", "eventlet", _one_of("eventlet", "threading"), "how connections are served: eventlet or threading"
    ),
    Setting("fake_models", "", _fakes, "offer test models, which need no weights", bare="yes"),
    Setting(
        "public_origin", "", _origin, "address at which others reach the server, such as https://stories.example.org"
    ),
    Setting("behind_proxy", "no", _yes_or_no, "trust the X-Forwarded headers of one proxy", bare="yes"),
    Setting("pages_per_address", "100", _whole(1, 1_000_000), "open pages at a time per network address"),
)


def take_command(argv: Sequence[str]) -> tuple[tuple[str, Path] | None, list[str]]:
    """Return the command at the start of the arguments (`backup FILE` or `restore FILE`), if any, and the rest.

    Raise SettingsError if the command has no file.
    """
    if not argv or argv[0] not in COMMANDS:
        return None, list(argv)
    if len(argv) < 2 or argv[1].startswith("-"):
        raise SettingsError(f"{argv[0]} needs the name of a file. Example: {argv[0]} stories.backup")
    return (argv[0], Path(argv[1]).expanduser()), list(argv[2:])


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> ServerSettings:
    """Return the settings from flags, then STORYGEN_* variables, then defaults.

    Raise SettingsError for an invalid setting. `--help` prints the help and exits.
    """
    flags = vars(_parser().parse_args(list(argv)))
    settings = ServerSettings(**{setting.name: _value(setting, flags[setting.name], environ) for setting in SETTINGS})
    if not settings.public_origin and not _is_loopback(settings.host):
        raise SettingsError(
            f"With --host {settings.host}, other computers can reach this server. Add its public address "
            "(such as --public-origin https://stories.example.org), or leave out --host."
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
        raise SettingsError(f"{message}. Use --help to list the options.")


def _parser() -> _Parser:
    words = "StoryGen, a live writing desk. To copy the stories instead, start with: backup FILE, or restore FILE."
    parser = _Parser(prog="server.py", description=words, allow_abbrev=False)
    for setting in SETTINGS:
        bare: dict[str, Any] = {} if setting.bare is None else {"nargs": "?", "const": setting.bare}
        default = f" (default: {setting.default})" if setting.default else ""
        words = f"{setting.help}{default}, or {setting.variable}".replace("%", "%%")
        parser.add_argument(setting.flag, dest=setting.name, metavar=setting.name.upper(), help=words, **bare)
    return parser
