"""Changelogs told anew from raw, partition by partition, and compared with the live ones.

A partition of a changelog depends on nothing but the raw partitions of the same number: effects on a second
key stand there as raw records, too. So one is folded at a time, and what it holds up to a recorded end is
complete: a worker that reads on from that end misses nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from connector import flow
from connector.core.folding import Retold, differing, without
from connector.core.join import version_of
from connector.errors import Misconfigured, Unusable
from connector.model import NEVER, TICKS_PER_MS, EntityKey, Known, Outcome, RawRecord
from connector.runtime import wire
from connector.runtime.last_records import LastRecords, laid_out
from connector.runtime.reading import placed
from connector.runtime.tuning import tuned

if TYPE_CHECKING:
    from confluent_kafka import Message

    from connector.core.avro import Codecs
    from connector.flow import Desk
    from connector.model import ChangeEvent
    from connector.runtime.last_records import Last
    from connector.runtime.reading import Place, Reach, Reader
    from connector.runtime.settings import Settings
    from connector.runtime.wire import KafkaRecord
    from connector.topics import Topics

EXAMPLES: Final = 20
"""Keys that are named of each kind of difference."""
_SUCCESSOR: Final = "x-erp-successor"
_LATEST_TICKS: Final = 3600 * 10_000_000
"""An event may be ahead of its receipt by ten minutes; the rest is for clocks that differ."""
Progress: TypeAlias = Callable[[int], None]
"""Hears how many more raw offsets are done."""


class Compared(msgspec.Struct):
    """One entity, told anew, against its live changelog."""

    same: int = 0
    differs: int = 0
    only_new: int = 0
    unguarded: int = 0
    """Of those: so old that a delete of them may be forgotten."""
    only_live: int = 0
    columns: Counter[str] = msgspec.field(default_factory=Counter)
    """Column -> keys in which it differs."""
    examples: dict[str, list[str]] = {}
    """Kind of difference -> some keys."""

    def name(self, kind: str, key: str) -> None:
        """Remember a key, if it is one of the first."""
        keys = self.examples.setdefault(kind, [])
        if len(keys) < EXAMPLES:
            keys.append(key)


class _View:
    """What is known of the keys of a partition: what was told anew, over what the live topic says."""

    def __init__(self, live: LastRecords | None, told: LastRecords) -> None:
        self._live: Final = live
        self._told: Final = told
        self._retold: Final = Retold()
        self._event: ChangeEvent | None = None
        self._whole_from = NEVER

    def expect(self, event: ChangeEvent, whole_from: int) -> None:
        """Hear of the event that is joined next, and from which version on its raw partition is whole."""
        self._event, self._whole_from = event, whole_from

    def get(self, key: EntityKey) -> Known | None:
        """Give what is known of a key, without the live columns that the event tells by itself."""
        live = None if self._live is None else self._live.known(key)
        known = self._told.known(key) or live
        event, self._event = self._event, None
        if known is None or live is None or event is None:
            return known
        columns = self._retold.columns(key.text, live.state, event.state, self._whole_from)
        return Known(without(known.state, live.state, columns), known.timestamp_ms) if columns else known

    @staticmethod
    def glance(key: EntityKey) -> Known | None:
        """Tell nothing at a glance: what is known is packed."""
        del key
        return None

    def put(self, key: EntityKey, outcome: Outcome) -> None:
        """Remember what an applied event wrote."""
        del key
        self._told.put(outcome.records)


class Reprocess:
    """Some changelogs of one deployment."""

    def __init__(
        self,
        settings: Settings,
        topics: Topics,
        desk: Desk,
        codecs: Codecs,
        reader: Reader,
        entities: Iterable[str],
        *,
        raw_alone: bool,
    ) -> None:
        """Take the live topics, and what is told anew; with `raw_alone` nothing is kept of the live ones."""
        self._topics: Final = topics
        self._desk: Final = desk
        self._codecs: Final = codecs
        self._reader: Final = reader
        self._raw_alone: Final = raw_alone
        self._set_aside: Final = frozenset(settings.worker.quarantine)
        self._old: Final = time.time_ns() // 100 - flow.GUARD_TICKS
        self.partitions: Final = settings.topics.partitions
        self.compared: Final[dict[str, Compared]] = {entity: Compared() for entity in entities}
        self.left_out: Final[Counter[str]] = Counter()
        """Why -> raw records that told nothing."""
        self._dialects: Final = tuned(settings.endpoints)
        self._sources: Final = [
            source for source in self._dialects.values() if not self.compared.keys().isdisjoint(source.shapes)
        ]

    def reaches(self) -> dict[Place, Reach]:
        """Say where the raw partitions begin and end now: what is told anew reaches to these ends.

        Raises:
            Misconfigured: A topic is missing, or of another size.
        """
        raws = [self._topics.raw[source.name] for source in self._sources]
        logs = [self._topics.changelog[entity] for entity in self.compared]
        for topic, count in self._reader.partitions([*raws, *logs]).items():
            if count != self.partitions:
                raise Misconfigured(
                    f"{topic}: has {count} partitions, not {self.partitions}; set topics.partitions to it"
                )
        return self._reader.reach((topic, one) for topic in raws for one in range(self.partitions))

    def partition(
        self, number: int, reaches: Mapping[Place, Reach], ahead: Mapping[str, str], progress: Progress
    ) -> Iterator[KafkaRecord]:
        """Fold one partition and compare it; give what its topics of the next version must hold.

        Args:
            number: Of the partition.
            reaches: Of the raw partitions.
            ahead: Entity -> topic that the records are laid out for.
            progress: Hears of raw offsets.

        Raises:
            Misconfigured: A record nobody can read, or a bug of this version.
        """
        live = LastRecords(self._desk.changelogs, self._codecs)
        logs = [(self._topics.changelog[entity], number) for entity in self.compared]
        for message in self._reader.read(self._reader.reach(logs), beyond=True):
            live.take(message)
        told = LastRecords(self._desk.changelogs, self._codecs)
        view = _View(None if self._raw_alone else live, told)
        mine = {place: reach for place, reach in reaches.items() if place[1] == number}
        at = {place: start for place, (start, _) in mine.items()}
        whole_from = {place: NEVER for place, (start, _) in mine.items() if start == 0}
        for message in self._reader.read(mine):
            place, after = placed(message), int(message.offset() or 0) + 1
            if place not in whole_from:
                whole_from[place] = message.timestamp()[1] * TICKS_PER_MS + _LATEST_TICKS
            self._take(message, view, whole_from[place])
            progress(after - at[place])
            at[place] = after
        progress(sum(end - at[place] for place, (_, end) in mine.items()))
        for key in [*live, *(key for key in told if live.of(key) is None)]:
            last = self._compare(EntityKey.parse(key), live, told)
            if last is not None:
                yield from laid_out(ahead[EntityKey.parse(key).entity], key, last)

    def _take(self, message: Message, view: _View, whole_from: int) -> None:
        """Take one raw record through normalise, deduplicate and compact."""
        try:
            raw = wire.to_raw(message)
        except ValueError:
            self.left_out["foreign"] += 1
            return
        if self._topics.raw.get(raw.key.source) != message.topic():
            self.left_out["foreign"] += 1
            return
        if raw.key.entity not in self.compared:
            return
        if wire.place_of(raw) in self._set_aside:
            self.left_out["by_operator"] += 1
            return
        try:
            outcome = self._outcome(raw, view, whole_from)
        except Unusable as refusal:
            self.left_out[refusal.code] += 1
        except Exception as bug:
            raise Misconfigured(
                f"{wire.place_of(raw)}: meets a bug of this version, {type(bug).__name__}; name it in "
                "worker.quarantine to leave it out"
            ) from bug
        else:
            if outcome.known is not None:
                view.put(raw.key, outcome)

    def _outcome(self, raw: RawRecord, view: _View, whole_from: int) -> Outcome:
        source = self._dialects[raw.key.source]
        event = flow.normalise(raw, source, self._desk.privacy)
        view.expect(event, whole_from)
        return flow.compact(event, source, view, self._desk)

    def _compare(self, key: EntityKey, live: LastRecords, told: LastRecords) -> Last | None:
        """Count a key; give its last records, or None if it is left behind in the live topic."""
        compared = self.compared[key.entity]
        old, new = live.of(key.text), told.of(key.text)
        if old is None:
            if new is None:  # cannot be: the key came from one of them
                raise KeyError(key.text)
            compared.only_new += 1
            compared.name("only_new", key.text)
            if version_of(told.state(key, new)) < self._old:
                compared.unguarded += 1
                compared.name("unguarded", key.text)
            return new
        if new is None:
            if self._raw_alone:
                compared.only_live += 1
                compared.name("only_live", key.text)
                return None
            compared.same += 1
            return old
        columns = self._columns(key, live, old, new)
        compared.columns.update(columns)
        if columns:
            compared.differs += 1
            compared.name("differs", key.text)
        else:
            compared.same += 1
        return new

    @staticmethod
    def _columns(key: EntityKey, records: LastRecords, old: Last, new: Last) -> list[str]:
        """Name what differs between two last records of a key."""
        if old.deleted != new.deleted:
            return ["meta_op"]
        if not old.deleted:
            return differing(records.decoded(key, old), records.decoded(key, new))
        successors: list[Any] = [dict(one.records[-1][1]).get(_SUCCESSOR) for one in (old, new)]
        told = [] if records.state(key, old) == records.state(key, new) else ["meta_clocks"]
        return told if successors[0] == successors[1] else [*told, _SUCCESSOR]
