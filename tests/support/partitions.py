"""Where keys lie and who works them: Java's partitioner, and what the broker says of the workers' group."""

from collections.abc import Iterator
from typing import Any

from confluent_kafka.admin import AdminClient
from stack import Stack


def java_partition(key: str, partitions: int) -> int:
    """Kafka's own murmur2 over the key's bytes."""
    data, m = key.encode(), 0x5BD1E995
    h = (0x9747B28C ^ len(data)) & 0xFFFFFFFF
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & 0xFFFFFFFF
        h = (h * m & 0xFFFFFFFF) ^ ((k ^ k >> 24) * m & 0xFFFFFFFF)
    if rest := data[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * m & 0xFFFFFFFF
    h = (h ^ h >> 13) * m & 0xFFFFFFFF
    return ((h ^ h >> 15) & 0x7FFFFFFF) % partitions


def owners(stack: Stack, topic: str) -> dict[int, str]:
    """Give for each partition of a topic the client id of the worker that owns it."""
    admin = AdminClient({"bootstrap.servers": stack.bootstrap, "log_level": 0})
    group = f"{stack.prefix}-worker"
    told: Any = admin.describe_consumer_groups([group], request_timeout=20)[group].result()
    return {
        place.partition: member.client_id
        for member in told.members
        for place in member.assignment.topic_partitions
        if place.topic == topic
    }


class Owned:
    """Chooses ids by the worker that will own their key."""

    def __init__(self, owner_of: dict[int, str], first: int = 3000) -> None:
        """Take what `owners` gave, and the first id to try."""
        self._owner_of = owner_of
        self._ids = iter(range(first, first + 10_000))

    def _tries(self, form: str) -> Iterator[tuple[str, str]]:
        for one in self._ids:
            id_ = f"{one:012}" if "identity" in form else str(one)
            yield form.format(id_), id_

    def by(self, owner: str, form: str) -> str:
        """Give the next id whose key, `form` with the id in it, lies with this worker."""
        partitions = len(self._owner_of)
        return next(
            id_ for key, id_ in self._tries(form) if self._owner_of[java_partition(key, partitions)] == owner
        )
