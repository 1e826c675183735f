"""A TCP proxy that knows requests: it lets one Produce of a client through and holds the next ones back.

Its port goes into `LocalKafka.advertise[node]` before `start`, as that of a `FaultProxy`.
"""

import contextlib
import socket
import struct
import threading
from typing import Final, Self

PRODUCE: Final = 0
_HEAD: Final = struct.Struct(">ihhih")
"""Size, kind, its version, number of the request, length of the client's id."""


class Gate:
    """Forwards 127.0.0.1:`port` to 127.0.0.1:`target`; only one client is held back.

    Args:
        target: Port of the broker.
        client_id: `client.id` of that client.
    """

    def __init__(self, target: int, client_id: str) -> None:
        self._target = target
        self._client_id = client_id.encode()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._clients: list[socket.socket] = []
        self._brokers: list[socket.socket] = []
        self._passes = threading.Semaphore()
        self._open = threading.Event()
        self.holding = threading.Event()
        """Set once a second Produce waits."""
        threading.Thread(target=self._accept, daemon=True).start()

    def open(self) -> None:
        """Let through whatever waits, and all that comes."""
        self._open.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.set()
        for one in (self._server, *self._clients, *self._brokers):
            with contextlib.suppress(OSError):  # gone already
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed at the end
            while True:
                client = self._server.accept()[0]
                broker = socket.create_connection(("127.0.0.1", self._target))
                self._clients.append(client)
                self._brokers.append(broker)
                threading.Thread(target=self._requests, args=(client, broker), daemon=True).start()
                threading.Thread(target=self._answers, args=(broker, client), daemon=True).start()

    def _requests(self, client: socket.socket, broker: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                head = _exactly(client, _HEAD.size)
                size, kind, _, _, length = _HEAD.unpack(head)
                rest = _exactly(client, size + 4 - _HEAD.size)
                held = kind == PRODUCE and rest[:length] == self._client_id and not self._open.is_set()
                if held and not self._passes.acquire(blocking=False):
                    self.holding.set()
                    self._open.wait()
                broker.sendall(head + rest)
        _end(broker)

    def _answers(self, broker: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := broker.recv(65_536):
                client.sendall(chunk)
        _end(client)


def _exactly(one: socket.socket, size: int) -> bytes:
    taken = bytearray()
    while len(taken) < size:
        chunk = one.recv(size - len(taken))
        if not chunk:
            raise EOFError
        taken += chunk
    return bytes(taken)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
