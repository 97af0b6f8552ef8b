"""The model menu: what is on offer in each mode, what each name means, and why something cannot be had.

Owns the allow-list: nothing is ever loaded that is not an entry here. Re-reads `static/config.js` when it changes;
a broken file leaves the last good menu in force. Knows nothing of loading, drafts or the network's protocol.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from generator.models import bundled, menu_file, model_folder
from generator.models.hub_check import MODEL_ID, HubCheck
from generator.models.menu_file import MODES, MenuFileError, MenuLine
from generator.models.model_folder import Unusable
from generator.wire.messages import ModelSpec
from stories.errors import ModelUnavailable, Refused, UnknownModel

DEFAULT_PROMPT_TEMPLATE = "<|endoftext|>[WP] {prompt} [RESPONSE] "

_FOLDER_SECONDS = 3.0
_FAILURE_SECONDS = 60.0
_NO_LINES: dict[str, tuple[MenuLine, ...]] = dict.fromkeys(MODES, ())

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """`model` is what the menu file says; `spec` what the engine is told; `template` is None in mode `continue`.
    `reason` says in a sentence why it is not available, and is empty if it is. `precision` is the number format it
    computed in when it was last loaded, and that format's error; empty before."""

    name: str
    model: str
    mode: str
    spec: ModelSpec
    template: str | None
    reason: str = ""
    precision: str = ""

    @property
    def available(self) -> bool:
        return not self.reason

    def as_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"name": self.name, "model": self.model, "available": self.available}
        optional = {
            "reason": self.reason or None,
            "template": self.template,
            "window": self.spec.window,
            "precision": self.precision or None,
        }
        return shown | {key: value for key, value in optional.items() if value is not None}


@dataclass(frozen=True, slots=True)
class MenuState:
    """The entries by mode, in the order they are shown; `error` says what is wrong with the menu file, if anything."""

    entries: dict[str, tuple[MenuEntry, ...]]
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Failure:
    reason: str
    until: float


