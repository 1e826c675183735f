"""From a live changelog to the version that was told anew, and back: topics to write, offsets to read from.

The new topics hold what raw held up to the recorded ends, and the workers have gone on since. Whoever works
on them must begin at those ends again: what is worked twice changes nothing, what is skipped is lost.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # not re-exported (2.16)

from connector.errors import Misconfigured
from connector.runtime.admin import Brokers, wanted_config
from connector.runtime.telemetry import kafka_log
from connector.topics import CONFIGS, DOCS, Topic

if TYPE_CHECKING:
    from connector.runtime.reading import Place, Reader
    from connector.runtime.settings import Settings

_REQUEST_S: Final = 20.0
_VISIBLE_S: Final = 30.0
_FEW: Final = 3
"""Copies from which on two must confirm a write."""


class Mark(msgspec.Struct, frozen=True):
    """An offset of one raw partition."""

    topic: str
    partition: int
    offset: int


class Rebuilt(msgspec.Struct):
    """What `connector rebuild apply` wrote: all that a switch needs to know."""

    prefix: str
    live: dict[str, int]
    """Entity -> version it was in."""
    ahead: dict[str, int]
    """Entity -> version that was written."""
    ends: list[Mark]
    """First raw offsets that are not in the new topics."""
    left: list[Mark] = []
    """Where the workers stood when it was switched: first offsets that are not in the old topics."""


_read: Final = msgspec.json.Decoder(Rebuilt)


def load(path: Path, prefix: str) -> Rebuilt:
    """Read what a rebuild wrote.

    Raises:
        Misconfigured: The file is not there, is none of ours, or of other topics.
    """
    try:
        found = _read.decode(path.read_bytes())
    except OSError as error:
        raise Misconfigured(f"{path}: {error.strerror}; name the file of connector rebuild apply") from None
    except msgspec.MsgspecError:
        raise Misconfigured(f"{path}: not written by connector rebuild apply; name its file") from None
    if found.prefix != prefix:
        raise Misconfigured(f"{path}: is about topics.prefix {found.prefix}, not {prefix}; use its settings")
    return found


def save(path: Path, rebuilt: Rebuilt) -> None:
    """Write what a rebuild did; a crash leaves the old file or the new one.

    Raises:
        Misconfigured: The file cannot be written.
    """
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_bytes(msgspec.json.format(msgspec.json.encode(rebuilt), indent=1))
        beside.replace(path)
    except OSError as error:
        raise Misconfigured(f"{path}: {error.strerror}; name a file that can be written") from None


def make(settings: Settings, reader: Reader, names: Iterable[str]) -> None:
    """Create the topics of the next version, as their first ones are; empty ones may be there.

    Raises:
        Misconfigured: One holds records, is of another size, or the broker refuses.
    """
    brokers = Brokers(settings.kafka)
    names = list(names)
    there = [name for name, one in brokers.metadata().topics.items() if name in names and one.error is None]
    for name, count in reader.partitions(there).items() if there else ():
        if count != settings.topics.partitions:
            raise Misconfigured(
                f"{name}: has {count} partitions, not {settings.topics.partitions}; delete it"
            )
        if any(end for _, end in reader.reach((name, one) for one in range(count)).values()):
            raise Misconfigured(
                f"{name}: holds records of a rebuild that was not finished, or is in use; if no worker and "
                "no consumer uses it, delete it and run this again"
            )
    copies = settings.topics.replication_factor
    missing = [name for name in names if name not in there]
    new = [
        NewTopic(
            name,
            num_partitions=settings.topics.partitions,
            replication_factor=copies,
            config=wanted_config(Topic(name, "changelog", CONFIGS["changelog"], DOCS["changelog"]), copies),
        )
        for name in missing
    ]
    if not new:
        return
    for name, made in brokers.client.create_topics(new, request_timeout=_REQUEST_S).items():
        try:
            made.result()
        except KafkaException as error:
            raise Misconfigured(f"{name}: not created: {error.args[0].str()}") from None
    deadline_s = time.monotonic() + _VISIBLE_S
    while not _led(brokers, missing):
        if time.monotonic() > deadline_s:
            raise Misconfigured(f"{missing[0]}: created, but has no leader yet; look at the brokers")
        time.sleep(0.1)


def _led(brokers: Brokers, names: Iterable[str]) -> bool:
    """Say whether topics can be written."""
    known = brokers.metadata().topics
    return all(
        name in known
        and known[name].error is None
        and all(one.leader >= 0 for one in known[name].partitions.values())
        for name in names
    )


def chosen(settings: Settings, wanted: Mapping[str, int]) -> None:
    """Check that the settings choose the versions a switch is for.

    Raises:
        Misconfigured: They do not yet.
    """
    has = settings.topics.versions
    if any(has.get(entity, 1) != version for entity, version in wanted.items()):
        named = ", ".join(f"{entity}: {version}" for entity, version in sorted(wanted.items()))
        raise Misconfigured(f"topics.versions: the switch is to {{{named}}}; set that for all workers first")


def moves(settings: Settings, reader: Reader, targets: Iterable[Mark]) -> dict[Place, tuple[int, int]]:
    """Say which committed offsets of the workers' group must go back: place -> (from, to).

    Raises:
        Misconfigured: Workers are running, or retention took raw records that would be read again.
    """
    _none_running(settings)
    to = {(one.topic, one.partition): one.offset for one in targets}
    reaches = reader.reach(to)
    found = {}
    for place, committed in _committed(settings, to).items():
        if committed <= to[place]:
            continue
        if to[place] < reaches[place][0]:
            raise Misconfigured(
                f"{place[0]}/{place[1]}: must be read again from offset {to[place]}, and retention took what "
                f"is before {reaches[place][0]}; rebuild again"
            )
        found[place] = (committed, to[place])
    return found


def positions(settings: Settings, places: Iterable[Place]) -> list[Mark]:
    """Tell where the workers' group stands."""
    return [Mark(*place, offset) for place, offset in sorted(_committed(settings, places).items())]


