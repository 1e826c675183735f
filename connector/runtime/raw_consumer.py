"""The consumer of the raw topics: nothing is fetched of a partition that was just assigned.

It is assigned at an explicit offset, since with the stored one the client would read before the rebuild,
and paused at once; but a fetch may be quicker than the pause. At offset 0 the broker would answer that it is
gone, once retention has deleted anything, and after such an answer the client takes no seek any more. At the
logical end the client asks for the offset by itself, and an answer that comes after the seek moves the
position behind records that nobody has read (both measured). So we ask, before the assignment.
"""

from __future__ import annotations

from typing import Final

from confluent_kafka import OFFSET_END, KafkaException, TopicPartition

from connector.runtime.passing import passing
from connector.runtime.rotation import Consumer

_LOOK_S: Final = 5.0


class RawConsumer(Consumer):
    """Begins every partition at its end, as a number; reading begins with a seek."""

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Take these partitions and no others."""
        super().assign(self._at_end(partitions))

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        """Take these partitions, too."""
        super().incremental_assign(self._at_end(partitions))

    def _at_end(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Look up the ends in one request to each leader; 0 where none answers.

        Raises:
            KafkaException: It does not end by itself.
        """
        asked = [TopicPartition(one.topic, one.partition, OFFSET_END) for one in partitions]
        if not asked:
            return []
        try:
            found = self.offsets_for_times(asked, timeout=_LOOK_S)
        except KafkaException as failure:
            if not passing(failure.args[0]):
                raise
            found = asked
        # never the logical end, which is below 0
        return [TopicPartition(one.topic, one.partition, max(one.offset, 0)) for one in found]
