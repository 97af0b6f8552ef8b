"""Web application: Flask, Socket.IO and the guards around them.

Owns the order of the layers and the error handlers. Knows nothing of processes, the binding of ports and signals
(`server.py`), nor of the work of the open drafts and the library.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request
from flask_socketio import SocketIO  # type: ignore[import-untyped]
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from stories.errors import Refused
from web.addresses import Addresses, AddressGuard, AddressLimits
from web.broadcaster import Broadcaster
from web.errors import UNEXPECTED, error_body, status_of
from web.guards import EdgeGuard, WsgiApp, own_origins
from web.health import health
from web.loop_lag import LoopLag
from web.metrics import Metrics
from web.namespace import EVENTS, StoryNamespace
from web.owner import Owners
from web.pages import pages
from web.rest import MAX_JSON_BYTES, rest
from web.socket_guard import NAMESPACE, SocketGuard, SocketLimits, TextPacket

if TYPE_CHECKING:
    from generator.drafts.open_drafts import OpenDrafts
    from generator.library.library import Library
    from generator.models.menu import Menu

_HTTP_CODES = {403: "forbidden", 404: "not_found", 405: "method_not_allowed", 413: "too_large", 429: "rate_limited"}
_TICK_SECONDS = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """The settings of the web layers: the address, the cookie key, the folder of the files and the limits.

    `public_origin` is the origin under which others reach the server. `behind_proxy` trusts the headers of one proxy.
    """

    host: str
    port: int
    key: bytes
    root: Path
    async_mode: str
    public_origin: str | None = None
    behind_proxy: bool = False
    limits: SocketLimits = field(default_factory=SocketLimits)
    address_limits: AddressLimits = field(default_factory=AddressLimits)


class WebApp:
    """The layers of the web process. `wsgi` is the outermost one.

    Create the open drafts with `publish`, then pass them to `connect`. After that, `wsgi` can be served.
    """

    def __init__(self, edge: EdgeSettings) -> None:
        self._edge = edge
        self._is_stopping = False
        self.metrics = Metrics()
        self.lag = LoopLag(self.metrics.hub_lag.observe)
        self.flask = Flask("storygen", root_path=str(edge.root), static_folder=None)
        self.flask.url_map.merge_slashes = False  # Flask would redirect to another path
        self.flask.config["MAX_CONTENT_LENGTH"] = MAX_JSON_BYTES
        secure = (edge.public_origin or "").lower().startswith("https://")
        self._owners = Owners(edge.key, edge.port, secure)
        origins = own_origins(edge.host, edge.port, edge.public_origin)
        self._socketio = _socketio(self.flask, edge, sorted(origins))
        self._addresses = Addresses(edge.address_limits, edge.behind_proxy)
        self._guard = SocketGuard(self._socketio.server, edge.limits, self._addresses, self.metrics)
        self._broadcaster = Broadcaster(self._socketio.server, self.metrics, self._guard.is_slow, self._guard.drop)
        self.publish = self._broadcaster.publish
        inner: WsgiApp = AddressGuard(self.flask.wsgi_app, self._addresses, edge.address_limits, self.metrics.reject)
        if edge.behind_proxy:
            inner = ProxyFix(inner, x_for=1, x_proto=1)
        self.wsgi = EdgeGuard(inner, origins, edge.behind_proxy, self.metrics.reject)

    def connect(self, drafts: OpenDrafts, library: Library, menu: Menu) -> None:
        """Add the routes and events, which call the open drafts, the library and the menu."""
        namespace = StoryNamespace(
            drafts, self._owners, self._broadcaster, self.metrics, self._is_full, self._guard.charge
        )
        self._socketio.on_namespace(namespace)
        background = [name for name, event in EVENTS.items() if event.background]
        self._guard.answer_with(EVENTS, background, namespace.answer, self._broadcaster.answered)
        _identify(self.flask, self._owners)
        _answer_errors(self.flask)
        self.flask.register_blueprint(rest(library, menu))
        self.flask.register_blueprint(pages(self._edge.root / "static", self._owners))
        self.flask.register_blueprint(health(drafts, self.metrics, lambda: self._is_stopping))
        self.metrics.watch(drafts.figures)
        self._menu, self._drafts = menu, drafts

    def _is_full(self) -> bool:
        return self._is_stopping or self._guard.is_full()

    def start_tasks(self) -> None:
        """Start the background tasks: the probe of the loop lag, and the regular checks every two seconds."""
        self._socketio.start_background_task(self.lag.probe, self._socketio.sleep)
        self._socketio.start_background_task(self._tick_for_ever)

    def close_connections(self) -> None:
        """Close every connection and refuse new ones. The server would otherwise wait for them at the end."""
        self._is_stopping = True
        self._guard.close_all()

    def _tick_for_ever(self) -> None:
        shown: dict[str, Any] = {}
        while True:
            try:
                shown = self._tick(shown)
            except Exception:
                log.exception("The regular check of the menu and the connections failed")
            self._socketio.sleep(_TICK_SECONDS)

    def _tick(self, shown: dict[str, Any]) -> dict[str, Any]:
        self._guard.sweep()
        self._addresses.sweep()
        menu: dict[str, Any] = self._menu.as_json()
        if shown and menu != shown:
            self._broadcaster.publish_to_all("menu", menu)
            self._drafts.menu_changed()
        return menu


def _socketio(flask: Flask, edge: EdgeSettings, origins: list[str]) -> SocketIO:
    return SocketIO(
        flask,
        async_mode=edge.async_mode,
        serializer=TextPacket,
        namespaces=[NAMESPACE],
        transports=["websocket"],
        async_handlers=False,
        manage_session=False,
        cors_allowed_origins=origins,
        max_http_buffer_size=edge.limits.frame_bytes,
        ping_interval=10,
        ping_timeout=15,
        allow_upgrades=False,
    )


def _identify(flask: Flask, owners: Owners) -> None:
    @flask.before_request
    def know_owner() -> None:
        known = owners.of(request.cookies)
        g.is_new = known is None
        g.owner = known or owners.new()

    @flask.after_request
    def remember_owner(response: Response) -> Response:
        if g.get("is_new") and not response.headers.getlist("Set-Cookie"):
            owners.remember(response, g.owner)
        return response


def _answer_errors(flask: Flask) -> None:
    """Answer every error with JSON. The details of an unexpected error go to the log only."""

    @flask.errorhandler(Refused)
    def refused(error: Refused) -> tuple[dict[str, Any], int]:
        return error_body(error.code, error.message), status_of(error.code)

    @flask.errorhandler(HTTPException)
    def http(error: HTTPException) -> tuple[dict[str, Any], int]:
        status = error.code or 500
        return error_body(_HTTP_CODES.get(status, "invalid" if status < 500 else "internal"), error.name + "."), status

    @flask.errorhandler(Exception)
    def unexpected(error: Exception) -> tuple[dict[str, Any], int]:
        log.error("%s %s failed", request.method, request.url_rule, exc_info=error)
        return error_body("internal", UNEXPECTED), 500
