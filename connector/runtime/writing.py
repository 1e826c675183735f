"""Records written by a command: confirmed by all in-sync replicas, or the command stops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from connector.errors import ConnectorError
from connector.runtime.producer_config import properties
from connector.runtime.telemetry import kafka_log
from connector.runtime.wire import fault_of, put

if TYPE_CHECKING:
    from confluent_kafka import Message

    from connector.runtime.settings import Settings
    from connector.runtime.wire import KafkaRecord

AT_ONCE: Final = 500
AT_ONCE_BYTES: Final = 8_388_608
"""A batch ends at so many records or bytes: what a command holds in memory, and what it may write twice."""
_CONFIRM_S: Final = 30


class NotWritten(ConnectorError):
    """Kafka did not confirm what was written."""

    code = "not_written"


class Writer:
    """One idempotent producer."""

    def __init__(self, settings: Settings, purpose: str) -> None:
        """Connect in the background; `purpose` stands in the name the broker sees."""
        config = properties(settings.kafka, settings.ingress)
        config |= {"client.id": f"erp-connector-{purpose}", "delivery.timeout.ms": _CONFIRM_S * 1000}
        self._producer: Final = Producer(config, logger=kafka_log)

    def write(self, records: Sequence[KafkaRecord]) -> None:
        """Write a batch and wait until all of it is confirmed.

        Raises:
            NotWritten: Kafka refused a record or did not answer in time; others may have been written.
        """
        faults: list[KafkaError] = []

        def report(error: KafkaError | None, message: Message) -> None:
            if (fault := fault_of(error, message)) is not None:
                faults.append(fault)

        try:
            for one in records:
                put(self._producer, one, report)
                self._producer.poll(0)
        except KafkaException as error:
            faults.append(error.args[0])
        if self._producer.flush(_CONFIRM_S + 5) or faults:
            why = faults[0].str() if faults else "no answer"
            raise NotWritten(f"Kafka did not confirm what was written ({why}); repeating it is harmless")
