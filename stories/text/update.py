"""Update: one change to a draft, with its author and, for model text, its tokens.

Owns the value types that the log, the reducer and the wire share. Knows nothing of storage or engines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stories.text.changes import ChangeSet

USER = "user"
SERVER_CLIENT = "server"
MODEL_CLIENT = "model"


@dataclass(frozen=True, slots=True)
class Token:
    """A token of model text.

    `length` is in UTF-16 units. It is 0 for a token that ends inside a character: the token that completes the
    character carries the length of both.
    """

    id: int
    length: int
    logprob: float


@dataclass(frozen=True, slots=True)
class Update:
    """One change, made by `author` and sent by `client`.

    `author` is `user` or `model:<menu name>`; `client` is a page's id, `server` or `model`. The lengths of `tokens`
    (model updates only) add up to the inserted text, and `tokenizer` names the vocabulary of their ids. `authors`
    (undo only) are `(length, author)` runs over the inserted text, which restore its authors.
    """

    client: str
    author: str
    changes: ChangeSet
    tokens: tuple[Token, ...] = ()
    tokenizer: str = ""
    authors: tuple[tuple[int, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the update as the protocol shows it, in the `updates` event and in the answer to `open`.

        Tokens are reduced to length and log-probability; `tokens` and `authors` are left out if empty.
        """
        body: dict[str, Any] = {"client": self.client, "author": self.author, "changes": self.changes.to_json()}
        if self.tokens:
            body["tokens"] = [[token.length, token.logprob] for token in self.tokens]
        if self.authors:
            body["authors"] = [list(run) for run in self.authors]
        return body
