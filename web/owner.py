"""Whose stories a browser sees: an id in a signed cookie, and the key it is signed with.

Owns the cookie's name, form and attributes and the key file. Knows nothing of stories. There are no accounts:
whoever has the cookie is the owner.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from flask import Response
from itsdangerous import BadSignature, Signer

_KEY_BYTES = 32
_LIFETIME = 400 * 24 * 3600  # seconds; browsers keep no cookie longer


class Owners:
    """Reads and writes the cookie. Its name carries the port, since cookies are shared between ports."""

    def __init__(self, key: bytes, port: int, secure: bool) -> None:
        self.cookie = f"storygen_{port}"
        self._secure = secure
        self._signer = Signer(key, salt="storygen.owner", digest_method=hashlib.sha256)

    def new(self) -> str:
        return secrets.token_hex(16)

    def of(self, cookies: Mapping[str, str]) -> str | None:
        """The owner these cookies name, or None where there is no cookie or its signature is wrong."""
        try:
            return self._signer.unsign(cookies.get(self.cookie, "")).decode()
        except (BadSignature, UnicodeDecodeError):
            return None

    def remember(self, response: Response, owner: str) -> None:
        value = self._signer.sign(owner).decode()
        response.set_cookie(
            self.cookie, value, max_age=_LIFETIME, httponly=True, samesite="Strict", secure=self._secure, path="/"
        )


def signing_key(path: Path) -> bytes:
    """The key in `path`, readable by its owner only; made at the first start. Raises OSError."""
    if path.exists() and len(key := path.read_bytes()) == _KEY_BYTES:
        return key
    key = secrets.token_bytes(_KEY_BYTES)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600), "wb") as file:
        file.write(key)
    fresh.replace(path)
    return key
