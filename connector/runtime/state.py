"""What is known per source and partition: the last changelog record of every key, and overlays.

An entry is what the broker holds, not a decoded state: a framed record, or of a deleted key the dumped
guard. It is decoded when an event for its key arrives, so a rebuild costs one dictionary insert per key.
Where entries are kept, in memory or on disk, is `entries`' and `disk`'s to know.
In front stands its Kafka timestamp and, for records this worker wrote itself, the clocks of its facets:
an event newer than all of them replaces the record, and nothing need be decoded at all.
Uncommitted changes live in an overlay per cycle; a commit folds the oldest one in, an abort drops all.
"""

from __future__ import annotations

import hashlib
import json
import struct
import threading
from typing import TYPE_CHECKING, Final, TypeAlias

from connector import model
from connector.core import identity
from connector.core.changelog import guard
from connector.core.join import dump, load
from connector.model import NEVER, Facet, Known
from connector.runtime.entries import Checkpoint, Memory
from connector.topics import GUARD_RETENTION_MS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connector.core.avro import Codecs
    from connector.core.changelog import EntityChangelog
    from connector.model import EntityKey, Headers, Outcome
    from connector.runtime.batch import Cycle
    from connector.runtime.entries import Entries, Store

Overlay: TypeAlias = "dict[str, tuple[Known, bytes]]"
_HEAD: Final = struct.Struct(">qB")
"""Kafka timestamp in ms, number of clocks that follow."""
_CLOCK: Final = struct.Struct(">Bqi")
"""Facet by its place in the shape, version, rank."""
_MOST_CLOCKS: Final = 4
_UNSAID: Final[tuple[bytes, ...]] = ()
_FORM: Final = 1
"""Counted up when entries are packed in another way."""
_FRAMED: Final = 0
"""First byte of Confluent's frame; a guard begins with `{`, the first byte of its JSON."""


def entry_of(timestamp_ms: int, framed: bytes) -> bytes:
    """Pack a living key's last record."""
    return _HEAD.pack(timestamp_ms, 0) + framed


def form(changelogs: Mapping[tuple[str, str], EntityChangelog]) -> str:
    """Say how entries are packed: another form cannot be read as this one."""
    places = {"/".join(which): one.facets for which, one in sorted(changelogs.items())}
    return f"{_FORM} {hashlib.sha256(json.dumps(places).encode()).hexdigest()}"


def guard_entry(timestamp_ms: int, headers: Headers) -> bytes:
    """Pack a deleted key's guard, from its tombstone.

    Raises:
        ValueError: Not a tombstone of ours.
    """
    return _HEAD.pack(timestamp_ms, 0) + dump(guard(headers))


