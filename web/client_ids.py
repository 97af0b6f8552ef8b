"""Which owner a page's client id belongs to: the one who used it first.

Owns a bounded table; the ids longest unused are forgotten first. Knows nothing of drafts.
"""

from __future__ import annotations

import threading
from collections import OrderedDict


class ClientIds:
    def __init__(self, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def claim(self, client: str, owner: str) -> bool:
        """Whether `client` is `owner`'s, which it becomes if it was nobody's."""
        with self._lock:
            held = self._owners.setdefault(client, owner) == owner
            if held:
                self._owners.move_to_end(client)
            if len(self._owners) > self._capacity:
                self._owners.popitem(last=False)
            return held
