"""Errors: refusals of a request, each with the protocol's code and a sentence that says what to do.

Owns the codes of the protocol's events, and the refusals that several modules raise. A refusal is raised where the
problem is found and reaches the page unchanged. Knows nothing of sockets, HTTP or SQL.
"""

from __future__ import annotations

CODES = (
    *("invalid", "unknown_draft", "unknown_model", "model_unavailable", "behind", "too_large", "busy"),
    *("rate_limited", "storage", "engine_down", "protocol"),
)
"""The codes that the acknowledgement of an event may have. docs/protocol.md describes each; REST has more."""


class Refused(Exception):
    """A request was refused and changed nothing. `code` is the protocol's, `message` a sentence for the user."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Behind(Refused):
    """The revision is too old to be reached from the log."""

    def __init__(self) -> None:
        super().__init__("behind", "This page is too far behind. Open the draft again.")


class PastEnd(Refused):
    """The offset is beyond the end of the text."""

    def __init__(self) -> None:
        super().__init__("invalid", "That place is past the end of the text at that revision.")


class UnknownModel(Refused):
    """The menu has no model of this name for the story's mode."""

    def __init__(self, name: str) -> None:
        super().__init__("unknown_model", f"There is no model {name!r} in the menu. Choose another model.")


class ModelUnavailable(Refused):
    """The model is in the menu but cannot write. `reason` is a sentence."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__("model_unavailable", f"{name}: {reason}")


class StoreError(Refused):
    """The store could not do what was asked. Subclasses are the reasons."""

    def __init__(self, message: str, code: str = "storage") -> None:
        super().__init__(code, message)


class UnknownStory(StoreError):
    """The story does not exist, or belongs to another owner."""

    def __init__(self) -> None:
        super().__init__("There is no such story.", "unknown_story")


class UnknownDraft(StoreError):
    """The draft does not exist, or belongs to another owner."""

    def __init__(self) -> None:
        super().__init__("There is no such draft.", "unknown_draft")


class UnknownRevision(StoreError):
    """The draft never had this revision."""

    def __init__(self) -> None:
        super().__init__("The draft has no such revision.", "invalid")


class TooLong(StoreError):
    """The requested part of a log is larger than one read may be."""


class SchemaTooNew(StoreError):
    """A newer version of the program wrote the file."""


class Damaged(StoreError):
    """The file is not a sound database."""


class StorageFailed(StoreError):
    """The disk is full, read-only, locked or broken. Stored stories are intact, and a later attempt may succeed."""
