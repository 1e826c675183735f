"""The command `connector` with one fault put in, named by CONNECTOR_TEST_FAULT; only tests start it."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar, Final

import confluent_kafka

FREEZE_AFTER: Final = 2
"""Transactions that pass before the process stops itself."""
ABORTS: Final = {"produce": 2, "send_offsets": 5, "sent_offsets": 8, "commit": 11}
"""Step -> the transaction that fails there."""
FREEZE_BEHIND: Final = 30
"""Changelog records that are written without a transaction before the process stops itself."""
REFUSALS: Final = {
    "lost history": (".events", 50, confluent_kafka.KafkaError._MSG_TIMED_OUT),  # noqa: SLF001  its public name
    "refused state": (".changelog.", 70, confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED),
    "offsets": ("", 12, confluent_kafka.KafkaError.GROUP_AUTHORIZATION_FAILED),
}
"""Step -> part of the topic's name, its record or commit that fails, and how."""
HALF_WAY: Final = 5
"""Record of a transaction that is refused in `produce`."""
WORN_OUT_AT: Final = 3
"""The transaction of a producer that finds no end."""
TWO: Final = 2


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


class _WornOut(confluent_kafka.Producer):
    """The first one of a process never returns from a call, the second one tries in vain, the third works."""

    made = 0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        _WornOut.made += 1
        self.number = self.made
        self.sent = 0

    def send_offsets_to_transaction(self, *arguments: Any) -> None:
        self.sent += 1
        if self.sent == WORN_OUT_AT and self.number == 1:
            self.flush(10)
            threading.Event().wait()
        if self.sent == WORN_OUT_AT and self.number == TWO:
            raise _failure(confluent_kafka.KafkaError._FAIL, txn_requires_abort=True)  # noqa: SLF001  its public name
        super().send_offsets_to_transaction(*arguments)

    def abort_transaction(self, *arguments: Any) -> None:
        if self.number == TWO:
            time.sleep(1)
            raise _failure(confluent_kafka.KafkaError._TIMED_OUT, retriable=True)  # noqa: SLF001  its public name
        super().abort_transaction(*arguments)


def _wear_out() -> None:
    """Let two producers end without an outcome, as the client does when Kafka was away."""
    confluent_kafka.Producer = _WornOut  # type: ignore[misc]  # on purpose


def _failure(code: int, **flags: bool) -> confluent_kafka.KafkaException:
    error = confluent_kafka.KafkaError(code, "put in by a test", **flags)
    return confluent_kafka.KafkaException(error)


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
            raise _failure(confluent_kafka.KafkaError._FAIL, txn_requires_abort=True)  # noqa: SLF001  its public name


def _abort() -> None:
    """Let four transactions fail, each at another step, with commits between them."""
    confluent_kafka.Producer = _Aborting  # type: ignore[misc]  # on purpose


class _FreezingAwaited(confluent_kafka.Producer):
    """Stops its own process between two records that become state, one of them perhaps not sent yet."""

    changes = 0

    def produce(self, topic: str, *arguments: Any, **named: Any) -> None:
        super().produce(topic, *arguments, **named)
        if ".changelog." in topic:
            self.changes += 1
            if self.changes == FREEZE_BEHIND:
                os.kill(os.getpid(), signal.SIGSTOP)


def _freeze_awaited() -> None:
    """SIGSTOP in the middle of a cycle that is written without a transaction."""
    confluent_kafka.Producer = _FreezingAwaited  # type: ignore[misc]  # on purpose


class _Refusing(confluent_kafka.Producer):
    """Refuses, or loses, a record of history and one that becomes state, and those behind it in its topic."""

    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.refused: dict[str, int] = {}
        """Topic -> why; this client writes nothing to it any more."""

    def produce(self, topic: str, *arguments: Any, **named: Any) -> None:
        for step, (kind, at, code) in REFUSALS.items():
            if kind and kind in topic:
                self.seen[step] += 1
                if self.seen[step] == at:
                    self.refused[topic] = code
        if topic in self.refused:
            error = confluent_kafka.KafkaError(self.refused[topic], "put in by a test")
            named["on_delivery"](error, None)
        else:
            super().produce(topic, *arguments, **named)


class _Forgetful(confluent_kafka.Consumer):
    """Refuses to commit once."""

    commits = 0

    def commit(self, *arguments: Any, **named: Any) -> Any:
        _Forgetful.commits += 1
        if _Forgetful.commits == REFUSALS["offsets"][1]:
            raise _failure(REFUSALS["offsets"][2])
        return super().commit(*arguments, **named)


def _refuse() -> None:
    """Let a cycle without a transaction fail once at each of its steps."""
    confluent_kafka.Producer = _Refusing  # type: ignore[misc]  # on purpose
    confluent_kafka.Consumer = _Forgetful  # type: ignore[misc]  # on purpose


FAULTS: Final[dict[str, Callable[[], None]]] = {
    "freeze": _freeze,
    "freeze awaited": _freeze_awaited,
    "wear out": _wear_out,
    "abort": _abort,
    "refuse": _refuse,
}


def main() -> None:
    """Put the fault in, then be the product."""
    FAULTS[os.environ["CONNECTOR_TEST_FAULT"]]()
    from connector.cli import main as connector

    connector()


if __name__ == "__main__":
    main()