def _committed(settings: Settings, places: Iterable[Place]) -> dict[Place, int]:
    """Give committed offsets; a partition the group never read is left out: it begins at the beginning."""
    config = {**settings.kafka, "group.id": settings.group, "isolation.level": "read_committed"}
    consumer = Consumer(config, logger=kafka_log)
    try:
        found = consumer.committed([TopicPartition(*place) for place in places], timeout=_REQUEST_S)
    except KafkaException as error:
        raise Misconfigured(f"{settings.group}: its offsets cannot be read: {error.args[0].str()}") from None
    finally:
        consumer.close()
    return {(one.topic, one.partition): one.offset for one in found if one.offset != OFFSET_INVALID}


def _none_running(settings: Settings) -> None:
    admin = AdminClient(dict(settings.kafka), logger=kafka_log)
    asked = admin.describe_consumer_groups([settings.group], request_timeout=_REQUEST_S)
    try:
        members = len(asked[settings.group].result().members)
    except KafkaException as error:
        raise Misconfigured(f"{settings.group}: cannot be looked at: {error.args[0].str()}") from None
    if members:
        raise _running(settings, f"{members} worker(s) are in the group")


def _running(settings: Settings, why: str) -> Misconfigured:
    return Misconfigured(
        f"{settings.group}: {why}; stop all workers first (one that was killed counts for "
        f"{settings.worker.session_timeout_ms // 1000} s more)"
    )


def move(settings: Settings, moved: Mapping[Place, tuple[int, int]]) -> None:
    """Set the group's offsets back.

    Raises:
        Misconfigured: The broker refuses, as it does while a worker is running.
    """
    admin = AdminClient(dict(settings.kafka), logger=kafka_log)
    offsets = [TopicPartition(*place, to) for place, (_, to) in moved.items()]
    asked = admin.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(settings.group, offsets)], request_timeout=_REQUEST_S
    )
    try:
        answers = asked[settings.group].result().topic_partitions
    except KafkaException as error:
        raise _running(settings, f"its offsets cannot be set: {error.args[0].str()}") from None
    for one in answers:
        if one.error is not None:
            raise _running(settings, f"an offset cannot be set: {one.error.str()}")
