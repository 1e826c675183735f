"""How the ingress's producer is configured, and what its library may log."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from connector.errors import Misconfigured
from connector.runtime.rotation import Producer
from connector.runtime.settings import IngressSettings
from connector.topics import QUARANTINE_MAX_BYTES

_LOG_EVERY_S: Final = 10.0

GENTLE: Final[Mapping[str, str | int]] = {
    "client.id": "erp-connector-ingress",
    "compression.type": "lz4",
    "queue.buffering.max.messages": 100_000,
    "reconnect.backoff.max.ms": 1000,  # 10 s by default: too long after an outage
    "request.timeout.ms": 2000,  # one retry fits into the ack deadline
    "socket.connection.setup.timeout.ms": 3000,
    "socket.keepalive.enable": "true",
    "statistics.interval.ms": 500,  # the only place that tells of the producer id
}
"""Ours, unless the operator says otherwise under `kafka`."""

_named: Final = re.compile(r'["`]([a-z_.]+)["`]').search


def properties(kafka: Mapping[str, str], settings: IngressSettings) -> dict[str, Any]:
    """Give the librdkafka properties: gentle ones, then the operator's, then what correctness demands."""
    return {
        **GENTLE,
        **kafka,
        "acks": "all",
        "allow.auto.create.topics": "false",
        "delivery.timeout.ms": settings.ack_timeout_ms,
        "enable.idempotence": "true",
        "linger.ms": settings.linger_ms,
        "message.max.bytes": QUARANTINE_MAX_BYTES,  # the larger one: else a long body never gets anywhere
        "partitioner": "murmur2_random",
        "queue.buffering.max.kbytes": settings.queue_kbytes,
    }


def connect(
    kafka: Mapping[str, str],
    settings: IngressSettings,
    *,
    on_statistics: Callable[[str], None],
    on_error: Callable[[KafkaError], None],
) -> Producer:
    """Make the producer; it connects in the background.

    Raises:
        Misconfigured: librdkafka does not take a property.
    """
    config = properties(kafka, settings) | {"stats_cb": on_statistics, "error_cb": on_error}
    try:
        with patient():
            return Producer(config, logger=_kafka_log)
    except KafkaException as error:
        found = _named(str(error))
        name = f"kafka.{found[1]}" if found else "kafka"
        raise Misconfigured(f"{name}: librdkafka does not take it; see its CONFIGURATION.md") from None


@contextmanager
def patient() -> Iterator[None]:
    """Let threads that are begun meanwhile wait for the event loop's turn to end, where the system can.

    Every record wakes a thread of librdkafka. Where they share a core with the loop each wake-up takes it
    away in the middle of a request: two switches per record, and nothing goes in batches.
    """
    if not hasattr(os, "SCHED_BATCH"):
        yield
        return
    before = os.sched_getscheduler(0)
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setscheduler(0, before, os.sched_param(0))


class _Seldom(logging.Filter):
    """Lets one line of each kind through per ten seconds: an outage is one line per attempt otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the line if its kind (FAIL, REQTMOUT, ...) was quiet for a while."""
        kind = str(record.args[0]) if isinstance(record.args, tuple) and record.args else str(record.msg)
        now = time.monotonic()
        if now - self._last.get(kind, -_LOG_EVERY_S) < _LOG_EVERY_S:
            return False
        self._last[kind] = now
        return True


_kafka_log: Final = logging.getLogger("connector.kafka.ingress")
_kafka_log.addFilter(_Seldom())
