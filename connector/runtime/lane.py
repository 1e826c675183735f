"""A thread that runs one call after the other for an event loop, and never keeps the process alive.

A `ThreadPoolExecutor` is joined when the interpreter ends, so a call that a client library never returns
from would keep a failed process there for ever, unready and not restarted by anybody.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


class Lane:
    """Runs calls in their order; started with the first one."""

    def __init__(self, name: str) -> None:
        """Name the thread."""
        self._calls: Final[queue.SimpleQueue[Callable[[], None]]] = queue.SimpleQueue()
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

    def _serve(self) -> None:
        while True:
            self._calls.get()()