class PartitionState:
    """One source's keys in one partition: what is committed, and the overlays of cycles in flight."""

    def __init__(
        self,
        source: str,
        changelogs: Mapping[tuple[str, str], EntityChangelog],
        codecs: Codecs,
        entries: Entries,
    ) -> None:
        """Begin with what is kept; a rebuild goes on from its checkpoint."""
        self.source: Final = source
        self._changelogs: Final = changelogs
        self._codecs: Final = codecs
        self.entries: Final = entries
        self.tenure: object | None = None
        """New with each rebuild; None unless held and rebuilt."""
        self._overlays: list[tuple[Cycle, Overlay]] = []
        self._epoch = 0
        self._lock: Final = threading.Lock()
        """Partitions are lost in the intake's thread while an agent works in the event loop's."""

    def view(self, cycle: Cycle) -> CycleView:
        """Give what a cycle sees: everything committed, earlier cycles in flight, its own changes."""
        own: Overlay = {}
        with self._lock:
            # Dropped before its agent came here, it would leave an overlay that later cycles take for known.
            if cycle.epoch < self._epoch:
                return CycleView(self, (own,), own)
            # A new list, never an append: a view holds the overlays as they were when its cycle began.
            self._overlays = overlays = [*self._overlays, (cycle, own)]
        return CycleView(self, tuple(overlay for _, overlay in reversed(overlays)), own)

    def commit(self, cycle: Cycle) -> None:
        """Fold a committed cycle's overlay in."""
        with self._lock:
            for other, overlay in self._overlays:
                if other is cycle and overlay:
                    self.entries.put({key: entry for key, (_, entry) in overlay.items()})
            self._overlays = [one for one in self._overlays if one[0] is not cycle]

    def drop(self, epoch: int) -> None:
        """Forget everything uncommitted; cycles of an epoch before this one leave nothing any more."""
        with self._lock:
            self._overlays = []
            self._epoch = epoch

    def filled(self, checkpoint: Checkpoint) -> None:
        """Hear that everything up to here was read, and nothing else can have been written."""
        self.entries.put({}, checkpoint)
        self.tenure = object()

    def advance(self, ends: Mapping[str, int], now_s: float) -> None:
        """Note that everything before these offsets is known, without having read it: we wrote it."""
        old = self.entries.checkpoint
        topics = {topic: (id_, max(at, ends.get(topic, 0))) for topic, (id_, at) in old.topics.items()}
        self.entries.put({}, Checkpoint(old.cluster, now_s, topics))

    def packed(self, key: EntityKey, outcome: Outcome, known: Known) -> bytes:
        """Pack what a changed key is remembered by."""
        last = outcome.records[-1]
        if last.value is None:
            return _HEAD.pack(known.timestamp_ms, 0) + dump(known.state)
        clocks = self._clocks(key, known.state)
        return b"".join((_HEAD.pack(known.timestamp_ms, len(clocks)), *clocks, last.value))

    def _clocks(self, key: EntityKey, state: model.State) -> Sequence[bytes]:
        """Tell the clocks of a plain state; of one with more to it nothing is told."""
        facets = state.facets
        if (
            state.deleted != NEVER
            or state.sets
            or len(facets) > _MOST_CLOCKS
            or key.entity == identity.ENTITY
        ):
            return _UNSAID
        places = self._changelogs[self.source, key.entity].facets
        try:
            return [_CLOCK.pack(places.index(name), one.version, one.rank) for name, one in facets.items()]
        except (ValueError, struct.error):
            return _UNSAID

    def glance(self, key: EntityKey) -> Known | None:
        """Give the clocks of a committed key without its fields; None where they are not told."""
        entry = self.entries.get(key.text)
        if entry is None:
            return None
        timestamp_ms, told = _HEAD.unpack_from(entry)
        if not told:
            return None
        places = self._changelogs[self.source, key.entity].facets
        clocks = _CLOCK.iter_unpack(entry[_HEAD.size : _HEAD.size + told * _CLOCK.size])
        return Known(model.State(NEVER, {places[at]: Facet(*clock) for at, *clock in clocks}), timestamp_ms)

    def decoded(self, key: EntityKey) -> Known | None:
        """Give what is committed of a key."""
        entry = self.entries.get(key.text)
        if entry is None:
            return None
        timestamp_ms, told = _HEAD.unpack_from(entry)
        body = entry[_HEAD.size + told * _CLOCK.size :]
        if body[0] != _FRAMED:
            return Known(load(body), timestamp_ms)
        value = self._codecs.decode(body, key.entity)
        if key.entity == identity.ENTITY:
            return Known(identity.state(value), timestamp_ms)
        return Known(self._changelogs[self.source, key.entity].state(value), timestamp_ms)


