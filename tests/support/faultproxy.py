"""A TCP proxy that delays, swallows, refuses and resets; one stands before each broker.

Its port goes into `LocalKafka.advertise[node]` before `start`, so that clients never see the broker itself.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from typing import Final, Self

import uvloop

CHUNK: Final = 65_536
NO_LINGER: Final = struct.pack("ii", 1, 0)
"""SO_LINGER that makes a close a reset."""


class FaultProxy:
    """Forwards 127.0.0.1:`port` to 127.0.0.1:`target`; the faults are attributes, set at any time."""

    delay_s = 0.0
    """Wait before each chunk, in both directions."""
    hole_up = False
    """Swallow what clients send."""
    hole_down = False
    """Swallow what the broker answers."""
    refuse = False
    """Close new connections at once."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._pairs: set[asyncio.Task[None]] = set()
        self._loop = uvloop.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._up.wait(5):
            raise RuntimeError("the proxy did not start")

    def reset(self) -> None:
        """Reset every open connection (RST, not FIN)."""
        self._loop.call_soon_threadsafe(self._abort)

    def stop(self) -> None:
        """Reset every connection and accept no more."""
        self._loop.call_soon_threadsafe(self._abort)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        self._loop.run_forever()
        server.close()
        for pair in self._pairs:
            pair.cancel()
        if self._pairs:
            self._loop.run_until_complete(asyncio.wait(self._pairs))
        self._loop.close()

    def _abort(self) -> None:
        for writer in list(self._writers):
            with contextlib.suppress(OSError):  # closed already: the others are to be reset all the same
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = asyncio.ensure_future(self._serve(reader, writer))
        self._pairs.add(pair)
        pair.add_done_callback(self._pairs.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            writer.close()
            return
        try:
            broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        both = {writer, broker_writer}
        self._writers |= both
        try:
            await asyncio.gather(
                self._pipe(reader, broker_writer, "hole_up"),
                self._pipe(broker_reader, writer, "hole_down"),
            )
        finally:
            self._writers -= both

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hole: str) -> None:
        try:
            while chunk := await reader.read(CHUNK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if not getattr(self, hole):
                    writer.write(chunk)
                    await writer.drain()
        except (OSError, RuntimeError):  # uvloop says the latter of a transport that was reset
            return  # one side is gone; the other is closed below
        finally:
            writer.close()
