"""Menu: the models that each mode offers, the meaning of each name, and the reason why an entry cannot write.

Owns the allow-list: the program loads only models that are entries of the menu. Reads `static/config.js` again when it
changes; while that file has a mistake, the last good menu stays in force. Knows nothing of loading, of drafts or of the
network protocol.
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
from generator.models.menu_file import MODES, MenuFileEntry, MenuFileError
from generator.models.model_folder import Unusable
from generator.wire.messages import ModelSpec
from stories.errors import ModelUnavailable, Refused, UnknownModel

DEFAULT_PROMPT_TEMPLATE = "<|endoftext|>[WP] {prompt} [RESPONSE] "

_RESOLVED_VALID_SECONDS = 3.0
_FAILURE_SECONDS = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """One model of the menu.

    `model` is the value in the menu file, `spec` the same for the engine. `template` is None in mode `continue`.
    `reason` is a sentence that says why the model is unavailable, and is empty if it is available. `precision` is the
    number format of the last load, with its error, and is empty before the first load.
    """

    name: str
    model: str
    mode: str
    spec: ModelSpec
    template: str | None
    reason: str = ""
    precision: str = ""

    @property
    def available(self) -> bool:
        """Whether the model can write."""
        return not self.reason

    def as_json(self) -> dict[str, Any]:
        """Return the entry as the protocol shows it, without empty fields."""
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
    """The entries by mode, in the order of the page. `error` describes a mistake in the menu file, or is empty."""

    entries: dict[str, tuple[MenuEntry, ...]]
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Resolved:
    """The meaning of a value of the menu file, why it is unavailable, and the monotonic time of this result."""

    spec: ModelSpec
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class _Failure:
    """A failed load. It makes the model unavailable until the monotonic time `until`."""

    reason: str
    until: float


class Menu:
    """The menu of one server.

    `root` is the folder of the models' folders, `config` the menu file. `hub` answers for models without a folder.
    `fakes` adds test models (`instant`, `paced-30`, …).
    """

    def __init__(self, root: Path, config: Path, hub: HubCheck, fakes: Sequence[str] = ()) -> None:
        self._root, self._config, self._hub, self._fakes = root, config, hub, fakes
        self._lock = threading.Lock()
        self._file_version: object = None
        self._file_entries: dict[str, tuple[MenuFileEntry, ...]] = dict.fromkeys(MODES, ())
        self._error = ""
        self._resolved: dict[str, _Resolved] = {}
        self._failures: dict[str, _Failure] = {}
        self._precisions: dict[str, str] = {}

    def current(self) -> MenuState:
        """Return the present menu, without waiting for the hub. Folders are checked at most every few seconds."""
        with self._lock:
            self._reread()
            return MenuState({mode: tuple(self._entries(mode)) for mode in MODES}, self._error)

    def find(self, mode: str, name: str) -> MenuEntry | None:
        """Return the entry of this name, or None, without checking the other entries."""
        with self._lock:
            self._reread()
            offered = self._offered(mode) if mode in MODES else ()
            return next((self._entry(mode, entry) for entry in offered if entry.name == name), None)

    def usable(self, mode: str, name: str) -> MenuEntry:
        """Return the entry of this name. Raises UnknownModel, or ModelUnavailable if it cannot write."""
        entry = self.find(mode, name)
        if entry is None:
            raise UnknownModel(name)
        if not entry.available:
            raise ModelUnavailable(name, entry.reason)
        return entry

    def first_available(self, mode: str) -> str:
        """Return the name of the first entry that can write. Raises Refused if no entry can."""
        for entry in self.current().entries[mode]:
            if entry.available:
                return entry.name
        raise Refused("model_unavailable", "No model is available. The menu says why.")

    def as_json(self) -> dict[str, Any]:
        """Return the body of `GET /api/models` and of the event `menu`."""
        state = self.current()
        shown: dict[str, Any] = {
            mode: [entry.as_json() for entry in entries] for mode, entries in state.entries.items()
        }
        return shown | ({"error": state.error} if state.error else {})

    def mark(self, spec_key: str, available: bool, reason: str = "", precision: str = "") -> None:
        """Record the result of loading a model. A failure counts for a minute, so that loading can be tried again."""
        with self._lock:
            if precision:
                self._precisions[spec_key] = precision
            if available:
                self._failures.pop(spec_key, None)
            else:
                until = time.monotonic() + _FAILURE_SECONDS
                self._failures[spec_key] = _Failure(reason or "The model could not be loaded.", until)

    def _reread(self) -> None:
        """Read the menu file if it has changed since the last call. A mistake in it only sets `_error`."""
        try:
            status = self._config.stat()
            version: object = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError as error:
            version = repr(error)
        if version == self._file_version:
            return
        self._file_version = version
        try:
            self._file_entries, self._error = menu_file.parse(self._config.read_bytes()), ""
            self._resolved.clear()
            self._failures.clear()
        except OSError as error:
            self._error = f"{self._config.name} cannot be read: {error.strerror}."
        except MenuFileError as error:
            self._error = f"{self._config.name} has a mistake. {error}"
        if self._error:
            log.warning("%s The last good menu stays in force.", self._error)

    def _entries(self, mode: str) -> Iterator[MenuEntry]:
        names = set()
        for entry in self._offered(mode):
            if entry.name not in names:
                names.add(entry.name)
                yield self._entry(mode, entry)

    def _offered(self, mode: str) -> tuple[MenuFileEntry, ...]:
        """Return the entries of the file, then the built-in ones. The first entry of a name counts."""
        return (*self._file_entries[mode], *self._built_in(mode))

    def _built_in(self, mode: str) -> Iterator[MenuFileEntry]:
        """Yield the bundled model and the test models, as if the menu file named them."""
        template = bundled.PROMPT_TEMPLATE if mode == "prompt" else None
        yield MenuFileEntry(bundled.NAME, f"bundled:{bundled.FOLDER.name}", template)
        for fake in self._fakes:
            yield MenuFileEntry(_fake_name(fake), f"fake:{fake}")

    def _entry(self, mode: str, entry: MenuFileEntry) -> MenuEntry:
        resolved = self._resolve(entry.model)
        spec, reason = replace(resolved.spec, window=entry.window), resolved.reason
        failure = self._failures.get(spec.key)
        if not reason and failure and time.monotonic() < failure.until:
            reason = failure.reason
        template = (entry.prompt_template or DEFAULT_PROMPT_TEMPLATE) if mode == "prompt" else None
        return MenuEntry(entry.name, entry.model, mode, spec, template, reason, self._precisions.get(spec.key, ""))

    def _resolve(self, model: str) -> _Resolved:
        """Return the meaning of a value of the menu file, from the last look-up if it is recent."""
        resolved = self._resolved.get(model)
        if resolved is None or time.monotonic() - resolved.at > _RESOLVED_VALID_SECONDS:
            spec, reason = self._look_up(model)
            resolved = self._resolved[model] = _Resolved(spec, reason, time.monotonic())
        return resolved

    def _look_up(self, model: str) -> tuple[ModelSpec, str]:
        """Return the meaning of a value of the menu file, and why it is unavailable (empty if it is available)."""
        # Names of folders and hub ids have no colon, so these two kinds cannot be mistaken for them.
        if model.startswith("fake:"):
            return ModelSpec("fake", model.removeprefix("fake:")), ""
        if model == f"bundled:{bundled.FOLDER.name}":
            reason = "" if bundled.is_ready(self._root) else "It is not installed. Start StoryGen again with run_local."
            return ModelSpec("bundled", str(self._root / bundled.FOLDER)), reason
        try:
            folder = model_folder.locate(self._root, model)
            if folder is not None:
                model_folder.check(folder, within=self._root)
        except Unusable as error:
            return ModelSpec("folder", model), str(error)
        if folder is not None:
            return ModelSpec("folder", str(folder)), ""
        if not MODEL_ID.fullmatch(model):
            return ModelSpec("folder", model), "No folder beside server.py has this name."
        return ModelSpec("hub", model), self._hub.reason(model)


def _fake_name(fake: str) -> str:
    """Return the name that the page shows: `Fake` for the ordinary test model, `Fake instant` and so on for others."""
    return "Fake" if fake == "paced-30" else f"Fake {fake}"
