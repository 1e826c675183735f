"""The server of `connector serve`: uvicorn behind our door, signals, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import socket
import time
from collections.abc import Callable, Generator
from typing import Final

import uvicorn

from connector.errors import Misconfigured
from connector.runtime.ingress import Ingress
from connector.runtime.producer import ProducerFailed
from connector.runtime.settings import IngressSettings
from connector.runtime.whole import door

BACKLOG: Final = 2048
_FILES_BESIDE: Final = 256
"""Open files besides the callers' connections: brokers, probes, libraries."""

_log: Final = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """uvicorn without its signals: it would repeat them at the end, and the exit code would not be 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals to `serve`."""
        yield


def listen(settings: IngressSettings) -> socket.socket:
    """Open the port for callbacks.

    Raises:
        Misconfigured: Somebody else has it, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((settings.host, settings.port))
    except OSError as error:
        opened.close()
        raise Misconfigured(
            f"ingress.port: cannot listen on {settings.host}:{settings.port}: {error.strerror}; set another"
        ) from None
    opened.listen(BACKLOG)
    return opened


async def serve(
    ingress: Ingress,
    *,
    started: Callable[[], None] | None = None,
    stop: asyncio.Event | None = None,
    refused: asyncio.Future[None] | None = None,
) -> None:
    """Answer callbacks until SIGTERM or SIGINT, then end without losing one.

    SIGTERM: not ready, still accepting for `drain_delay_s` while gateways look away; then no new connection,
    and at most `drain_timeout_s` for what is on its way. SIGINT, or a second signal, skips the delay; so does
    an ingress that is held, for it takes nothing.

    Args:
        ingress: The application.
        started: Called once callbacks are answered; Kafka may not be ready yet, see `Ingress.ready`.
        stop: Ends it instead of a signal, where somebody else watches those.
        refused: Ends it when it fails: the role may never begin.

    Raises:
        ConnectorError: What `refused` failed with.
        Misconfigured: The port cannot be opened, or librdkafka does not take a property.
        ProducerFailed: The producer ended for good; the process must too.
    """
    settings, loop = ingress.settings, asyncio.get_running_loop()
    opened = listen(settings)
    _allow_files(settings.max_connections + _FILES_BESIDE)
    server = _server(ingress)
    hurried = asyncio.Event()
    if stop is None:
        stop = asyncio.Event()
        _on_signals(loop, stop, hurried)
    await ingress.producer.start()
    gc.collect()
    gc.freeze()  # what was made until now lives as long as the process
    gc.set_threshold(100_000, 50, 100)
    serving = loop.create_task(server.serve(sockets=[opened]))
    asked, ended = loop.create_task(stop.wait()), loop.create_task(ingress.producer.ended.wait())
    if started is not None:
        started()
    never = refused or loop.create_future()
    try:
        await asyncio.wait((serving, asked, ended, never), return_when=asyncio.FIRST_COMPLETED)
        ingress.draining = True
        if asked.done() and not ingress.held:
            await _pause(settings.drain_delay_s, hurried)
    finally:
        asked.cancel()
        ended.cancel()
        await _end(ingress, server, serving)
    if never.done():
        never.result()


async def _end(ingress: Ingress, server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    """Stop listening, wait for answers and confirmations, say how it went."""
    until = time.monotonic() + ingress.settings.drain_timeout_s
    server.should_exit = True
    await serving
    lost = await ingress.producer.stop(max(0.0, until - time.monotonic()))
    if ingress.producer.broken is not None:
        raise ProducerFailed(
            f"the producer ended for good ({ingress.producer.broken}): start the process again"
        )
    if lost:
        _log.warning("%d callbacks were never confirmed; their senders got no 202", lost)


def _server(ingress: Ingress) -> _Server:
    settings = ingress.settings
    # Its warnings are one line per malformed request of any stranger.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    config = uvicorn.Config(
        ingress,
        http=door(settings, ingress.counts, ingress.take),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=max(1, round(settings.drain_timeout_s)),
    )
    return _Server(config)


def _on_signals(loop: asyncio.AbstractEventLoop, asked: asyncio.Event, hurried: asyncio.Event) -> None:
    def told(number: signal.Signals) -> None:
        if number == signal.SIGINT or asked.is_set():
            hurried.set()
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told, number)


async def _pause(seconds: float, hurried: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(hurried.wait(), seconds)


def _allow_files(wanted: int) -> None:
    """Raise the soft limit of open files as far as needed and allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
