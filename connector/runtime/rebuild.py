"""State from the changelog, in the only safe order (measured): committed offsets first, the log after.

`committed` blocks while the previous owner's transaction is open; read the other way round, an old state
would meet newer offsets. `filling` reads the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from connector.errors import ConnectorError
from connector.runtime import failpoints
from connector.runtime.filling import EARLIEST, LATEST, Cancelled, Filling, Places, offsets
from connector.runtime.passing import passing
from connector.runtime.telemetry import kafka_log, log

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from connector.runtime.state import PartitionState
    from connector.topics import Topics

_AGAIN_S: Final = 1.0


class RetentionOvertook(ConnectorError):
    """The group's committed offset is older than the oldest raw record: some were deleted unread."""

    code = "retention_overtook"


class Rebuild:
    """One rebuild of newly assigned partitions; runs in its own thread with its own clients."""

    def __init__(
        self,
        kafka: Mapping[str, str],
        group: str,
        topics: Topics,
        entities_of: Callable[[str], Iterable[str]],
        frames: frozenset[bytes],
        timeout_s: float,
    ) -> None:
        """Take connection settings, what each source writes, and the frames of the schema ids we know.

        `timeout_s` bounds one broker request.
        """
        self._filling: Final = Filling(topics, entities_of, frames, timeout_s)
        self._timeout_s: Final = timeout_s
        self._kafka: Final = kafka
        self._reader_config: Final = {
            "group.id": group,
            "enable.auto.commit": "false",
            "enable.auto.offset.store": "false",
            "isolation.level": "read_committed",
            "enable.partition.eof": "true",
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": "10",
            "queued.max.messages.kbytes": "65536",
            "logger": kafka_log,
        }

    @property
    def records_read(self) -> int:
        """Changelog records read so far, for progress."""
        return self._filling.records_read

    def run(
        self,
        raws: Sequence[tuple[str, int]],
        states: Mapping[tuple[str, int], PartitionState],
        cancelled: threading.Event,
    ) -> Places:
        """Bring states up to date and say from which raw offset each partition goes on.

        A broker that is away, or a predecessor's transaction that hangs, is waited for: what was read
        until then is read once more, with new clients.

        Args:
            raws: (raw topic, partition) of all partitions that are about to be read.
            states: Those of them whose state must be filled; the others know it already.
            cancelled: Set when the partitions are no longer ours.

        Returns:
            (raw topic, partition) -> next raw offset: the committed one, else the oldest.

        Raises:
            Cancelled: `cancelled` was set.
            RetentionOvertook: Raw records were deleted before the group had read them.
            KafkaException: The broker refused, and would again.
        """
        while True:
            try:
                return self._attempt(raws, states, cancelled)
            except KafkaException as failure:
                error = failure.args[0]
                if not passing(error):
                    raise
                log.warning("the rebuild waits for Kafka", extra={"why": f"{error.name()}: {error.str()}"})
            if cancelled.wait(_AGAIN_S):
                raise Cancelled("partitions moved on")

    def _attempt(
        self,
        raws: Sequence[tuple[str, int]],
        states: Mapping[tuple[str, int], PartitionState],
        cancelled: threading.Event,
    ) -> Places:
        # A long-lived admin client asks with the leader epoch it once learned, and after the broker's
        # return is refused with FENCED_LEADER_EPOCH until its next look at the metadata (measured).
        admin = AdminClient(dict(self._kafka), logger=kafka_log)
        reader = Consumer({**self._kafka, **self._reader_config})
        try:
            places = self._committed(admin, reader, raws)
            if states:
                self._filling.run(admin, reader, states, cancelled)
            failpoints.at("rebuild.read")
        finally:
            reader.close()
        return places

    def _committed(self, admin: AdminClient, reader: Consumer, raws: Sequence[tuple[str, int]]) -> Places:
        found = reader.committed([TopicPartition(*raw) for raw in raws], timeout=self._timeout_s)
        oldest = offsets(admin, raws, EARLIEST, self._timeout_s)
        places = {}
        for one in found:
            if one.error is not None:
                raise KafkaException(one.error)
            raw = (one.topic, one.partition)
            if one.offset == OFFSET_INVALID:
                places[raw] = oldest[raw]
            elif one.offset < oldest[raw]:
                raise RetentionOvertook(
                    f"{one.topic}/{one.partition}: committed offset {one.offset} is older than the oldest"
                    f" record {oldest[raw]}; records were deleted unread. Recover them from the vendor, then"
                    " reset the group's offset of this partition"
                )
            else:
                places[raw] = one.offset
        failpoints.at("rebuild.committed")
        return places

    def ends(self, places: Iterable[tuple[str, int]]) -> Places:
        """Say where changelog partitions end now.

        Raises:
            KafkaException: No broker answers.
        """
        return offsets(AdminClient(dict(self._kafka), logger=kafka_log), places, LATEST, self._timeout_s)

    def changelogs(self, source: str) -> list[str]:
        """Name the topics that hold the states of a source."""
        return self._filling.topics_of(source)
