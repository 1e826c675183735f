"""Probes, metrics and the registry, on a port of their own and in a thread of their own.

A busy event loop or a blocked Kafka client must not keep a probe waiting; what is wrong is told by checks,
which only read a flag or a clock. Read-only: nothing here changes anything, whoever asks.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
import uvicorn
from prometheus_client.exposition import choose_encoder

from connector.errors import Misconfigured
from connector.runtime.metrics import BOTH, METRICS, WORKER, Role, counter, gauge
from connector.runtime.registry import READ_ONLY, RegistryApi

Check = Callable[[], str | None]
"""None if all is well, else why not; called from another thread, and must not wait."""
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_encode: Final = msgspec.json.encode
_JSON: Final = "application/json"
_REGISTRY_JSON: Final = "application/vnd.schemaregistry.v1+json"
START_S: Final = 10

INFO: Final = gauge("info", "1", "Version and role of a process.", "version", "role", roles=BOTH)
READY: Final = gauge("ready", "0 or 1", "1 while /readyz answers 200.", "role", roles=BOTH)
PASSES: Final = gauge(
    "check_passes", "0 or 1", "1 while a check of /livez or /readyz passes.", "probe", "check", roles=BOTH
)
REGISTRY: Final = counter(
    "registry_requests_total",
    "requests",
    "Answers of the schema registry by status.",
    "answer",
    roles=WORKER,
)


class Health:
    """Named checks: `live` ones restart a process that fails, `ready` ones only take it off the traffic."""

    def __init__(self, role: Role) -> None:
        self._role = role
        self._live: dict[str, Check] = {}
        self._ready: dict[str, Check] = {}

    def live(self, name: str, check: Check) -> None:
        """Add a check of /livez; never one that depends on Kafka."""
        self._live[name] = check

    def ready(self, name: str, check: Check) -> None:
        """Add a check of /readyz."""
        self._ready[name] = check

    def is_live(self) -> tuple[int, dict[str, Any]]:
        """Answer /livez."""
        return _told(self._live)

    def is_ready(self) -> tuple[int, dict[str, Any]]:
        """Answer /readyz."""
        return _told(self._ready)

    def count(self) -> None:
        """Show every check as a metric; called when somebody scrapes."""
        INFO.labels(version("erp-connector"), self._role).set(1)
        for probe, (status, told) in (("live", self.is_live()), ("ready", self.is_ready())):
            if probe == "ready":
                READY.labels(self._role).set(status == HTTPStatus.OK)
            for check, found in told["checks"].items():
                PASSES.labels(probe, check).set(found["ok"])


def _told(checks: dict[str, Check]) -> tuple[int, dict[str, Any]]:
    told: dict[str, dict[str, Any]] = {}
    for name, check in list(checks.items()):
        try:
            why = check()
        except Exception as error:  # noqa: BLE001  a check that fails is a fault, not a reason to say nothing
            why = f"the check failed: {type(error).__name__}"
        told[name] = {"ok": why is None, "why": why}
    well = all(one["ok"] for one in told.values())
    return (200 if well else 503), {"status": "ok" if well else "failing", "checks": told}


class Operations:
    """The server of /livez, /readyz, /metrics and, with a registry, /registry/...

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one, see `port` after `start`.
        health: The checks.
        registry: Served below /registry, or None.
    """

    def __init__(self, host: str, port: int, health: Health, registry: RegistryApi | None = None) -> None:
        self._host = host
        self.port = port
        self._health = health
        self._registry = registry
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen; returns when it answers.

        Raises:
            Misconfigured: The port is taken, or may not be taken.
        """
        taken = _listen(self._host, self.port)
        self.port = taken.getsockname()[1]
        self._server = server = uvicorn.Server(
            uvicorn.Config(
                self._application,
                interface="asgi3",  # uvicorn 0.54 takes a bound method for ASGI 2
                proxy_headers=False,
                http="httptools",
                loop="asyncio",
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=server.run, args=([taken],), name="operations", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + START_S
        while not server.started and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop listening; waits a moment for answers under way."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(3)

    async def _application(self, scope: MutableMapping[str, Any], _receive: Any, send: Send) -> None:
        path = scope["raw_path"].decode("latin-1")
        status, kind, body = self._answer(scope["method"], path, scope)
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        headers += [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
        if status == READ_ONLY[0]:
            headers.append((b"allow", b"GET, HEAD"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, method: str, path: str, scope: MutableMapping[str, Any]) -> tuple[int, str, bytes]:
        below = path.removeprefix("/registry")
        in_registry = self._registry is not None and below != path and below[:1] in ("", "/")
        if method not in ("GET", "HEAD"):
            return READ_ONLY[0], _REGISTRY_JSON if in_registry else _JSON, _encode(READ_ONLY[1])
        if self._registry is not None and in_registry:
            query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
            status, told = self._registry.answer(below, query)
            REGISTRY.labels(str(status)).inc()
            return status, _REGISTRY_JSON, _encode(told)
        if path == "/metrics":
            accepted = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
            encoder, kind = choose_encoder(accepted)
            self._health.count()
            return 200, kind, encoder(METRICS)
        if path in ("/livez", "/readyz"):
            status, health = self._health.is_live() if path == "/livez" else self._health.is_ready()
            return status, _JSON, _encode(health)
        return 404, _JSON, b'{"status":"not found"}'


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        taken = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise Misconfigured(f"operations.host: {host}: {error.strerror}") from None
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
    except OSError as error:
        taken.close()
        raise Misconfigured(
            f"operations.port: {port} on {host}: {error.strerror}; choose another, such as "
            f"CONNECTOR_OPERATIONS__PORT={port + 1}"
        ) from None
    return taken