class CycleView:
    """The `View` one cycle's batch is carried against.

    A cycle that was dropped meanwhile writes into an overlay nobody will fold in.
    """

    def __init__(self, state: PartitionState, overlays: tuple[Overlay, ...], own: Overlay) -> None:
        """See `PartitionState.view`; `overlays` are newest first and begin with `own`."""
        self._state: Final = state
        self._overlays: Final = overlays
        self._own: Final = own

    def glance(self, key: EntityKey) -> Known | None:
        """Give what is known of a key, perhaps without the fields of its facets."""
        for overlay in self._overlays:
            if (changed := overlay.get(key.text)) is not None:
                return changed[0]
        return self._state.glance(key)

    def get(self, key: EntityKey) -> Known | None:
        """Give what is known of a key."""
        for overlay in self._overlays:
            if (changed := overlay.get(key.text)) is not None:
                return changed[0]
        return self._state.decoded(key)

    def put(self, key: EntityKey, outcome: Outcome) -> None:
        """Remember what an applied event changed."""
        known = outcome.known
        if known is not None:
            self._own[key.text] = (known, self._state.packed(key, outcome, known))


class State:
    """All partition states of a worker, held ones and caches of released ones."""

    def __init__(
        self,
        changelogs: Mapping[tuple[str, str], EntityChangelog],
        codecs: Codecs,
        cache_age_s: float,
        store: Store | None = None,
    ) -> None:
        """Keep caches for `cache_age_s` at most: older ones could have missed a tombstone."""
        self._store: Final[Store] = Memory() if store is None else store
        self._changelogs: Final = changelogs
        self._codecs: Final = codecs
        self._cache_age_s: Final = cache_age_s
        self._partitions: Final[dict[tuple[str, int], PartitionState]] = {}
        self._epoch = 0

    def take(self, source: str, partition: int, now_s: float) -> PartitionState:
        """Hold a partition: with its cache if a fresh one is left, else from empty; Unix seconds."""
        state = self._partitions.get((source, partition))
        if state is None:
            state = self._partitions[source, partition] = PartitionState(
                source, self._changelogs, self._codecs, self._store.entries(source, partition)
            )
            state.drop(self._epoch)
        known = state.entries.checkpoint
        if state.tenure is None and known.topics and now_s - known.at_s > self._cache_age_s:
            state.entries.clear()
        state.tenure = None
        return state

    def of(self, source: str, partition: int) -> PartitionState:
        """Give the state of a partition that was taken.

        Raises:
            KeyError: It never was.
        """
        return self._partitions[source, partition]

    def release(self, source: str, partition: int, now_s: float) -> None:
        """Let a partition go but keep its entries as a cache."""
        state = self._partitions.get((source, partition))
        if state is not None:
            state.drop(self._epoch)
            if state.tenure is not None:
                state.advance({}, now_s)  # until now no tombstone was missed
            state.tenure = None

    def tenures(self) -> dict[tuple[str, int], object]:
        """Give (source, partition) -> tenure of those that are held and rebuilt."""
        return {
            place: tenure
            for place, state in list(self._partitions.items())
            if (tenure := state.tenure) is not None
        }

    def advance(
        self, tenures: Mapping[tuple[str, int], object], ends: Mapping[tuple[str, int], int], now_s: float
    ) -> None:
        """Move checkpoints on to (changelog topic, partition) -> offset, where they are still held."""
        for (source, partition), tenure in tenures.items():
            state = self._partitions[source, partition]
            if state.tenure is tenure:
                state.advance({topic: at for (topic, where), at in ends.items() if where == partition}, now_s)

    def expire(self, now_s: float) -> int:
        """Forget deletes that are older than Kafka remembers their tombstones; say how many."""
        before_ms = int(now_s * 1000) - GUARD_RETENTION_MS
        return sum(state.entries.expire(before_ms) for state in list(self._partitions.values()))

    def commit(self, cycle: Cycle) -> None:
        """Fold a committed cycle in, wherever it changed something."""
        for batch in cycle.batches.values():
            for partition in batch.messages:
                self._partitions[batch.source, partition].commit(cycle)

    def drop(self, epoch: int) -> None:
        """Forget everything uncommitted everywhere; `epoch` begins now."""
        self._epoch = epoch
        for state in list(self._partitions.values()):
            state.drop(epoch)

    def keys(self) -> int:
        """Count the keys held and cached; an estimate on disk."""
        return self._store.keys()
