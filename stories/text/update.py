"""Update: one change to a draft, with who made it and, for model text, the tokens it is made of.

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
    """A token as it stands in the text.

    `length` is in UTF-16 units and is 0 for a token that ends inside a character: the token that
    completes the character carries its whole length.
    """

    id: int
    length: int
    logprob: float


@dataclass(frozen=True, slots=True)
class Update:
    """`author` is `user` or `model:<menu name>`; `client` is the page's id, `server` or `model`.

    `tokens` (model updates) sum to the insertion. `tokenizer` names the vocabulary their ids belong to.
    `authors` (undo only) are `(length, author)` runs over the inserted text, restoring who wrote it.
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
