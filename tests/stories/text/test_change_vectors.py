"""The port of CodeMirror's algebra against what CodeMirror itself computed (tests/vectors/README.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stories.text.changes import ChangeSet
from stories.text.rebase import rebase
from stories.text.update import Update
from stories.text.utf16 import to_units

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "changes.json").read_text(encoding="utf-8"))


def canonical(value: object) -> object:
    """`value` as the wire carries it, surrogate pairs joined, so that it compares with the vectors' JSON."""
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("vector", VECTORS["pairs"], ids=range(len(VECTORS["pairs"])))
def test_pair(vector: dict[str, Any]) -> None:
    text, after_a = to_units(vector["text"]), to_units(vector["afterA"])
    a, b, following = (ChangeSet.from_json(vector[name]) for name in ("a", "b", "next"))
    assert canonical(a.to_json()) == vector["a"]
    assert a.apply(text) == after_a
    assert (a.length, a.new_length) == (len(text), vector["newLength"])
    assert canonical(a.map(b).to_json()) == vector["mapAfter"]
    assert canonical(a.map(b, before=True).to_json()) == vector["mapBefore"]
    assert canonical(a.compose(following).to_json()) == vector["composed"]
    assert a.map(b, before=True).apply(b.apply(text)) == to_units(vector["both"])
    assert [[a.map_pos(at, -1), a.map_pos(at, 1)] for at in range(len(text) + 1)] == vector["positions"]
    assert canonical([list(change) for change in a.iter_changes()]) == vector["ranges"]


@pytest.mark.parametrize("vector", VECTORS["rebases"], ids=range(len(VECTORS["rebases"])))
def test_rebase(vector: dict[str, Any]) -> None:
    def read(name: str) -> list[Update]:
        return [Update(client, "user", ChangeSet.from_json(changes)) for client, changes in vector[name]]

    rebased = rebase(read("updates"), read("over"))
    assert canonical([[update.client, update.changes.to_json()] for update in rebased]) == vector["rebased"]
    text = to_units(vector["text"])
    for update in [*read("over"), *rebased]:
        text = update.changes.apply(text)
    assert text == to_units(vector["result"])
