"""Errors: the JSON form of a refusal and the HTTP status of each error code.

Owns the statuses and the sentence for unexpected errors. Knows nothing of the refused requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STATUSES: Mapping[str, int] = {
    "invalid": 400,
    "protocol": 400,
    "forbidden": 403,
    "not_found": 404,
    "unknown_draft": 404,
    "unknown_story": 404,
    "method_not_allowed": 405,
    "behind": 409,
    "unknown_model": 422,
    "too_large": 413,
    "rate_limited": 429,
    "storage": 500,
    "internal": 500,
    "busy": 503,
    "engine_down": 503,
    "model_unavailable": 503,
}
UNEXPECTED = "An unexpected error occurred on the server. Nothing was changed. The server log has the details."


def error_body(code: str, message: str) -> dict[str, Any]:
    """Return the JSON body of an error."""
    return {"error": {"code": code, "message": message}}


def refusal(code: str, message: str) -> dict[str, Any]:
    """Return the acknowledgement of a refused event."""
    return {"ok": False, **error_body(code, message)}


def status_of(code: str) -> int:
    """Return the HTTP status of an error code. An unknown code has the status 400."""
    return STATUSES.get(code, 400)
