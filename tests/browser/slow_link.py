"""A network between browser and server: a TCP relay on loopback that delays, stalls, breaks and mends on demand.

Knows nothing of what it carries. Both directions keep their order, as TCP does.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any


class SlowLink:
    """Relays `port` to `target` (set it before the first use), each way late by `delay` seconds."""

    def __init__(self) -> None:
        self.target = 0
        self.delay = 0.0
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._relay, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Breaks every connection and refuses new ones, until `mend`."""
        self._is_cut = True
        self._call(self._break())

    def stall(self) -> None:
        """Lets nothing through on open connections, until `mend`; what is under way arrives then."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def mend(self) -> None:
        self._is_cut = False
        self._loop.call_soon_threadsafe(self._flows.set)

    def close(self) -> None:
        self.cut()
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _break(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _stop(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self._is_cut:
                writer.transport.abort()
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            self._writers.add(far_writer)
            try:
                await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
            finally:
                self._writers.discard(far_writer)
                far_writer.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carries bytes from one end to the other until either closes."""
        parcels: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivery = asyncio.ensure_future(_deliver(parcels, writer, self._flows))
        try:
            while data := await reader.read(65536):
                parcels.put_nowait((self._loop.time() + self.delay, data))
        except ConnectionError:
            pass  # the other direction says the same, and both ends are closed below
        finally:
            parcels.put_nowait((self._loop.time() + self.delay, b""))
            await delivery


async def _deliver(
    parcels: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, flows: asyncio.Event
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due, data = await parcels.get()
        await asyncio.sleep(max(0.0, due - loop.time()))
        await flows.wait()
        if not data or writer.is_closing():
            writer.transport.abort()
            return
        writer.write(data)
