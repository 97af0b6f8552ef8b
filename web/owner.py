"""Owner: the id that tells whose stories a browser sees, in a signed cookie.

Owns the name, format and attributes of the cookie, and the file of the signing key. Knows nothing of stories. There are
no accounts: a browser with the cookie is the owner.
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
    """The reader and writer of the owner cookie.

    The name of the cookie contains the port, because browsers share cookies between the ports of a host. With `secure`,
    browsers send the cookie over HTTPS only.
    """

    def __init__(self, key: bytes, port: int, secure: bool) -> None:
        self.cookie = f"storygen_{port}"
        self._secure = secure
        self._signer = Signer(key, salt="storygen.owner", digest_method=hashlib.sha256)

    def new(self) -> str:
        """Return a new random owner id."""
        return secrets.token_hex(16)

    def of(self, cookies: Mapping[str, str]) -> str | None:
        """Return the owner in these cookies, or None if the cookie is missing or its signature is wrong."""
        try:
            return self._signer.unsign(cookies.get(self.cookie, "")).decode()
        except (BadSignature, UnicodeDecodeError):
            return None

    def remember(self, response: Response, owner: str) -> None:
        """Set the owner cookie in the response."""
        value = self._signer.sign(owner).decode()
        response.set_cookie(
            self.cookie, value, max_age=_LIFETIME, httponly=True, samesite="Strict", secure=self._secure, path="/"
        )


def signing_key(path: Path) -> bytes:
    """Return the signing key in the file `path`. A missing or damaged file is replaced by a new key.

    The file is readable by its owner only. Raise OSError if it cannot be read or written.
    """
    if path.exists() and len(key := path.read_bytes()) == _KEY_BYTES:
        return key
    key = secrets.token_bytes(_KEY_BYTES)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600), "wb") as file:
        file.write(key)
    fresh.replace(path)
    return key
