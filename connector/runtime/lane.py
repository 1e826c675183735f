"""A thread that runs one call after the other for an event loop, and never keeps the process alive.

A `ThreadPoolExecutor` is joined when the interpreter ends, so a call that a client library never returns
from would keep a failed process there for ever, unready and not restarted by anybody.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


class Lane:
    """Runs calls in their order; started with the first one."""

    def __init__(self, name: str) -> None:
        """Name the thread."""
        self._calls: Final[queue.SimpleQueue[Callable[[], None] | None]] = queue.SimpleQueue()
        self._thread: Final = threading.Thread(target=self._serve, name=name, daemon=True)

    async def run(self, call: Callable[[], Result]) -> Result:
        """Run a call in the thread, give what it gives, raise what it raises."""
        if self._thread.ident is None:
            self._thread.start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()

        def told(result: Result | None, error: BaseException | None) -> None:
            if done.cancelled():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)  # type: ignore[arg-type]  # None only beside an error

        def carried() -> None:
            result, failure = None, None
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001  it belongs to whoever waits
                failure = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(told, result, failure)

        self._calls.put(carried)
        return await done

    def end(self, client: object) -> None:
        """Let the thread end after what it runs now, and `client` with it.

        A client closes itself when the last one lets go of it, and may take its time: not in the event loop.
        """
        self._calls.put(partial(_let_go, client))
        self._calls.put(None)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _let_go(client: object) -> None:
    """Hold a client until the thread is here."""
    del client
