"""What the worker's stations hand on: a cycle is one drain of the consumer, a batch its share per source.

A cycle is committed whole, in number order, under the group metadata its records were polled with.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from confluent_kafka import Message, TopicPartition

    from connector.runtime.wire import KafkaRecord


class Fence:
    """The group metadata a cycle commits under; renewed only inside a revoke, by the polling thread.

    Fresh metadata anywhere else would let a late commit through: the broker checks membership, not
    ownership.
    """

    def __init__(self, metadata: Any) -> None:
        """Capture the metadata taken with the records."""
        self.metadata = metadata


class Batch:
    """One source's records of one cycle, by partition, in offset order. Made by the intake alone."""

    def __init__(self, cycle: Cycle, source: str) -> None:
        """Start an empty batch."""
        self.cycle: Final = cycle
        self.source: Final = source
        self.messages: Final[dict[int, list[Message]]] = {}


class Cycle:
    """Everything of one drain, until it is committed or dropped."""

    def __init__(self, epoch: int, number: int, fence: Fence) -> None:
        """Number a cycle within its epoch; a rewind begins a new epoch at number 0."""
        self.epoch: Final = epoch
        self.number: Final = number
        self.fence: Final = fence
        self.batches: Final[dict[str, Batch]] = {}
        self.offsets: list[TopicPartition] = []
        """Next offset of every partition it holds records of."""
        self.outputs: Final[dict[str, list[KafkaRecord]]] = {}
        self.settled: Final = threading.Event()
        """Set once committed, or dropped for good."""
        self.polled_at_s = 0.0
        """Monotonic seconds."""
        self.traceparents: Final[dict[str, None]] = {}
        """Of its records, each once; kept only while traces are told, like the next."""
        self.verdicts: Final[Counter[str]] = Counter()

    @property
    def whole(self) -> bool:
        """Whether every batch's outputs have arrived."""
        return len(self.outputs) == len(self.batches)

    @property
    def records(self) -> int:
        """How many raw records it holds."""
        return sum(len(taken) for batch in self.batches.values() for taken in batch.messages.values())
