"""The audit of all topics: against the ledger of what was acknowledged, and against the model."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, Final

from ledger import Row
from model import Forward, Model, canonical
from reader import Reader, Record
from stack import SOURCES, Stack

VERDICTS: Final = ("applied", "duplicate", "stale", "noted")


class Audit:
    """Every row accounted for in the topics, and the topics for themselves, against the model.

    With `twice`, as under `at_least_once`, a record may stand there more than once, never behind a newer one.
    """

    def __init__(
        self, rows: Iterable[Row], records: Iterable[Record], prefix: str, *, twice: bool = False
    ) -> None:
        self.twice: Final = twice
        self.doubled = 0
        """Records that stand there once more, where that is allowed."""
        self.faults: list[str] = []
        """One line per fault, the first few of them."""
        self.lost = self.mismatched = self.extra = self.regressions = 0
        self.verdicts: Counter[str] = Counter()
        self.model: Final = Model()
        by_kind: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            by_kind[record.topic.removeprefix(f"{prefix}.").partition(".")[0]].append(record)
        self.raws: Final = [(one, json.loads(one.headers["meta"])) for one in by_kind["raw"]]
        self.quarantined: Final = by_kind["quarantine"]
        self.changes: Final = by_kind["changelog"]
        self.acked = 0
        self._rows(list(rows))
        self._history(by_kind["events"])
        for raw, meta in self.raws:
            self.model.take(raw.key, raw.value, meta)
        self._forwards()
        self._sequences()
        self._views()

    def _lost(self, count: int, why: str) -> None:
        self.lost += count
        self.faults.append(f"lost {why}")

    def _rows(self, rows: list[Row]) -> None:
        self.acked = len(rows)
        stored: Counter[str] = Counter()
        digests: dict[str, str] = {}
        for raw, meta in self.raws:
            if meta.get("origin", "callback") == "callback":
                stored[meta["delivery_id"]] += 1
                digests[meta["delivery_id"]] = meta["body_sha256"]
            del raw
        aside = Counter(json.loads(one.headers["meta"])["delivery_id"] for one in self.quarantined)
        for row in rows:
            missing = row.accepted + row.quarantined - stored[row.delivery_id] - aside[row.delivery_id]
            if missing > 0:
                self._lost(missing, f"{row}")
            elif row.accepted and digests[row.delivery_id] != row.body_sha256:
                self.mismatched += 1
                self.faults.append(f"other bytes {row}")

    def _history(self, events: list[Record]) -> None:
        """Every raw record of a callback ends in one event, or in quarantine."""
        ends: Counter[tuple[str, int, int]] = Counter()
        for event in events:
            told = event.value
            self.verdicts[told["verdict"]] += 1
            ends[told["raw_topic"], told["raw_partition"], told["raw_offset"]] += 1
        for one in self.quarantined:
            if (at := one.headers.get("raw")) is not None:
                topic, partition, offset = at.decode().split("/")
                ends[topic, int(partition), int(offset)] += 1
        for raw, meta in self.raws:
            count = ends.pop(raw[:3], 0)
            if not count and meta.get("origin") != "forward":
                self._lost(1, f"event of {raw[:4]}")
            if count > 1 and self.twice:
                self.doubled += count - 1
            elif count > 1:
                self.extra += count - 1
                self.faults.append(f"told {count} times {raw[:4]}")
        self.extra += len(ends)
        self.faults += [f"event of no raw record {place}" for place in ends]

    def _forwards(self) -> None:
        """What concerns a second key was sent on once, and says what it must."""
        sent = Counter(
            Forward(meta["delivery_id"], meta["event_id"], raw.key, canonical(json.loads(raw.value)))
            for raw, meta in self.raws
            if meta.get("origin") == "forward"
        )
        for forward in sent.keys() | self.model.forwards.keys():
            off = sent[forward] - self.model.forwards[forward]
            if self.twice and off > 0 and self.model.forwards[forward]:
                self.doubled += off
                continue
            self.extra += max(off, 0)
            self.lost += max(-off, 0)
            if off:
                self.faults.append(f"{off:+} of {forward}")

    def _sequences(self) -> None:
        """Every key has exactly the records the model says, in their order, and no version falls."""
        found: dict[str, list[tuple[str | None, int, str | None]]] = defaultdict(list)
        for one in self.changes:
            version = int(one.headers["x-erp-version"])
            op = None if one.value is None else one.headers["x-erp-op"].decode()
            if found[one.key] and version < found[one.key][-1][1]:
                self.regressions += 1
                self.faults.append(f"version falls {one[:4]}")
            successor = one.headers.get("x-erp-successor")
            told = (op, version, None if successor is None else successor.decode())
            if self.twice and op == "DELETE" and found[one.key][-1:] == [told]:
                self.doubled += 1  # its tombstone was not written, or not confirmed
                continue
            found[one.key].append(told)
        for key in found.keys() | self.model.records.keys():
            wanted, had = self.model.records.get(key, []), found.get(key, [])
            if wanted == had:
                continue
            self.mismatched += 1
            self.extra += max(len(had) - len(wanted), 0)
            at = next((i for i, (a, b) in enumerate(zip(wanted, had, strict=False)) if a != b), -1)
            self.faults.append(
                f"sequence of {key}: {len(had)} records, model {len(wanted)}; at {at} "
                f"{had[at : at + 3]}, model {wanted[at : at + 3]}"
            )

    def _views(self) -> None:
        """A reader that follows the rule ends with the model's map."""
        view: dict[str, dict[str, Any]] = {}
        for one in self.changes:
            if one.value is None or one.value["meta_op"] == "DELETE":
                view.pop(one.key, None)
            else:
                view[one.key] = one.value
        wanted = self.model.view()
        for key in view.keys() | wanted.keys():
            if key not in view or key not in wanted:
                self.mismatched += 1
                self.faults.append(f"{key} is {'not ' if key not in view else ''}there")
                continue
            for name, value in wanted[key].items():
                if (had := _plain(view[key].get(name))) != value:
                    self.mismatched += 1
                    self.faults.append(f"{key} {name}: {had!r}, model {value!r}")

    def told(self) -> str:
        """Say everything in one line."""
        verdicts = " ".join(f"{name}={self.verdicts[name]}" for name in VERDICTS)
        return (
            f"ledger: acked={self.acked} raw={len(self.raws)} {verdicts} quarantined={len(self.quarantined)} "
            f"lost={self.lost} mismatched={self.mismatched} extra={self.extra} regressions={self.regressions}"
            + (f" doubled={self.doubled}" if self.twice else "")
        )

    def clean(self) -> None:
        """Assert that nothing is wrong."""
        wrong = (self.lost, self.mismatched, self.extra, self.regressions)
        assert wrong == (0, 0, 0, 0), "\n".join([self.told(), *self.faults[:25]])


def _plain(value: Any) -> Any:
    """Give a united set as a list of its elements."""
    if isinstance(value, list) and value and isinstance(value[0], dict) and "version" in value[0]:
        return sorted(next(one[name] for name in one if name != "version") for one in value)
    return value


def audit(stack: Stack, rows: Iterable[Row], registry: str) -> Audit:
    """Read every topic of a stack, read_committed, and account for the rows."""
    reader = Reader(stack.bootstrap, registry)
    twice = stack.delivery == "at_least_once"
    return Audit(rows, reader.read(topics_of(stack)), stack.prefix, twice=twice)


def topics_of(stack: Stack) -> list[str]:
    """Name every topic but `identity`, which consumers do not read."""
    from connector.entities import ENTITIES

    raw = [stack.topic("raw", source) for source in SOURCES]
    changelogs = [stack.topic("changelog", entity) for entity in ENTITIES]
    return [*raw, *changelogs, stack.topic("events"), stack.topic("quarantine")]
