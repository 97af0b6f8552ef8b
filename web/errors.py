"""What a refusal looks like outside: its code, its sentence and, for REST, its HTTP status.

Knows nothing of what was refused.
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
UNEXPECTED = "Something went wrong in the server; its log says what. Nothing was changed."


def error_body(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def refusal(code: str, message: str) -> dict[str, Any]:
    """The acknowledgement of an event that is refused."""
    return {"ok": False, **error_body(code, message)}


def status_of(code: str) -> int:
    return STATUSES.get(code, 400)
