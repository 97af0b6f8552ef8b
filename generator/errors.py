"""Errors that reach a person: one type, with the contract's code and a sentence that says what to do."""

from __future__ import annotations


class SessionError(Exception):
    """`code` is one of the error codes of the Socket.IO contract (docs/protocol.md)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