class Menu:
    """`root` is where models' folders lie, `config` the menu file. `fakes` adds the test models so named (`instant`,
    `paced-30`, …). `hub` is asked for what is no folder."""

    def __init__(self, root: Path, config: Path, hub: HubCheck, fakes: Sequence[str] = ()) -> None:
        self._root, self._config, self._hub, self._fakes = root, config, hub, fakes
        self._lock = threading.Lock()
        self._stamp: object = None
        self._lines, self._error = _NO_LINES, ""
        self._folders: dict[str, tuple[float, ModelSpec, str]] = {}
        self._failures: dict[str, _Failure] = {}
        self._precisions: dict[str, str] = {}

    def current(self) -> MenuState:
        """The menu as it is now. Cheap: files are looked at again only every few seconds, and nothing is waited for."""
        with self._lock:
            self._reread()
            return MenuState({mode: tuple(self._entries(mode)) for mode in MODES}, self._error)

    def find(self, mode: str, name: str) -> MenuEntry | None:
        """One entry of the menu as it is now, without looking at the others."""
        with self._lock:
            self._reread()
            lines = self._all_lines(mode) if mode in MODES else ()
            return next((self._entry(mode, line) for line in lines if line.name == name), None)

    def usable(self, mode: str, name: str) -> MenuEntry:
        """Return the entry of this name. Raises UnknownModel, or ModelUnavailable where it cannot write."""
        entry = self.find(mode, name)
        if entry is None:
            raise UnknownModel(name)
        if not entry.available:
            raise ModelUnavailable(name, entry.reason)
        return entry

    def first_available(self, mode: str) -> str:
        """Return the name of the first entry that can write. Raises Refused where there is none."""
        for entry in self.current().entries[mode]:
            if entry.available:
                return entry.name
        raise Refused("model_unavailable", "No model is available; the menu says why.")

    def as_json(self) -> dict[str, Any]:
        """The body of `GET /api/models` and of the event `menu`."""
        state = self.current()
        shown: dict[str, Any] = {
            mode: [entry.as_json() for entry in entries] for mode, entries in state.entries.items()
        }
        return shown | ({"error": state.error} if state.error else {})

    def mark(self, spec_key: str, available: bool, reason: str = "", precision: str = "") -> None:
        """What came of loading a model. A failure counts for a minute, so that it can be tried again."""
        with self._lock:
            if precision:
                self._precisions[spec_key] = precision
            if available:
                self._failures.pop(spec_key, None)
            else:
                until = time.monotonic() + _FAILURE_SECONDS
                self._failures[spec_key] = _Failure(reason or "It could not be loaded.", until)

    def _reread(self) -> None:
        try:
            status = self._config.stat()
            stamp: object = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError as error:
            stamp = repr(error)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._lines, self._error = menu_file.parse(self._config.read_bytes()), ""
            self._folders.clear()
            self._failures.clear()
        except OSError as error:
            self._error = f"{self._config.name} cannot be read: {error.strerror}."
        except MenuFileError as error:
            self._error = f"{self._config.name} has a mistake: {error}."
        if self._error:
            log.warning("%s The last good menu stays in force.", self._error)

    def _entries(self, mode: str) -> Iterator[MenuEntry]:
        names = set()
        for line in self._all_lines(mode):
            if line.name not in names:
                names.add(line.name)
                yield self._entry(mode, line)

    def _all_lines(self, mode: str) -> tuple[MenuLine, ...]:
        """Of those that have the same name the first one counts."""
        return (*self._lines[mode], *self._always(mode))

    def _always(self, mode: str) -> Iterator[MenuLine]:
        template = bundled.PROMPT_TEMPLATE if mode == "prompt" else None
        yield MenuLine(bundled.NAME, f"bundled:{bundled.FOLDER.name}", template)
        for fake in self._fakes:
            yield MenuLine(_fake_name(fake), f"fake:{fake}")

    def _entry(self, mode: str, line: MenuLine) -> MenuEntry:
        spec, reason = self._resolve(line.model)
        spec = replace(spec, window=line.window)
        failure = self._failures.get(spec.key)
        if not reason and failure and time.monotonic() < failure.until:
            reason = failure.reason
        template = (line.prompt_template or DEFAULT_PROMPT_TEMPLATE) if mode == "prompt" else None
        return MenuEntry(line.name, line.model, mode, spec, template, reason, self._precisions.get(spec.key, ""))

    def _resolve(self, model: str) -> tuple[ModelSpec, str]:
        """What an entry's value means, and why it cannot be had."""
        at, spec, reason = self._folders.get(model, (0.0, ModelSpec("", ""), ""))
        if not spec.source or time.monotonic() - at > _FOLDER_SECONDS:
            spec, reason = self._look_up(model)
            self._folders[model] = (time.monotonic(), spec, reason)
        return spec, reason

    def _look_up(self, model: str) -> tuple[ModelSpec, str]:
        # No folder and no hub id has a colon in its name, so these two cannot be mistaken for one.
        if model.startswith("fake:"):
            return ModelSpec("fake", model.removeprefix("fake:")), ""
        if model == f"bundled:{bundled.FOLDER.name}":
            missing = "" if bundled.is_ready(self._root) else "It is not installed; start with run_local once more."
            return ModelSpec("bundled", str(self._root / bundled.FOLDER)), missing
        try:
            folder = model_folder.locate(self._root, model)
            if folder is not None:
                model_folder.check(folder, within=self._root)
        except Unusable as error:
            return ModelSpec("folder", model), str(error)
        if folder is not None:
            return ModelSpec("folder", str(folder)), ""
        if not MODEL_ID.fullmatch(model):
            return ModelSpec("folder", model), "There is no such folder beside server.py."
        return ModelSpec("hub", model), self._hub.reason(model)


def _fake_name(fake: str) -> str:
    """`Fake` for the ordinary one; the others are called after what they do."""
    return "Fake" if fake == "paced-30" else f"Fake {fake}"
