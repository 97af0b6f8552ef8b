"""Client ids: a table of the owner that first used each client id.

Owns the table, which is bounded: the least recently used ids are forgotten first. Knows nothing of drafts.
"""

from __future__ import annotations

import threading
from collections import OrderedDict


class ClientIds:
    """The owners of the client ids. A client id belongs to the owner that used it first."""

    def __init__(self, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def claim(self, client: str, owner: str) -> bool:
        """Whether `client` belongs to `owner`. A client id without an owner becomes `owner`'s."""
        with self._lock:
            is_owned = self._owners.setdefault(client, owner) == owner
            if is_owned:
                self._owners.move_to_end(client)
            if len(self._owners) > self._capacity:
                self._owners.popitem(last=False)
            return is_owned
