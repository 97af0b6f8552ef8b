"""What can go wrong with the store, in sentences a person can act on."""

from __future__ import annotations

import sqlite3


class StoreError(Exception):
    """Something could not be stored or read; the message is a sentence."""


class UnknownStory(StoreError):
    """There is no such story, or it is another owner's."""


class UnknownDraft(StoreError):
    """There is no such draft, or it is another owner's."""


class UnknownRevision(StoreError):
    """The draft never had this revision."""


class TooLong(StoreError):
    """More of a log was asked for than is read at once."""


class SchemaTooNew(StoreError):
    """The file was written by a newer version of the program."""


class Damaged(StoreError):
    """The file is no sound database."""


class StorageFailed(StoreError):
    """The disk is full, read-only, locked or broken. What was stored before is intact; trying again may work."""


# SQLite's own words, since Python 3.10 does not pass on its error codes.
_SENTENCES = (
    ("disk is full", StorageFailed, "The disk is full; free some space, then it goes on."),
    ("readonly", StorageFailed, "The data folder is read-only; make it writable."),
    ("locked", StorageFailed, "Another program is using the stories; close it."),
    ("unable to open", StorageFailed, "The file of the stories cannot be opened; is its folder there and writable?"),
    ("constraint failed", StoreError, "That contradicts what is stored already."),
    ("malformed", Damaged, "The file of the stories is damaged; restart to have it checked."),
    ("not a database", Damaged, "The file of the stories is not a database."),
)


def store_error(error: sqlite3.Error) -> StoreError:
    """The StoreError that stands for SQLite's `error`."""
    for words, kind, sentence in _SENTENCES:
        if words in str(error):
            return kind(sentence)
    return StorageFailed(f"The stories cannot be read or written ({error}).")
