"""What one network address may do, counted over all its connections and requests: WSGI middleware and a table.

Owns the limits of an address and the table of those that were seen lately. Behind a proxy the address is the one it
forwards, which has been put in place before; otherwise this computer's own address has no limits. An IPv6 address
counts with its network of 64 bits, all of which one customer has. Knows nothing of routes, cookies and drafts.
"""

from __future__ import annotations

import ipaddress
import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from web.errors import error_body
from web.guards import Environ, StartResponse, WsgiApp
from web.token_bucket import TokenBucket

_CHANGING = ("POST", "PUT", "PATCH", "DELETE")
_FORGET_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class AddressLimits:
    """`open`: connections and requests at a time. The rest are rates per second with what may come at once;
    `changes` are requests that change something, such as new stories; `bytes` are those received."""

    open: int = 100
    requests: float = 50
    requests_burst: float = 500
    changes: float = 1
    changes_burst: float = 120
    bytes: float = 4_000_000
    bytes_burst: float = 100_000_000  # a file to import may have 64 MB
    known: int = 20_000


@dataclass(slots=True)
class AddressUse:
    """Where one address stands. `used` is when it was last seen, by the monotonic clock."""

    requests: TokenBucket
    changes: TokenBucket
    bytes: TokenBucket
    open: int = 0
    used: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def owe(self, amount: int) -> float:
        """Count received bytes; returns the seconds to wait before more is read."""
        with self.lock:
            return self.bytes.borrow(amount)


class Addresses:
    def __init__(self, limits: AddressLimits, behind_proxy: bool) -> None:
        self._limits, self._behind_proxy = limits, behind_proxy
        self._standings: dict[str, AddressUse] = {}
        self._lock = threading.Lock()

    def of(self, environ: Environ) -> AddressUse | None:
        """The standing of the address a request comes from; None for one without limits."""
        name = self._name(environ.get("REMOTE_ADDR", ""))
        if name is None:
            return None
        with self._lock:
            if (standing := self._standings.get(name)) is None:
                standing = self._standings[name] = self._new()
            standing.used = time.monotonic()
            if len(self._standings) > self._limits.known:
                for _, longest_gone in self._unconnected()[: self._limits.known // 2]:
                    del self._standings[longest_gone]
            return standing

    def sweep(self) -> None:
        """Forget the addresses that have been away for a while."""
        with self._lock:
            for used, name in self._unconnected():
                if time.monotonic() - used > _FORGET_SECONDS:
                    del self._standings[name]

    def _name(self, address: str) -> str | None:
        try:
            known = ipaddress.ip_address(_without_port(address))
        except ValueError:
            return address
        if isinstance(known, ipaddress.IPv6Address):
            known = known.ipv4_mapped or known
        if known.is_loopback and not self._behind_proxy:
            return None
        if isinstance(known, ipaddress.IPv6Address):
            return str(ipaddress.IPv6Network((known, 64), strict=False))
        return str(known)

    def _new(self) -> AddressUse:
        limits = self._limits
        return AddressUse(
            TokenBucket(limits.requests, limits.requests_burst),
            TokenBucket(limits.changes, limits.changes_burst),
            TokenBucket(limits.bytes, limits.bytes_burst),
        )

    def _unconnected(self) -> list[tuple[float, str]]:
        """When each address that is not connected was seen last, the longest ago first."""
        return sorted((standing.used, name) for name, standing in self._standings.items() if not standing.open)


def _without_port(address: str) -> str:
    """Some proxies forward the port as well: `192.0.2.1:1234`, `[2001:db8::1]:1234`."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


class AddressGuard:
    """WSGI middleware: counts what is open, a WebSocket for as long as it lasts, and refuses what is too much."""

    def __init__(
        self, app: WsgiApp, addresses: Addresses, limits: AddressLimits, rejected: Callable[[str], None]
    ) -> None:
        self._app, self._addresses, self._limits, self._rejected = app, addresses, limits, rejected

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        standing = self._addresses.of(environ)
        if standing is None:
            return self._app(environ, start_response)
        with standing.lock:
            if not self._admits(standing, environ):
                self._rejected("address")
                return _refuse(start_response)
            standing.open += 1
        try:
            return self._app(environ, start_response)
        finally:
            with standing.lock:
                standing.open -= 1

    def _admits(self, standing: AddressUse, environ: Environ) -> bool:
        if standing.open >= self._limits.open or not standing.requests.take():
            return False
        if environ["REQUEST_METHOD"] not in _CHANGING:
            return True
        length = environ.get("CONTENT_LENGTH") or ""
        size = int(length) if length.isdecimal() and len(length) < 15 else 0
        return standing.changes.take() and standing.bytes.take(size)


def _refuse(respond: StartResponse) -> Iterable[bytes]:
    body = json.dumps(error_body("rate_limited", "Too much comes from your address; wait a moment.")).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Retry-After", "10")]
    respond("429 Too Many Requests", headers)
    return [body]
