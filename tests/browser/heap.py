"""Heap: the memory of a page in Chromium after garbage collection."""

from __future__ import annotations

from playwright.sync_api import CDPSession


def heap_mb(session: CDPSession) -> float:
    """Collect garbage and return the used heap in MiB."""
    session.send("HeapProfiler.collectGarbage")
    used: float = session.send("Runtime.getHeapUsage")["usedSize"]
    return round(used / 2**20, 1)


def live_objects(session: CDPSession) -> int:
    """Return the number of live objects, including arrays and functions, without strings and numbers."""
    every = session.send("Runtime.evaluate", {"expression": "Object.prototype"})["result"]["objectId"]
    found = session.send("Runtime.queryObjects", {"prototypeObjectId": every})["objects"]["objectId"]
    how_many = {"objectId": found, "functionDeclaration": "function() { return this.length }", "returnByValue": True}
    count: int = session.send("Runtime.callFunctionOn", how_many)["result"]["value"]
    session.send("Runtime.releaseObject", {"objectId": found})
    return count
