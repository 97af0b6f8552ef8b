"""Addresses: the limits of each network address, counted over all its connections and requests.

Owns the limits, the table of recently seen addresses and the WSGI middleware that refuses requests over a limit. Behind
a proxy, the address is the one that the proxy forwards (`web/app.py` puts ProxyFix in front). Without a proxy, this
computer's own addresses have no limits. IPv6 addresses are counted by their /64 network, because one customer has
the whole /64. Knows nothing of routes, cookies and drafts.
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
    """The limits of one address. `open` is the number of connections and requests at a time.

    `requests`, `changes` and `bytes` are rates per second, each with the burst that is allowed at once. `changes` are
    requests that change something, such as creating a story. `bytes` are received bytes. `known` is the number of
    addresses in the table.
    """

    open: int = 100
    requests: float = 50
    requests_burst: float = 500
    changes: float = 1
    changes_burst: float = 120
    bytes: float = 4_000_000
    bytes_burst: float = 100_000_000  # an imported file may have 64 MB
    known: int = 20_000


@dataclass(slots=True)
class AddressUse:
    """The use that one address has made of its limits. `used` is the monotonic time of its last request."""

    requests: TokenBucket
    changes: TokenBucket
    bytes: TokenBucket
    open: int = 0
    used: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def owe(self, amount: int) -> float:
        """Count received bytes and return the seconds to wait before reading more."""
        with self.lock:
            return self.bytes.borrow(amount)


class Addresses:
    """The table of recently seen addresses and the use of each."""

    def __init__(self, limits: AddressLimits, behind_proxy: bool) -> None:
        self._limits, self._behind_proxy = limits, behind_proxy
        self._uses: dict[str, AddressUse] = {}
        self._lock = threading.Lock()

    def of(self, environ: Environ) -> AddressUse | None:
        """Return the use of the address that a request comes from, or None if the address has no limits."""
        name = self._name(environ.get("REMOTE_ADDR", ""))
        if name is None:
            return None
        with self._lock:
            if (use := self._uses.get(name)) is None:
                use = self._uses[name] = self._new()
            use.used = time.monotonic()
            if len(self._uses) > self._limits.known:
                for _, unused in self._unconnected()[: self._limits.known // 2]:
                    del self._uses[unused]
            return use

    def sweep(self) -> None:
        """Forget the unconnected addresses that have not been seen for `_FORGET_SECONDS`."""
        with self._lock:
            for used, name in self._unconnected():
                if time.monotonic() - used > _FORGET_SECONDS:
                    del self._uses[name]

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
        """Return the last use and the name of each address without open connections, the oldest first."""
        return sorted((use.used, name) for name, use in self._uses.items() if not use.open)


def _without_port(address: str) -> str:
    """Return the address without the port that some proxies add: `192.0.2.1:1234`, `[2001:db8::1]:1234`."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


class AddressGuard:
    """WSGI middleware that counts the open requests of each address and refuses those over a limit.

    A WebSocket counts for as long as it lasts. `rejected("address")` is called for each refusal.
    """

    def __init__(
        self, app: WsgiApp, addresses: Addresses, limits: AddressLimits, rejected: Callable[[str], None]
    ) -> None:
        self._app, self._addresses, self._limits, self._rejected = app, addresses, limits, rejected

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        use = self._addresses.of(environ)
        if use is None:
            return self._app(environ, start_response)
        with use.lock:
            if not self._admits(use, environ):
                self._rejected("address")
                return _refuse(start_response)
            use.open += 1
        try:
            return self._app(environ, start_response)
        finally:
            with use.lock:
                use.open -= 1

    def _admits(self, use: AddressUse, environ: Environ) -> bool:
        if use.open >= self._limits.open or not use.requests.take():
            return False
        if environ["REQUEST_METHOD"] not in _CHANGING:
            return True
        length = environ.get("CONTENT_LENGTH") or ""
        size = int(length) if length.isdecimal() and len(length) < 15 else 0
        return use.changes.take() and use.bytes.take(size)


def _refuse(respond: StartResponse) -> Iterable[bytes]:
    body = json.dumps(
        error_body("rate_limited", "Your network address has sent too many requests. Wait a moment and try again.")
    ).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Retry-After", "10")]
    respond("429 Too Many Requests", headers)
    return [body]
