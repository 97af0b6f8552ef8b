"""`/livez`, `/readyz` and `/metrics`: what a supervisor and a dashboard ask.

Knows nothing of stories. `/metrics` answers this computer only, and not what a proxy passes on.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, request
from prometheus_client import CONTENT_TYPE_LATEST

from web.guards import FORWARDED
from web.metrics import Metrics

if TYPE_CHECKING:
    from generator.drafts.open_drafts import OpenDrafts


def health(drafts: OpenDrafts, metrics: Metrics, is_stopping: Callable[[], bool]) -> Blueprint:
    site = Blueprint("health", __name__)

    @site.get("/livez")
    def livez() -> dict[str, str]:
        """The loop answers; asks neither the store nor the engine."""
        return {"state": "alive"}

    @site.get("/readyz")
    def readyz() -> tuple[dict[str, Any], int]:
        """Whether stories can be stored and a model can write. Editing works while the engine is down."""
        if is_stopping():
            return {"state": "stopping"}, 503
        if drafts.storage_problem() is not None:
            return {"state": "storage"}, 503
        return ({"state": "ready"}, 200) if drafts.engine_is_up else ({"state": "engine_down"}, 503)

    @site.get("/metrics")
    def show() -> Response:
        forwarded = request.environ.get(FORWARDED) or "X-Forwarded-For" in request.headers
        if forwarded or not _is_here(request.remote_addr):
            abort(404)
        return Response(metrics.render(), content_type=CONTENT_TYPE_LATEST)

    return site


def _is_here(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False
