"""The durable producer: a callback is received when Kafka has confirmed every record of it.

librdkafka's delivery callbacks run in our poll thread, count down, and collect what is finished; the event
loop is woken once per return of `poll()`, not once per record.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from connector.errors import ConnectorError, NotDurable
from connector.runtime import failpoints
from connector.runtime.ingress_counts import Counts
from connector.runtime.lookout import Lookout
from connector.runtime.producer_config import connect, patient
from connector.runtime.receipts import Receipt, Settle, Way
from connector.runtime.settings import IngressSettings
from connector.runtime.wire import KafkaRecord

POLL_S: Final = 0.1
SWEEP_S: Final = 0.1
_DRAIN_STEP_S: Final = 0.02
_LOG_EVERY_S: Final = 10.0

_log: Final = logging.getLogger(__name__)


class ProducerFailed(ConnectorError):
    """The producer cannot go on, whatever Kafka does: the process must end and start anew."""

    code = "producer_failed"


class DurableProducer:
    """Hands records to Kafka and gives a receipt for them; lives in one event loop.

    Args:
        kafka: librdkafka properties of the operator.
        settings: Deadlines and bounds.
        needed: Topics it will write, with the partitions each must have; 0 where any number will do.
        counts: Where confirmed and failed callbacks are counted.

    Raises:
        Misconfigured: librdkafka does not take a property.
    """

    def __init__(
        self, kafka: Mapping[str, str], settings: IngressSettings, needed: Mapping[str, int], counts: Counts
    ) -> None:
        self._client = connect(kafka, settings, on_statistics=self._statistics, on_error=self._trouble)
        self._ack_s: Final = settings.ack_timeout_ms / 1000
        self._request_s: Final = settings.request_timeout_s
        self._counts = counts
        self._finished: list[Way] = []
        self._open: dict[Way, None] = {}
        self._stopping = False
        self._polling = threading.Thread(target=self._poll, name="producer-poll", daemon=True)
        self._sweeping: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop
        self._warned = 0.0
        self.lookout: Final = Lookout(self._client, needed)
        self.broken: str | None = None
        """Why the producer ended for good, in one line."""
        self.ended: Final = asyncio.Event()
        """Set together with `broken`."""
        self.polled = self.ticked = time.monotonic()
        """When the poll thread and the event loop were last seen alive, in monotonic seconds."""

    async def start(self) -> None:
        """Begin to poll, to look out and to watch the deadlines."""
        self._loop = asyncio.get_running_loop()
        with patient():
            self._polling.start()
            self.lookout.start()
        self._sweep()

    async def stop(self, timeout_s: float) -> int:
        """Wait for what is on its way, then end the threads.

        Returns:
            Callbacks that were never confirmed; nobody got a 202 for them.
        """
        until = time.monotonic() + timeout_s
        while self._open and time.monotonic() < until:  # noqa: ASYNC110  ends by a callback or at a deadline
            await asyncio.sleep(_DRAIN_STEP_S)
        self._stopping = True
        await self._loop.run_in_executor(None, self._end)
        if self._sweeping is not None:
            self._sweeping.cancel()
        return len(self._open)

    def send(
        self, delivery_id: str, records: Sequence[KafkaRecord], quarantined: int, read_at: float
    ) -> asyncio.Future[Receipt]:
        """Do as `hand`, for who can wait: fails with NotDurable at the first error or deadline."""
        future: asyncio.Future[Receipt] = self._loop.create_future()

        def settle(outcome: Receipt | NotDurable) -> None:
            if future.done():
                return
            if isinstance(outcome, Receipt):
                future.set_result(outcome)
            else:
                future.set_exception(outcome)

        self.hand(delivery_id, records, quarantined, read_at, settle)
        return future

    def hand(
        self,
        delivery_id: str,
        records: Sequence[KafkaRecord],
        quarantined: int,
        read_at: float,
        settle: Settle,
    ) -> None:
        """Hand all records of one callback to librdkafka.

        Args:
            delivery_id: Stands in the receipt.
            records: What is written, raw and quarantined.
            quarantined: How many of them go to quarantine.
            read_at: When the request had been read, in monotonic seconds.
            settle: Told the receipt when the last record is confirmed, NotDurable at the first error or
                deadline; told at once where there is nothing to write.

        Raises:
            NotDurable: The queue is full, or the producer ended.
        """
        way = Way(delivery_id, len(records), quarantined)
        if not records:
            way.settle = settle
            way.received()
            return
        way.done = self._finished.append
        way.repeat = self._repeat
        way.began = now = time.monotonic()
        way.deadline = min(now + self._ack_s, read_at + self._request_s - SWEEP_S)
        try:
            for record in records:
                self._produce(way, record)
        except BufferError:
            raise NotDurable("queue_full") from None
        except KafkaException as error:
            self._warn(error.args[0])
            raise NotDurable("broken" if self.broken is not None else "refused") from None
        failpoints.at("door.produced")
        way.settle = settle
        self._open[way] = None

    def alive(self, now: float, limit_s: float) -> list[str]:
        """Say which of the loop and the poll thread has not been seen for longer than the limit."""
        seen = (("event loop", self.ticked), ("poll thread", self.polled))
        return [f"{name} stood still for {now - at:.0f} s" for name, at in seen if now - at > limit_s]

    def _poll(self) -> None:
        while not self._stopping:
            try:
                self._client.poll(POLL_S)
            except KafkaException as error:  # a fatal one, besides telling the error callback
                self._loop.call_soon_threadsafe(self._break, error.args[0])
                return
            self.polled = time.monotonic()
            if self._finished:  # only this thread appends, inside poll()
                finished = self._finished.copy()
                self._finished.clear()
                self._loop.call_soon_threadsafe(self._complete, finished)

    def _produce(self, way: Way, record: KafkaRecord) -> None:
        self._client.produce(
            record.topic,
            record.value,
            record.key,
            on_delivery=partial(way.report, record),
            timestamp=record.timestamp_ms,
            headers=record.headers,  # type: ignore[arg-type]  # its list is invariant
        )

    def _repeat(self, way: Way, record: KafkaRecord) -> bool:
        """Send a record once more of which nobody knows where it is; its callback's deadline goes on."""
        try:
            self._produce(way, record)
        except (BufferError, KafkaException):
            return False
        return True

    def _complete(self, finished: list[Way]) -> None:
        now = time.monotonic()
        for way in finished:
            self._open.pop(way, None)
            try:
                self._conclude(way, now)
            except Exception as error:  # noqa: BLE001  a bug with one callback must not leave the others unanswered
                _log.error("a bug while answering a callback: %s", type(error).__name__)

    def _conclude(self, way: Way, now: float) -> None:
        if way.error is None:
            self.lookout.delivered(now)
            self._counts.acked(now - way.began)
            way.received()
        else:
            self.lookout.failed(now)
            self._warn(way.error)
            late = way.error.code() == KafkaError._MSG_TIMED_OUT  # noqa: SLF001  its public name
            way.failed("ack_timeout" if late else "refused")

    def _sweep(self) -> None:
        """Let go of callbacks whose deadline passed: librdkafka itself may be a second late."""
        self.ticked = now = time.monotonic()
        for way in list(self._open):
            if way.deadline > now:
                break
            del self._open[way]
            self.lookout.failed(now)
            way.failed("ack_timeout")
        self._sweeping = self._loop.call_later(SWEEP_S, self._sweep)

    def _statistics(self, told: str) -> None:
        if not self.lookout.has_producer_id and '"idemp_state": "Assigned"' in told:
            self.lookout.has_producer_id = True

    def _trouble(self, error: KafkaError) -> None:
        """Take note of an error that concerns no single record; only a fatal one matters here."""
        if error.fatal():
            self._loop.call_soon_threadsafe(self._break, error)

    def _break(self, error: KafkaError) -> None:
        self.broken = self.broken or f"{error.name()}: {error.str()}"
        self.ended.set()
        for way in self._open:
            way.failed("broken")
        self._open.clear()

    def _warn(self, error: KafkaError) -> None:
        now = time.monotonic()
        if now - self._warned > _LOG_EVERY_S:
            self._warned = now
            _log.warning("Kafka did not confirm: %s", error.name())

    def _end(self) -> None:
        self.lookout.stop()
        self._polling.join(10 * POLL_S)
