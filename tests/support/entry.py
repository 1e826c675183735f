"""The command `connector` with one fault put in, named by CONNECTOR_TEST_FAULT; only tests start it."""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any, Final

import confluent_kafka

FREEZE_AFTER: Final = 2
"""Transactions that pass before the process stops itself."""
ABORTS: Final = {"produce": 2, "send_offsets": 5, "sent_offsets": 8, "commit": 11}
"""Step -> the transaction that fails there."""
HALF_WAY: Final = 5
"""Record of a transaction that is refused in `produce`."""
HANG_AT: Final = 3
"""The transaction that hangs, counted over all producers of the process."""


class _Freezing(confluent_kafka.Producer):
    """Stops its own process in mid-transaction: outputs on the broker, offsets not sent."""

    sent = 0

    def send_offsets_to_transaction(self, *arguments: Any) -> None:
        self.sent += 1
        if self.sent == FREEZE_AFTER:
            self.flush(10)
            os.kill(os.getpid(), signal.SIGSTOP)
        super().send_offsets_to_transaction(*arguments)


def _freeze() -> None:
    """SIGSTOP in the second transaction, after its outputs were produced."""
    confluent_kafka.Producer = _Freezing  # type: ignore[misc]  # on purpose


class _Hanging(confluent_kafka.Producer):
    """Never returns from one call: outputs on the broker, offsets not sent."""

    sent = 0

    def send_offsets_to_transaction(self, *arguments: Any) -> None:
        _Hanging.sent += 1
        if _Hanging.sent == HANG_AT:
            self.flush(10)
            threading.Event().wait()
        super().send_offsets_to_transaction(*arguments)


def _hang() -> None:
    """Do not return from the third transaction's offsets, as the client does while Kafka is away."""
    confluent_kafka.Producer = _Hanging  # type: ignore[misc]  # on purpose


class _Aborting(confluent_kafka.Producer):
    """Fails once at every step of a transaction, as the client does when only an abort is left."""

    transactions = 0
    produced = 0

    def begin_transaction(self) -> None:
        self.transactions += 1
        self.produced = 0
        super().begin_transaction()

    def produce(self, *arguments: Any, **named: Any) -> None:
        self.produced += 1
        if self.produced == HALF_WAY:
            self._fail_in(ABORTS["produce"])
        super().produce(*arguments, **named)

    def send_offsets_to_transaction(self, *arguments: Any) -> None:
        self._fail_in(ABORTS["send_offsets"])
        super().send_offsets_to_transaction(*arguments)
        self._fail_in(ABORTS["sent_offsets"])

    def commit_transaction(self, *arguments: Any) -> None:
        self._fail_in(ABORTS["commit"])
        super().commit_transaction(*arguments)

    def _fail_in(self, transaction: int) -> None:
        if self.transactions == transaction:
            raise confluent_kafka.KafkaException(
                confluent_kafka.KafkaError(
                    confluent_kafka.KafkaError._FAIL,  # noqa: SLF001  its public name
                    "put in by a test",
                    txn_requires_abort=True,
                )
            )


def _abort() -> None:
    """Let four transactions fail, each at another step, with commits between them."""
    confluent_kafka.Producer = _Aborting  # type: ignore[misc]  # on purpose


FAULTS: Final[dict[str, Callable[[], None]]] = {"freeze": _freeze, "hang": _hang, "abort": _abort}


def main() -> None:
    """Put the fault in, then be the product."""
    FAULTS[os.environ["CONNECTOR_TEST_FAULT"]]()
    from connector.cli import main as connector

    connector()


if __name__ == "__main__":
    main()
