"""Health: the routes `/livez`, `/readyz` and `/metrics` for process supervisors and monitoring.

Owns the three routes. Knows nothing of stories. `/metrics` answers requests from this computer only, and none that came
through a proxy.
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
    """Return the routes. `is_stopping` says whether the server is shutting down."""
    site = Blueprint("health", __name__)

    @site.get("/livez")
    def livez() -> dict[str, str]:
        """Show that the event loop answers. This asks neither the store nor the engine."""
        return {"state": "alive"}

    @site.get("/readyz")
    def readyz() -> tuple[dict[str, Any], int]:
        """Say whether stories can be stored and a model can write. Editing works while the engine is down."""
        if is_stopping():
            return {"state": "stopping"}, 503
        if drafts.storage_problem() is not None:
            return {"state": "storage"}, 503
        return ({"state": "ready"}, 200) if drafts.engine_is_up else ({"state": "engine_down"}, 503)

    @site.get("/metrics")
    def metrics_text() -> Response:
        forwarded = request.environ.get(FORWARDED) or "X-Forwarded-For" in request.headers
        if forwarded or not _is_loopback(request.remote_addr):
            abort(404)
        return Response(metrics.render(), content_type=CONTENT_TYPE_LATEST)

    return site


def _is_loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False
