"""One look at the brokers: what the guards judge. Every question has an end; new clients ask each time.

A client that lives for long asks with the leader epochs it once learned, and is refused after a broker's
return (measured). What a principal may not see is left out, and not judged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from typing import Any, Final, Literal, TypeVar

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # not re-exported (2.16)
    ConfigResource,
    ResourceType,
    TopicDescription,
)
from confluent_kafka.admin._listoffsets import OffsetSpec

from connector.core.facts import Facts, Found, Place, Wanted
from connector.core.guards import NEAR
from connector.errors import ConnectorError
from connector.runtime.admin import REACH_S, Brokers, wanted_config
from connector.runtime.desk import topics_under
from connector.runtime.samples import oldest_unread, patiently
from connector.runtime.settings import Settings

Role = Literal["serve", "work"]
Answer = TypeVar("Answer")
_EARLIEST: Final = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the client has no annotation here
_LATEST: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # likewise
_DENIED: Final = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED})
_NONE_SUCH: Final = KafkaError.UNKNOWN_TOPIC_OR_PART
Clean = dict[tuple[str, int], tuple[int, int]]
"""(topic, partition) -> (committed, clean to): where only marks of transactions were unread."""


class Unanswered(ConnectorError):
    """No broker answered in time; nothing can be said about anything."""

    code = "unanswered"


def wanted(settings: Settings, role: Role) -> list[Wanted]:
    """List the topics a role needs: `serve` sees raw and quarantine alone."""
    sizes = settings.topics
    return [
        Wanted(
            one.name,
            one.kind,
            sizes.partitions,
            sizes.replication_factor,
            wanted_config(one, sizes.replication_factor),
        )
        for one in topics_under(sizes.prefix, sizes.versions).all()
        if role == "work" or one.kind in ("raw", "quarantine")
    ]


class Look:
    """One look, with clients of its own."""

    def __init__(self, settings: Settings) -> None:
        """Make the clients; nothing is connected yet.

        Raises:
            Misconfigured: librdkafka refuses a property.
        """
        self._group: Final = settings.group
        self.brokers: Final = Brokers(settings.kafka)

    def facts(self, wanted: Sequence[Wanted], clean: Clean, *, group: bool) -> Facts:
        """Collect the facts about some topics.

        Args:
            wanted: The topics.
            clean: What earlier looks found empty; added to.
            group: Look at what the group reads, too.

        Raises:
            Unanswered: No broker answered in time.
        """
        topics = self._topics([one.name for one in wanted])
        raw = [one.name for one in wanted if one.kind == "raw" and topics.get(one.name) is not None]
        now_ms = time.time_ns() // 1_000_000
        places: list[Place] | None = []
        if group and raw:
            places = self._places({name: found for name in raw if (found := topics[name])}, clean, now_ms)
        return Facts(now_ms, self._group, topics, places)

    def _topics(self, names: list[str]) -> dict[str, Found | None]:
        asked = self.brokers.client.describe_topics(TopicCollection(names), request_timeout=REACH_S)
        described = {name: self._answer(future) for name, future in asked.items()}
        there = [name for name, one in described.items() if isinstance(one, TopicDescription)]
        configs = self._configs(there) if there else {}
        found: dict[str, Found | None] = {}
        for name, one in described.items():
            if isinstance(one, TopicDescription):
                found[name] = _found(one, configs.get(name))
            elif one.code() == _NONE_SUCH:
                found[name] = None
        return found

    def _configs(self, names: list[str]) -> dict[str, dict[str, str]]:
        asked = self.brokers.client.describe_configs(
            [ConfigResource(ResourceType.TOPIC, name) for name in names], request_timeout=REACH_S
        )
        answers = {resource.name: self._answer(future) for resource, future in asked.items()}
        return {
            name: {entry.name: str(entry.value) for entry in answer.values()}
            for name, answer in answers.items()
            if not isinstance(answer, KafkaError)
        }

    def _answer(self, future: Future[Answer]) -> Answer | KafkaError:
        """Wait for an answer; give the refusal of a single topic or partition.

        Raises:
            Unanswered: There is none in time.
        """
        try:
            return future.result(2 * REACH_S)
        except Late:
            raise Unanswered(f"kafka: no answer within {2 * REACH_S} s") from None
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            if error.code() in _AWAY:
                raise Unanswered(self.brokers.silent(error)) from None
            return error

    def offsets(self, places: Iterable[tuple[str, int]], spec: OffsetSpec) -> dict[tuple[str, int], int]:
        """Look up offsets as an uncommitted reader sees them; partitions that give none are left out.

        Raises:
            Unanswered: No broker answered in time.
        """
        asked = {TopicPartition(*place): spec for place in places}
        if not asked:
            return {}
        told = self.brokers.client.list_offsets(
            asked, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=REACH_S
        )
        found: dict[tuple[str, int], int] = {}
        silent: Unanswered | None = None
        for one, future in told.items():
            try:
                answer = self._answer(future)
            except Unanswered as away:  # the leader of this partition; others may be there
                silent = away
                continue
            if not isinstance(answer, KafkaError):
                found[one.topic, one.partition] = answer.offset
        if silent is not None and not found:
            raise silent
        return found

    def ends(self, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Look up where logs end."""
        return self.offsets(places, _LATEST)

    def starts(self, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Look up where logs begin."""
        return self.offsets(places, _EARLIEST)

    def committed(self, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int] | None:
        """Look up what the group has committed, None if we may not.

        Raises:
            Unanswered: The group's coordinator did not answer in time.
        """
        told = self.offsets_of(self._group, places)
        return None if told is None else {(one.topic, one.partition): one.offset for one in told}

    def offsets_of(self, group: str, places: Iterable[tuple[str, int]]) -> list[TopicPartition] | None:
        """Look up a group's offsets, None if we may not; unstable ones are not waited for.

        Raises:
            Unanswered: The group's coordinator did not answer in time.
        """
        asked = [TopicPartition(*place) for place in places]
        reader = self.brokers.consumer(group, "read_uncommitted")
        try:
            return [one for one in patiently(reader, asked) if one.error is None and one.offset >= 0]
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            if error.code() in _DENIED:
                return None
            raise Unanswered(f"kafka: the offsets of group {group}: {error.str()}") from None
        finally:
            reader.close()

    def _places(self, raw: Mapping[str, Found], clean: Clean, now_ms: int) -> list[Place] | None:
        """Compare what is committed with what is there; in this order, or a moving worker looks wrong."""
        committed = self.committed(
            (name, one) for name, found in raw.items() for one in range(found.partitions)
        )
        if committed is None:
            return None
        starts, ends = self.starts(committed), self.ends(committed)
        places = [
            Place(*place, at, starts[place], ends[place], clean_to=_clean_to(clean, place, at))
            for place, at in committed.items()
            if place in starts and place in ends
        ]
        old = self._old([one for one in places if one.committed < one.end], raw, now_ms)
        oldest = self.with_reader(lambda reader: oldest_unread(reader, old)) if old else {}
        for at, one in enumerate(places):
            place = one.topic, one.partition
            if place not in oldest:
                continue
            if (stamp := oldest[place]) is None:
                clean[place] = (one.committed, one.end)
            else:
                places[at] = Place(*place, one.committed, one.start, one.end, stamp, one.clean_to)
        return places

    def _old(self, behind: list[Place], raw: Mapping[str, Found], now_ms: int) -> list[Place]:
        """Give the places whose oldest unread record may be near its end."""
        old: list[Place] = []
        for name, found in raw.items():
            kept_ms = int((found.config or {}).get("retention.ms", -1))
            mine = {(one.topic, one.partition): one for one in behind if one.topic == name}
            if kept_ms > 0 and mine:
                spec = OffsetSpec.for_timestamp(int(now_ms - NEAR * kept_ms))
                young = self.offsets(mine, spec)
                old += [
                    one
                    for place, one in mine.items()
                    if place in young and not 0 <= young[place] <= one.committed
                ]
        return old

    def with_reader(self, ask: Callable[[Consumer], Answer]) -> Answer:
        """Read something committed through a consumer that joins no group and commits nothing."""
        reader = self.brokers.consumer(self._group, "read_committed")
        try:
            return ask(reader)
        finally:
            reader.close()


def _clean_to(clean: Clean, place: tuple[str, int], committed: int) -> int:
    at, to = clean.get(place, (-1, -1))
    return to if at == committed else -1


def _found(one: TopicDescription, config: Mapping[str, str] | None) -> Found:
    partitions: list[Any] = one.partitions
    return Found(
        str(one.topic_id),
        len(partitions),
        min((len(each.replicas) for each in partitions), default=0),
        min((len(each.isr) for each in partitions), default=0),
        sum(each.leader is None for each in partitions),
        config,
    )


_AWAY: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001  the client's public names
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._AUTHENTICATION,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError._SSL,  # noqa: SLF001
        KafkaError._WAIT_COORD,  # noqa: SLF001
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
    }
)
"""Nobody is there to ask; any other error is an answer."""
