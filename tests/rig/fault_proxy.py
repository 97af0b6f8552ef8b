"""FaultProxy: a TCP relay on loopback that behaves like a bad network.

Owns the faults and when they begin and end. Knows nothing of the data it carries. Runs an event loop on its own
thread and needs only the standard library.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

UP, DOWN = "up", "down"
BOTH_WAYS = (UP, DOWN)


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of bad network, in seconds and bytes per second.

    In the directions of `stalls`, data waits and none is lost. In the directions of `swallows`, data is lost silently.
    In the directions of `cuts`, a connection breaks after up to `cut_within` bytes of the next data, by a reset if
    `resets` is set and in order otherwise. `refuses` breaks new connections at once.
    """

    latency: float = 0.0
    jitter: float = 0.0
    rate: float | None = None
    slice_bytes: int | None = None
    stalls: tuple[str, ...] = ()
    swallows: tuple[str, ...] = ()
    cuts: tuple[str, ...] = ()
    cut_within: int = 400
    resets: bool = False
    refuses: bool = False


NO_FAULT = Fault()
BLACK_HOLE = Fault(stalls=BOTH_WAYS)
REFUSED = Fault(cuts=BOTH_WAYS, cut_within=1, refuses=True)

FAULTS = {
    "latency 50 ms": Fault(latency=0.05),
    "latency 500 ms, jitter 500 ms": Fault(latency=0.5, jitter=0.5),
    "latency 2 s": Fault(latency=2.0),
    "8 kB/s": Fault(rate=8_000),
    "slices of 3 bytes": Fault(slice_bytes=3),
    "cut mid-frame going up": Fault(cuts=(UP,)),
    "cut mid-frame coming down": Fault(cuts=(DOWN,)),
    "reset mid-frame": Fault(cuts=BOTH_WAYS, resets=True),
    "black hole": BLACK_HOLE,
    "half-open: the server hears nothing": Fault(swallows=(UP,)),
    "half-open: the page hears nothing": Fault(swallows=(DOWN,)),
    "refused and cut": REFUSED,
}


class FaultProxy:
    """Relays connections from its `port` to the port `target`, with the current fault on all of them."""

    def __init__(self, target: int, seed: str) -> None:
        self.target, self._random = target, random.Random(seed)
        self.fault = NO_FAULT
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, *error: object) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def strike(self, fault: Fault) -> None:
        """Begin a fault."""
        self.fault = fault

    def heal(self) -> None:
        """End the fault. Connections that lost bytes break, as TCP connections do."""
        self.fault = NO_FAULT
        self._loop.call_soon_threadsafe(self._reset_torn)

    def cut(self) -> None:
        """Break every connection now and refuse new ones until `heal`."""
        self.fault = REFUSED
        self._loop.call_soon_threadsafe(self._reset_all)

    def _reset_all(self) -> None:
        for link in self._links:
            link.end(resets=True)

    def _reset_torn(self) -> None:
        for link in [link for link in self._links if link.is_torn]:
            link.end(resets=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.fault.refuses:
            _end(writer, resets=True)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _end(writer, resets=True)
            return
        link = _Link(self, self._random, writer, far_writer)
        self._links.add(link)
        tasks = [asyncio.create_task(link.carry(UP, reader, far_writer))]
        tasks.append(asyncio.create_task(link.carry(DOWN, far_reader, writer)))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            link.end(resets=False)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._links.discard(link)

    async def _stop(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)


class _Link:
    """One connection through the proxy, with both directions, each in order."""

    def __init__(self, proxy: FaultProxy, randomness: random.Random, *writers: asyncio.StreamWriter) -> None:
        self._proxy, self._random, self._writers = proxy, randomness, writers
        self.is_torn = False

    def end(self, resets: bool) -> None:
        for writer in self._writers:
            _end(writer, resets)

    async def carry(self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one direction until a side closes it or the fault cuts it."""
        arriving: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivering = asyncio.create_task(self._deliver(direction, arriving, writer))
        clock = asyncio.get_running_loop()
        last = 0.0
        try:
            while data := await reader.read(65_536):
                fault = self._proxy.fault
                last = max(last, clock.time() + fault.latency + self._random.random() * fault.jitter)
                arriving.put_nowait((last, data))
            arriving.put_nowait((last, b""))
            await delivering
        except OSError:
            return
        finally:
            delivering.cancel()

    async def _deliver(
        self, direction: str, arriving: asyncio.Queue[tuple[float, bytes]], to: asyncio.StreamWriter
    ) -> None:
        clock = asyncio.get_running_loop()
        while True:
            due, data = await arriving.get()
            await asyncio.sleep(max(0.0, due - clock.time()))
            while direction in self._proxy.fault.stalls:
                await asyncio.sleep(0.02)
            fault = self._proxy.fault
            if not data:
                return
            if direction in fault.swallows:
                self.is_torn = True
            elif direction in fault.cuts:
                to.write(data[: self._random.randrange(min(len(data), fault.cut_within))])
                self.end(fault.resets)
                return
            else:
                await _write(to, data, fault)


async def _write(to: asyncio.StreamWriter, data: bytes, fault: Fault) -> None:
    size = fault.slice_bytes or (max(1, int(fault.rate / 20)) if fault.rate else len(data))
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        to.write(piece)
        await to.drain()
        await asyncio.sleep(len(piece) / fault.rate if fault.rate else 0)


def _end(writer: asyncio.StreamWriter, resets: bool) -> None:
    if resets and not writer.is_closing():  # a socket that is closed without lingering sends RST
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()
