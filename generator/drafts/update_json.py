"""An update in the contract's JSON form."""

from __future__ import annotations

from typing import Any

from stories.text.update import Update


def update_json(update: Update) -> dict[str, Any]:
    """An update as the contract's `updates` event and `open` show it."""
    body: dict[str, Any] = {"client": update.client, "author": update.author, "changes": update.changes.to_json()}
    if update.tokens:
        body["tokens"] = [[token.length, token.logprob] for token in update.tokens]
    if update.authors:
        body["authors"] = [list(run) for run in update.authors]
    return body
