"""Lets the checkpoints of held partitions follow what this worker writes, so that a restart reads little.

Only the owner of a partition writes its source's keys there. So everything before an end of the changelog is
known once the cycle that was being written when the end was asked for is committed and kept.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaException

from connector.runtime.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.runtime.rebuild import Rebuild
    from connector.runtime.state import State

EVERY_S: Final = 10.0


class Checkpoints:
    """Asks for ends now and then, and notes them at the next commit."""

    def __init__(self, state: State, rebuild: Rebuild, every_s: float = EVERY_S) -> None:
        """Take the state and what knows its topics."""
        self._state: Final = state
        self._rebuild: Final = rebuild
        self._every_s: Final = every_s
        self._next_s = 0.0
        self._asking: asyncio.Task[None] | None = None
        self._answer: tuple[Mapping[tuple[str, int], object], Mapping[tuple[str, int], int]] | None = None

    def committed(self) -> None:
        """Hear that a cycle is committed and kept, and no other one is being written."""
        now_s = time.monotonic()
        if self._answer is not None:
            self._state.advance(*self._answer, time.time())
            self._answer, self._next_s = None, now_s + self._every_s
        elif self._asking is None and now_s >= self._next_s:
            self._asking = asyncio.create_task(self._ask())

    def failed(self) -> None:
        """Hear that a cycle was not committed: what it wrote may stand before the end, and is not known."""
        self._answer = None
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    async def _ask(self) -> None:
        tenures = self._state.tenures()
        places = {(topic, at) for source, at in tenures for topic in self._rebuild.changelogs(source)}
        try:
            ends = await asyncio.to_thread(self._rebuild.ends, places)
        except KafkaException as away:
            log.info("checkpoints not moved on", extra={"why": str(away)})
            self._next_s = time.monotonic() + self._every_s
        else:
            self._answer = tenures, ends
        self._asking = None
