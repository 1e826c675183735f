"""Load as vendors make it, and a ledger of what was acknowledged."""

import asyncio
import hashlib
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Final, NamedTuple, Self

import aiohttp
from callbacks import Made
from stack import Stack

AGAIN_S: Final = 0.5
"""A callback that got no 2xx is sent again this much later."""


class Row(NamedTuple):
    """One callback that got its 202."""

    delivery_id: str
    body_sha256: str
    accepted: int
    quarantined: int


class Load:
    """Posts callbacks until each has got its 2xx.

    Args:
        stack: Where to, and the secrets.
        made: What, in this order.
        connections: Kept alive, one request at a time on each.
        rate: Callbacks per second at most; 0 for as fast as it goes.
        within_s: When to give up.
    """

    def __init__(
        self,
        stack: Stack,
        made: Sequence[Made],
        *,
        connections: int = 24,
        rate: float = 0,
        within_s: float = 120,
    ) -> None:
        self.rows: list[Row] = []
        self.refused: Counter[str] = Counter()
        """Status or kind of failure -> how often."""
        self.slowest_s = 0.0
        """Longest wait for an answer that was not 2xx."""
        self.without_retry_after = 0
        self._stack = stack
        self._made = deque(made)
        self._again: deque[tuple[float, Made]] = deque()
        self._connections = connections
        self._rate = rate
        self._within_s = within_s
        self._begun = self._took_s = 0.0
        self._busy = 0
        self._sent = 0
        self._thread = threading.Thread(target=self._in_thread, name="load")
        self._failure: BaseException | None = None

    @property
    def acked(self) -> int:
        """Callbacks acknowledged so far."""
        return len(self.rows)

    def post(self) -> Self:
        """Post everything, here and now."""
        asyncio.run(self.run())
        return self

    def __enter__(self) -> Self:
        """Post everything in a thread of its own; the end of the block waits for it."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._within_s = 0
        self._thread.join()
        if kind is None and self._failure is not None:
            raise self._failure

    @property
    def running(self) -> bool:
        """Whether callbacks are still on their way."""
        return self._thread.is_alive()

    def _in_thread(self) -> None:
        try:
            asyncio.run(self.run())
        except BaseException as failure:  # noqa: BLE001  raised again where the block ends
            self._failure = failure

    async def run(self) -> None:
        """Post everything."""
        self._begun = time.monotonic()
        timeout = aiohttp.ClientTimeout(total=20)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            await asyncio.gather(*(self._line(session) for _ in range(self._connections)))
        self._took_s = time.monotonic() - self._begun

    async def _line(self, session: aiohttp.ClientSession) -> None:
        while self._made or self._again or self._busy:
            now = time.monotonic()
            if now - self._begun > self._within_s:
                left = len(self._made) + len(self._again)
                raise AssertionError(
                    f"{left} callbacks not acknowledged in {self._within_s} s: {self.told()}"
                )
            if self._again and self._again[0][0] <= now:
                made = self._again.popleft()[1]
            elif self._made and not self._early(now):
                made = self._made.popleft()
                self._sent += 1
            else:
                await asyncio.sleep(0.005)
                continue
            self._busy += 1
            try:
                await self._post(session, made)
            finally:
                self._busy -= 1

    def _early(self, now: float) -> bool:
        return self._rate > 0 and self._sent > (now - self._begun) * self._rate

    async def _post(self, session: aiohttp.ClientSession, made: Made) -> None:
        url, headers = self._stack.request(made.source, made.body)
        begun = time.monotonic()
        try:
            async with session.post(url, data=made.body, headers=headers) as answer:
                body = await answer.read()
                if answer.status == 202:
                    self._note(made, body)
                    return
                why = str(answer.status)
                self.without_retry_after += "retry-after" not in answer.headers
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            why = type(error).__name__
        if why[:1] == "4":
            raise AssertionError(f"a callback was refused with {why}: {made}")
        self.refused[why] += 1
        self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
        self._again.append((time.monotonic() + AGAIN_S, made))

    def _note(self, made: Made, answer: bytes) -> None:
        told = json.loads(answer)
        digest = hashlib.sha256(made.body).hexdigest()
        self.rows.append(Row(told["id"], digest, told["accepted"], told.get("quarantined", 0)))

    def told(self) -> str:
        """Say in one line how it went."""
        took_s = self._took_s or time.monotonic() - self._begun
        rate = self.acked / took_s if took_s else 0
        return f"load: acked={self.acked} in {took_s:.1f} s = {rate:.0f}/s, sent again {dict(self.refused)}"
