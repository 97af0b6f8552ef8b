"""The protocol page: `docs/protocol.md` lists every event, field, type, code, route and setting of the code."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from generator.wire.sampling_params import RANGES, WordList
from stories.errors import CODES
from stories.text.changes import ChangeSet
from stories.text.update import Token, Update
from web import payloads
from web.app import EdgeSettings, WebApp
from web.errors import STATUSES
from web.namespace import EVENTS, PROTOCOL
from web.payloads import fields_of

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "protocol.md").read_text("utf-8")
SECTIONS = {
    title.strip(): body for title, _, body in (part.partition("\n") for part in re.split(r"^#{2,3} ", PAGE, flags=re.M))
}
SHAPES: dict[str, type] = {
    "auth": payloads.Auth,
    **{name: event.payload for name, event in EVENTS.items()},
    "edit: each of `updates`": payloads.EditUpdate,
    "POST /api/stories": payloads.CreateStoryRequest,
    "PATCH /api/stories/<story>": payloads.RenameStoryRequest,
    "POST /api/stories/<story>/drafts": payloads.CreateDraftRequest,
}


def rows(section: str) -> list[list[str]]:
    """Return the cells of the section's first table, without its header."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize(("section", "shape"), SHAPES.items(), ids=list(SHAPES))
def test_fields_of_payloads(section: str, shape: type) -> None:
    documented = [(name, words) for name, words, *_ in rows(section)]
    fields = fields_of(cast(Any, shape)).values()
    assert documented == [(f"`{f.name}`{'?' if f.optional else ''}", f.check.words) for f in fields]


def test_events_of_the_client() -> None:
    part = PAGE.partition("## Events of the client")[2].partition("\n## ")[0]
    titles = [title for title in re.findall(r"^### (.+)$", part, re.M) if ":" not in title]
    assert titles == list(EVENTS)


def test_the_protocol_version() -> None:
    assert f"The protocol version is {PROTOCOL}." in PAGE


def test_error_codes_and_their_statuses() -> None:
    documented = {code.strip("`"): (int(status), words) for code, status, words in rows("Errors")}
    assert {code: status for code, (status, _) in documented.items()} == STATUSES
    codes_of_events = {code for code, (_, words) in documented.items() if "HTTP only" not in words}
    assert codes_of_events == set(CODES)


def test_routes(tmp_path: Path) -> None:
    app = WebApp(EdgeSettings("127.0.0.1", 1, b"k" * 32, tmp_path, "threading"))
    unused = cast(Any, SimpleNamespace(figures=dict))
    app.connect(unused, unused, unused)
    routes = {
        f"{method} {rule.rule}"
        for rule in app.flask.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {route.strip("`") for route, _ in rows("REST")} == routes


def test_sampling_settings() -> None:
    documented = {name.strip("`"): words for name, words in rows("sampling")}
    assert documented.keys() == RANGES.keys()
    for name, allowed in RANGES.items():
        if isinstance(allowed, WordList):
            assert f"at most {allowed.count} words or phrases of at most {allowed.length}" in documented[name]
        elif allowed.type is not bool:
            assert f"{allowed.low:g} to {allowed.high:.16g}" in documented[name]
            assert ("whole number" in documented[name]) == (allowed.type is int)
            assert ("null" in documented[name]) == allowed.nullable


def test_fields_of_an_update() -> None:
    update = Update("c", "user", ChangeSet.identity(1), (Token(1, 1, -1.0),), "t", ((1, "user"),))
    (entry,) = re.findall(r"`\[\{(.+?)\}, …\]`", SECTIONS["updates"])
    assert {name.strip().rstrip("?") for name in entry.split(",")} == update.to_json().keys()
