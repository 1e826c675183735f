"""A worker's wait until the guards let it begin; a signal ends it at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connector.runtime.guards import Guards


async def admitted(guards: Guards, stop: asyncio.Event) -> bool:
    """Start the guards and wait until they let the role begin.

    Returns:
        Whether it may; False where `stop` was set first.

    Raises:
        ConnectorError: Why it never may.
    """
    loop = asyncio.get_running_loop()
    begun: asyncio.Future[None] = loop.create_future()

    def told(refusal: BaseException | None) -> None:
        if begun.done():
            return
        if refusal is None:
            begun.set_result(None)
        else:
            begun.set_exception(refusal)

    def hears(refusal: BaseException | None) -> None:
        loop.call_soon_threadsafe(told, refusal)

    guards.start(hears)
    stopping = loop.create_task(stop.wait())
    await asyncio.wait((begun, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not begun.done():
        begun.cancel()
        return False
    begun.result()
    return not stop.is_set()
