"""Accounts for every record, one at a time: the ledger, the raw topics, what became of them, and the model.

Raw records come first, then quarantine, events and changelogs, each partition in its order. What is kept is
one byte per raw offset, 20 bytes per acknowledged callback, and the last record of each key.
"""

import json
from collections import Counter, defaultdict, deque
from typing import Any, Final

from reader import Record

from tests.chaos.model import Model
from tests.chaos.rows import Open, Rows, digest
from tests.chaos.shown import compare

CALLBACK: Final = 1
FORWARD: Final = 2
END: Final = 4
"""One more end of a raw record; three bits of them."""
KEPT: Final = 40
"""Lines about what is wrong; the counts go on."""
SIXTY_FOUR: Final = 2**64


class Line:
    """What the changelog has told of one key so far."""

    __slots__ = ("changes", "last", "version")

    def __init__(self) -> None:
        self.changes = 0
        self.version = -(2**63)
        self.last: Record | None = None


class Checker:
    """Counts what is wrong, and says where for the first of it."""

    def __init__(self, rows: Rows) -> None:
        self.wrong: Counter[str] = Counter()
        """lost, mismatched, duplicates, regressions -> how many."""
        self.lines: list[str] = []
        self.notes: deque[str] = deque(maxlen=KEPT)
        """Raw records that the door's client wrote twice: allowed, for the workers absorb them."""
        self.verdicts: Counter[str] = Counter()
        self.raw = self.forwarded = self.quarantined = self.changes = 0
        self.acked: Final = len(rows)
        self.open: Final = Open(rows)
        self._model: Final = Model()
        self._places: Final[defaultdict[tuple[str, int], bytearray]] = defaultdict(bytearray)
        self._applied: Final[Counter[str]] = Counter()
        self._keys: Final[defaultdict[str, Line]] = defaultdict(Line)
        self._to_send = self._sent = 0
        """Sums over (delivery id, event id) of what must be sent on to a second key, and of what was."""

    def _is(self, kind: str, why: str, count: int = 1) -> None:
        self.wrong[kind] += count
        if len(self.lines) < KEPT:
            self.lines.append(f"{kind}: {why}")

    def take_raw(self, record: Record) -> None:
        """Read a raw record."""
        meta = json.loads(record.headers["meta"])
        place = self._places[record.topic, record.partition]
        place.extend(bytes(max(record.offset + 1 - len(place), 0)))
        event = meta.get("event", "")
        if meta.get("origin", "callback") == "callback":
            self.raw += 1
            place[record.offset] = CALLBACK
            if self.open.found(meta["delivery_id"], meta["body_sha256"]):
                self.notes.append(
                    f"{record[:3]} {meta['delivery_id']}/{meta.get('index', 0)} stands here again"
                )
            self._model.take(record.key, record.value, event)
            self._to_send += self._first_hop(record, meta)
        else:
            self.forwarded += 1
            place[record.offset] = FORWARD
            if record.key.split("/")[2] == "identity" or event == "ClientMerged":
                self._sent += digest(meta["delivery_id"], meta["event_id"])

    def _first_hop(self, record: Record, meta: dict[str, Any]) -> int:
        """Name the forward that a callback's record must lead to, 0 for none."""
        source, _, entity, _ = record.key.split("/")
        if source == "quickfile":
            merged = meta.get("event") == "ClientMerged"
            return digest(meta["delivery_id"], meta["event_id"]) if merged else 0
        if source != "visma-net" or entity == "sales_order" or b'"entityId"' not in record.value:
            return 0
        said = json.loads(record.value)
        return 0 if "action" in said else digest(meta["delivery_id"], said["notificationId"].lower())

    def take_quarantined(self, record: Record) -> None:
        """Read a record of the quarantine: the door's, or a raw record a worker could not use."""
        self.quarantined += 1
        if (at := record.headers.get("raw")) is not None:
            topic, partition, offset = at.decode().split("/")
            self._end(topic, int(partition), int(offset))
        else:
            meta = json.loads(record.headers["meta"])
            self.open.found(meta["delivery_id"], meta["body_sha256"])

    def take_event(self, record: Record) -> None:
        """Read what became of a raw record."""
        told = record.value
        self.verdicts[told["verdict"]] += 1
        self._applied[told["meta_key"]] += told["verdict"] == "applied"
        self._end(told["raw_topic"], told["raw_partition"], told["raw_offset"])

    def _end(self, topic: str, partition: int, offset: int) -> None:
        place = self._places[topic, partition]
        had = place[offset] if 0 <= offset < len(place) else 0
        if had == 0 or had >= END:
            self._is(
                "duplicates", f"{topic}/{partition}/{offset} ended {'again' if had else 'and is not there'}"
            )
        if 0 < had < 7 * END:
            place[offset] += END

    def take_change(self, record: Record) -> None:
        """Read a changelog record."""
        self.changes += 1
        line = self._keys[record.key]
        version = int(record.headers["x-erp-version"])
        if version < line.version:
            self._is("regressions", f"{record[:4]} has {version} after {line.version}")
        line.version = max(line.version, version)
        open_delete = line.last is not None and _deletes(line.last)
        if open_delete != (record.value is None):
            self._is("mismatched", f"a DELETE and its tombstone are no neighbours at {record[:4]}")
        line.changes += record.value is not None
        line.last = record

    def close(self) -> None:
        """Judge what only the end can tell."""
        self._judge_rows()
        for (topic, partition), place in self._places.items():
            for offset in _all(place, CALLBACK):
                self._is("lost", f"{topic}/{partition}/{offset} has neither event nor quarantine")
        if (self._to_send - self._sent) % SIXTY_FOUR:
            self._is("mismatched", "what was sent on to second keys is not what the callbacks ask for")
        for key in self._keys.keys() | self._applied.keys():
            off = self._keys[key].changes - self._applied[key]
            if off:
                self._is("duplicates" if off > 0 else "lost", f"{key}: {off:+} records", abs(off))
        told = {key: line.last for key, line in self._keys.items() if line.last is not None}
        for key, lives, gone, facets in self._model.states():
            if (last := told.pop(key, None)) is None:
                self._is("lost", f"{key} stands in no changelog")
            else:
                for why in compare(last, lives=lives, gone=gone, facets=facets):
                    self._is("mismatched", f"{key} {why}")
        for key in told:
            self._is("mismatched", f"{key} stands in a changelog, and nobody spoke of it")

    def _judge_rows(self) -> None:
        if missing := self.open.missing:
            self._is("lost", "records were acknowledged and are nowhere", missing)
        if self.open.other_bytes:
            self._is("mismatched", "records whose body is not what was sent", self.open.other_bytes)


def _deletes(record: Record) -> bool:
    return record.value is not None and record.value["meta_op"] == "DELETE"


def _all(place: bytearray, state: int) -> list[int]:
    found, at = [], place.find(state)
    while at >= 0:
        found.append(at)
        at = place.find(state, at + 1)
    return found
