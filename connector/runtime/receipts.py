"""What becomes of one callback's records: counted down to a receipt, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec
from confluent_kafka import KafkaError, Message

from connector.errors import NotDurable
from connector.runtime.wire import UNPLACED, KafkaRecord, fault_of


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Proof that every record of one callback is confirmed by all in-sync replicas.

    Made in this module and nowhere else; nothing but a receipt becomes a 202.
    """

    delivery_id: str
    accepted: int
    quarantined: int


Settle: TypeAlias = "Callable[[Receipt | NotDurable], None]"
"""Called once, in the loop's thread, with what became of a callback; must not raise."""


class Way:
    """One callback on its way to Kafka: counted down in the poll thread, completed in the loop's."""

    __slots__ = (
        "accepted",
        "began",
        "deadline",
        "delivery_id",
        "done",
        "error",
        "left",
        "quarantined",
        "repeat",
        "settle",
    )

    def __init__(self, delivery_id: str, records: int, quarantined: int) -> None:
        self.delivery_id = delivery_id
        self.accepted = records - quarantined
        self.quarantined = quarantined
        self.left = records
        self.error: KafkaError | None = None
        self.began = self.deadline = 0.0
        self.settle: Settle | None = None
        """Set once everything was handed over: who was told of an error before is told nothing more."""
        self.done: Callable[[Way], None]
        self.repeat: Callable[[Way, KafkaRecord], bool]

    def report(self, record: KafkaRecord, error: KafkaError | None, message: Message) -> None:
        """Count one delivery report; the first error wins."""
        fault = fault_of(error, message)
        if fault is UNPLACED and self.repeat(self, record):
            return
        if self.error is None:
            self.error = fault
        self.left -= 1
        if not self.left:
            self.done(self)

    def received(self) -> None:
        """Hand the receipt over, unless something was settled before."""
        if self.settle is not None:
            settle, self.settle = self.settle, None
            settle(Receipt(self.delivery_id, self.accepted, self.quarantined))

    def failed(self, reason: str) -> None:
        """Say that it is not durable, unless something was settled before."""
        if self.settle is not None:
            settle, self.settle = self.settle, None
            settle(NotDurable(reason))
