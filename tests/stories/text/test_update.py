"""Update: its JSON form in the protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stories.text.changes import ChangeSet
from stories.text.update import MODEL_CLIENT, USER, Token, Update

CHANGES = ChangeSet.insert(3, 3, "ab")


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        (Update("page", USER, CHANGES), {"client": "page", "author": "user", "changes": [3, [0, "ab"]]}),
        (
            Update(MODEL_CLIENT, "model:m", CHANGES, (Token(7, 0, -0.5), Token(8, 2, -1.25)), "vocabulary"),
            {
                "client": "model",
                "author": "model:m",
                "changes": [3, [0, "ab"]],
                "tokens": [[0, -0.5], [2, -1.25]],
            },
        ),
        (
            Update("page", USER, CHANGES, authors=((1, "model:m"), (1, USER))),
            {
                "client": "page",
                "author": "user",
                "changes": [3, [0, "ab"]],
                "authors": [[1, "model:m"], [1, "user"]],
            },
        ),
    ],
    ids=["typed", "by a model", "undo"],
)
def test_json_has_the_fields_of_the_protocol_and_no_empty_ones(update: Update, expected: dict[str, Any]) -> None:
    assert json.loads(json.dumps(update.to_json())) == expected
