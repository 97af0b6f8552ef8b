"""What a page's memory holds once the rubbish is gone, as Chromium tells it."""

from __future__ import annotations

from playwright.sync_api import CDPSession


def heap_mb(session: CDPSession) -> float:
    session.send("HeapProfiler.collectGarbage")
    used: float = session.send("Runtime.getHeapUsage")["usedSize"]
    return round(used / 2**20, 1)


def live_objects(session: CDPSession) -> int:
    """Arrays and functions too; strings and numbers are none."""
    every = session.send("Runtime.evaluate", {"expression": "Object.prototype"})["result"]["objectId"]
    found = session.send("Runtime.queryObjects", {"prototypeObjectId": every})["objects"]["objectId"]
    how_many = {"objectId": found, "functionDeclaration": "function() { return this.length }", "returnByValue": True}
    count: int = session.send("Runtime.callFunctionOn", how_many)["result"]["value"]
    session.send("Runtime.releaseObject", {"objectId": found})
    return count
