"""What the guards speak of: topics as they must be, as they are, and what is found to be wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

Grade = Literal["stop", "refuse", "warn"]
"""`stop` ends a running worker and refuses a start. `refuse` refuses a start alone: a worker that runs knows
already what it needs, and stopping it would only add an outage. `warn` is told and counted."""
GRADES: Final[Sequence[Grade]] = ("stop", "refuse", "warn")

GUARDS: Final[Mapping[str, str]] = {
    "missing": "every topic is there",
    "recreated": "no topic was deleted and made anew",
    "partitions": "every topic has the partition count of all the others",
    "cleanup": "states are compacted, everything else is deleted by age",
    "delete_retention": "the memory of deletes stays longer than raw records",
    "raw_retention": "raw records stay as long as they must",
    "max_message_bytes": "the largest record we write fits",
    "min_insync_replicas": "as many copies as promised confirm a write",
    "unclean_election": "a copy that lacks confirmed records never becomes leader",
    "unwritable": "every partition has a leader, and enough copies to confirm a write",
    "settings": "the settings of topics can be read",
    "offsets": "the group's offsets are not behind the end of the log",
    "overtaken": "no raw record was deleted before the group had read it",
    "aging": "no unread raw record is about to be deleted",
}
"""Each guard with what it makes sure of; the names are labels of a metric."""
OF_PLACES: Final = frozenset({"offsets", "overtaken", "aging"})
"""Guards of partitions and offsets; the others are of topics."""


class Wanted(msgspec.Struct, frozen=True):
    """One topic as it must be."""

    name: str
    kind: str
    partitions: int
    copies: int
    """`topics.replication_factor`."""
    config: Mapping[str, str]


class Found(msgspec.Struct, frozen=True):
    """One topic as the brokers tell."""

    id: str
    """Kafka's own; a topic that was deleted and made anew has another."""
    partitions: int
    copies: int
    """Replicas of the partition that has the fewest."""
    in_sync: int
    """In-sync replicas of the partition that has the fewest."""
    leaderless: int
    """Partitions nobody leads."""
    config: Mapping[str, str] | None
    """None: we may not read it."""


class Place(msgspec.Struct, frozen=True):
    """One raw partition as the group reads it; offsets."""

    topic: str
    partition: int
    committed: int
    """Next offset the group will read."""
    start: int
    end: int
    oldest_ms: int | None = None
    """Timestamp of the oldest unread record, where somebody looked."""
    clean_to: int = -1
    """Between `committed` and this offset stood no records, only marks of transactions."""


class Facts(msgspec.Struct, frozen=True):
    """What one look at the brokers gave."""

    now_ms: int
    group: str
    topics: Mapping[str, Found | None]
    """None: no such topic. A topic nobody answered for is left out, and not judged."""
    places: Sequence[Place] | None = ()
    """None: we may not see the group's offsets."""
    known: Mapping[str, str] = {}
    """Topic -> the id it had before."""


class Finding(msgspec.Struct, frozen=True):
    """One guard that is not content with one topic."""

    guard: str
    grade: Grade
    kind: str
    """Of the topic."""
    where: str
    """The topic, or `topic/partition`."""
    found: str
    wanted: str
    remedy: str

    def line(self, more: int = 0) -> str:
        """Tell it in one line; `more` others are like it."""
        where = f"{self.where} and {more} more" if more else self.where
        return f"{where}: found {self.found}, wanted {self.wanted}; {self.remedy}"


def grouped(findings: Iterable[Finding]) -> list[tuple[Finding, int]]:
    """Put alike findings together: (the first, how many more)."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.guard, one.grade, one.found), []).append(one)
    return [(alike[0], len(alike) - 1) for alike in groups.values()]
