"""The command `connector` with one fault put in, named by CONNECTOR_TEST_FAULT; only tests start it."""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any, Final

import confluent_kafka

FREEZE_AFTER: Final = 2
"""Transactions that pass before the process stops itself."""
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


FAULTS: Final[dict[str, Callable[[], None]]] = {"freeze": _freeze, "hang": _hang}


def main() -> None:
    """Put the fault in, then be the product."""
    FAULTS[os.environ["CONNECTOR_TEST_FAULT"]]()
    from connector.cli import main as connector

    connector()


if __name__ == "__main__":
    main()
