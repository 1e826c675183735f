"""Raw records written again to their raw topic, so that the worker takes them as on the first day.

The join absorbs what the state already knows, so a replay may be repeated, interrupted, and run beside live
traffic. One thing it may not do: bring an event back behind a delete that nobody remembers. An event older
than deletes are remembered is written only if the changelogs know its key, for then they know its deletes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from connector import flow
from connector.core.identity import ENTITY as IDENTITY
from connector.core.selection import Selection, copied
from connector.core.times import to_rfc3339
from connector.errors import Misconfigured
from connector.model import TICKS_PER_US, EntityKey, Known, Outcome, Quarantined, RawRecord
from connector.runtime import wire
from connector.runtime.bookmark import Bookmark, Part
from connector.runtime.reading import placed
from connector.runtime.tuning import tuned
from connector.runtime.writing import AT_ONCE, AT_ONCE_BYTES

if TYPE_CHECKING:
    from confluent_kafka import Message

    from connector.flow import Desk
    from connector.runtime.reading import Place, Reach, Reader
    from connector.runtime.settings import Settings
    from connector.runtime.wire import KafkaRecord
    from connector.runtime.writing import Writer
    from connector.topics import Topics

_SKEW_MS: Final = 3_600_000
"""How far the clock that stamps receipts may differ from the one that stamps records."""
_MARGIN_TICKS: Final = flow.DAY_TICKS
_BATCHES_PER_S: Final = 5
"""With a limit of the rate."""
FORWARD: Final = "sent to a second key: the record behind it sends it again"
COPY: Final = "written by an earlier replay"
FOREIGN: Final = "written by another program"
BY_OPERATOR: Final = "named in worker.quarantine"
FORGOTTEN: Final = "older than deletes are remembered, and no changelog knows its key"
ERASURE: Final = "erases a key: it outlasts everything received before it"
_SPARED: Final = {"forward": FORWARD, "erase": ERASURE, "copy": COPY}
Progress: TypeAlias = Callable[[int], None]
"""Hears how many more offsets or records are done."""


class Plan(msgspec.Struct):
    """What a replay would do."""

    counts: Counter[tuple[str, str, str, str]] = msgspec.field(default_factory=Counter)
    """(source, tenant, entity, day of receipt) -> records that are written."""
    left_out: Counter[str] = msgspec.field(default_factory=Counter)
    """Why -> records that were asked for and are not written."""
    forgotten: frozenset[str] = frozenset()
    """Keys no changelog knows, of events so old that a delete of them may be forgotten."""

    @property
    def records(self) -> int:
        """How many are written."""
        return self.counts.total()


class _Nothing:
    """A view in which nothing is known: what an event says by itself."""

    def get(self, key: EntityKey) -> Known | None:
        """Know nothing."""
        del key
        return None

    glance = get

    def put(self, key: EntityKey, outcome: Outcome) -> None:
        """Remember nothing."""


class Replay:
    """The raw topics of one deployment, and what of them is asked for."""

    def __init__(
        self, settings: Settings, topics: Topics, desk: Desk, reader: Reader, selection: Selection
    ) -> None:
        """Take what is read and how it is judged; `desk` sets nothing aside for its age."""
        self._topics: Final = topics
        self._desk: Final = desk
        self._reader: Final = reader
        self._selection: Final = selection
        self._set_aside: Final = frozenset(settings.worker.quarantine)
        self._sources: Final = tuned(settings.endpoints)
        self._old: Final = time.time_ns() // 100 - flow.GUARD_TICKS + _MARGIN_TICKS

    def parts(self) -> list[Part]:
        """Lay out what must be read: every partition from where it matters to where it ends now.

        Raises:
            Misconfigured: A topic or partition is missing, or an offset is not in it.
        """
        topics = [self._topics.raw[source] for source in self._selection.sources or self._topics.raw]
        counts = self._reader.partitions(topics)
        reaches = self._reader.reach((topic, one) for topic in topics for one in range(counts[topic]))
        if self._selection.spans:
            return self._spanned(reaches)
        if self._selection.since_us:
            since_ms = self._selection.since_us // 1000 - _SKEW_MS
            starts = self._reader.written_since(reaches, max(since_ms, 0))
            reaches = {
                place: (end if (found := starts[place]) is None else max(start, found), end)
                for place, (start, end) in reaches.items()
            }
        return [Part(*place, *reach) for place, reach in sorted(reaches.items()) if reach[0] < reach[1]]

    def _spanned(self, reaches: Mapping[Place, Reach]) -> list[Part]:
        """Lay out the partitions of named offsets, each from the first to the last of them."""
        parts: dict[Place, Part] = {}
        for span in self._selection.spans:
            place = (span.topic, span.partition)
            if place not in reaches:
                known = ", ".join(sorted({topic for topic, _ in reaches}))
                raise Misconfigured(
                    f"{span.topic}/{span.partition}: no such raw partition among {known}; look at "
                    "raw_topic, raw_partition and raw_offset of the events topic"
                )
            start, end = reaches[place]
            if span.last >= end or span.first < start:
                raise Misconfigured(
                    f"{span.topic}/{span.partition}: holds offsets from {start} to before {end}, "
                    f"not {span.first} to {span.last}; name offsets it holds"
                )
            part = parts.setdefault(place, Part(*place, span.first, span.last + 1))
            part.next, part.end = min(part.next, span.first), max(part.end, span.last + 1)
        return [*parts.values()]

    def plan(self, parts: Sequence[Part], progress: Progress) -> Plan:
        """Read everything once and say what would be written; writes nothing.

        Raises:
            Misconfigured: A broker refused or fell silent.
        """
        plan = Plan()
        old: Counter[tuple[tuple[str, ...], tuple[str, str, str, str]]] = Counter()
        for message in self._messages(parts, progress):
            judged = self._judged(message)
            if isinstance(judged, str):
                plan.left_out[judged] += 1
            elif judged is not None:
                raw, keys = judged
                day = to_rfc3339(raw.meta.received_us * TICKS_PER_US)[:10]
                line = (raw.key.source, raw.key.tenant, raw.key.entity, day)
                plan.counts[line] += 1
                if keys:
                    old[keys, line] += 1
        plan.forgotten = frozenset(self._unknown({key for keys, _ in old for key in keys}))
        for (keys, line), count in old.items():
            if not plan.forgotten.isdisjoint(keys):
                plan.counts[line] -= count
                plan.left_out[FORGOTTEN] += count
        plan.counts = +plan.counts
        return plan

    def _messages(self, parts: Sequence[Part], progress: Progress) -> Iterator[Message]:
        """Read parts side by side, each in its order; `progress` hears of offsets that hold nothing, too."""
        at = {(part.topic, part.partition): part.next for part in parts}
        reaches = {(part.topic, part.partition): (part.next, part.end) for part in parts}
        for message in self._reader.read(reaches):
            yield message
            place, after = placed(message), int(message.offset() or 0) + 1
            progress(after - at[place])
            at[place] = after
        progress(sum(end - at[place] for place, (_, end) in reaches.items()))

    def _chosen(self, message: Message) -> RawRecord | str | None:
        """Give a record that is asked for; None if it is not, or why it is left out."""
        try:
            raw = wire.to_raw(message)
        except ValueError:
            return FOREIGN
        if self._topics.raw.get(raw.key.source) != message.topic():
            return FOREIGN
        if not self._selection.has(raw):
            return None
        if (spared := self._selection.left_out(raw)) is not None:
            return _SPARED[spared]
        return BY_OPERATOR if wire.place_of(raw) in self._set_aside else raw

    def _judged(self, message: Message) -> tuple[RawRecord, tuple[str, ...]] | str | None:
        """Judge a record as `_chosen` does, and by what today's code makes of it.

        With it come the keys that a changelog must know, because the event is that old.
        """
        raw = self._chosen(message)
        if not isinstance(raw, RawRecord):
            return raw
        try:
            (outcome,) = flow.carry([raw], self._sources[raw.key.source], _Nothing(), self._desk)
        except Exception as bug:  # noqa: BLE001  whatever it is, it would end the worker
            return f"meets a bug of this version, {type(bug).__name__}: it would end the worker"
        if isinstance(outcome, Quarantined):
            return f"in quarantine, or would go there: {outcome.reason}"
        if outcome.event.version >= self._old:
            return raw, ()
        keys = [] if outcome.known is None else [raw.key.text]
        keys += [sent.key.text for sent in outcome.forwards if sent.key.entity != IDENTITY]
        return raw, tuple(keys)

    def _unknown(self, keys: set[str]) -> set[str]:
        """Take out of keys what the changelogs know, living or deleted."""
        wanted = {EntityKey.parse(key).entity for key in keys}
        topics = [topic for entity, topic in self._topics.changelog.items() if entity in wanted]
        counts = self._reader.partitions(topics) if topics else {}
        reaches = self._reader.reach((topic, one) for topic in topics for one in range(counts[topic]))
        for message in self._reader.read(reaches):
            keys.discard(bytes(message.key() or b"").decode(errors="replace"))
        return keys

    def write(
        self,
        bookmark: Bookmark,
        plan: Plan,
        writer: Writer,
        rate: int | None,
        confirmed: Callable[[int], None],
    ) -> None:
        """Write what the plan says, and move the bookmark behind every confirmed batch.

        Args:
            bookmark: Where to go on; its parts and count are moved.
            plan: Of these parts.
            writer: Confirms.
            rate: Records per second at most; None for as fast as Kafka confirms.
            confirmed: Hears the size of every batch, when the bookmark is behind it.

        Raises:
            NotWritten: Kafka did not confirm a batch; what the bookmark says is written.
            Misconfigured: A broker refused or fell silent.
        """
        most = AT_ONCE if rate is None else min(AT_ONCE, max(1, rate // _BATCHES_PER_S))
        parts = {(part.topic, part.partition): part for part in bookmark.parts}
        begun_s, written = time.monotonic(), 0
        for batch, after in self._batches(bookmark.parts, plan, most):
            writer.write(batch)
            for place, offset in after.items():
                parts[place].next = offset
            bookmark.written += len(batch)
            written += len(batch)
            confirmed(len(batch))
            if rate is not None:
                time.sleep(max(0.0, begun_s + written / rate - time.monotonic()))

    def _batches(
        self, parts: Sequence[Part], plan: Plan, most: int
    ) -> Iterator[tuple[list[KafkaRecord], dict[Place, int]]]:
        """Give records to write, and the offsets behind them; the last batch is behind all."""
        batch: list[KafkaRecord] = []
        after: dict[Place, int] = {}
        size = 0
        for message in self._messages(parts, lambda _: None):
            after[placed(message)] = int(message.offset() or 0) + 1
            judged = self._judged(message)
            if judged is None or isinstance(judged, str) or not plan.forgotten.isdisjoint(judged[1]):
                continue
            raw = judged[0]
            batch.append(wire.from_raw(self._topics, copied(raw)))
            size += len(raw.body)
            if len(batch) >= most or size >= AT_ONCE_BYTES:
                yield batch, after
                batch, after, size = [], {}, 0
        yield batch, {(part.topic, part.partition): part.end for part in parts}
