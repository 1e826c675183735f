"""Short reads beside the group: its offsets, the first unread record, the newest records of a changelog."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from connector.core.avro import FRAME_BYTES
from connector.runtime.admin import REACH_S
from connector.runtime.passing import passing

if TYPE_CHECKING:
    from connector.core.facts import Place

_BATCH: Final = 500
_LAST: Final = 5
"""Offsets before the end of a log that are read for a frame; some of them are marks of transactions."""
_AGAIN_S: Final = 0.5
_PATIENCE_S: Final = 15.0
"""How long a coordinator may need: a new cluster makes it while we ask, a broker that came back loads it."""


def oldest_unread(reader: Consumer, places: list[Place]) -> dict[tuple[str, int], int | None]:
    """Read the first unread record of each place.

    Returns:
        Its timestamp in ms, or None where only marks of transactions are unread; nothing for a place whose
        leader did not answer in time.
    """
    starts = {(one.topic, one.partition): max(one.committed, one.start) for one in places}
    ends = {(one.topic, one.partition): one.end for one in places}
    told: dict[tuple[str, int], int | None] = {}
    for place, message in _read(reader, starts, ends):
        if place not in told:
            told[place] = None if message is None else message.timestamp()[1]
            reader.pause([TopicPartition(*place)])
        if len(told) == len(starts):
            break
    return told


def newest_frames(
    reader: Consumer, starts: Mapping[tuple[str, int], int], ends: Mapping[tuple[str, int], int]
) -> dict[tuple[str, int], set[bytes]]:
    """Read the frames, five bytes with the schema id, of the newest records of each partition."""
    last = {place: max(start, ends[place] - _LAST) for place, start in starts.items() if place in ends}
    told: dict[tuple[str, int], set[bytes]] = {}
    for place, message in _read(reader, {one: at for one, at in last.items() if at < ends[one]}, ends):
        value = None if message is None else message.value()
        frames = told.setdefault(place, set())
        if value is not None:
            frames.add(bytes(value)[:FRAME_BYTES])
    return told


def _read(
    reader: Consumer, starts: Mapping[tuple[str, int], int], ends: Mapping[tuple[str, int], int]
) -> Iterator[tuple[tuple[str, int], Message | None]]:
    """Read each partition to its end: records, and None at the end; gives up after `REACH_S`."""
    left = set(starts)
    reader.assign([TopicPartition(*place, at) for place, at in sorted(starts.items())])
    until = time.monotonic() + REACH_S
    while left and time.monotonic() < until:
        for message in reader.consume(_BATCH, 0.1):
            place, error = (str(message.topic()), int(message.partition() or 0)), message.error()
            if error is None:
                yield place, message
            elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  the client's public name
                if not passing(error):
                    raise KafkaException(error)
            elif int(message.offset() or 0) >= ends[place]:
                left.discard(place)
                yield place, None


def patiently(reader: Consumer, asked: list[TopicPartition]) -> list[TopicPartition]:
    """Look up offsets, and again while what is in the way ends by itself, for `_PATIENCE_S` at most.

    Raises:
        KafkaException: It does not, or not in time.
    """
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return reader.committed(asked, timeout=REACH_S)
        except KafkaException as failure:
            if not passing(failure.args[0]) or time.monotonic() > until:
                raise
        time.sleep(_AGAIN_S)
