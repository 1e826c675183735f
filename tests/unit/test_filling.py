"""What is read of a changelog becomes state, from the checkpoint on, if it is worth anything."""

from __future__ import annotations

import json
import threading
from typing import Any, NamedTuple

import pytest
from confluent_kafka import KafkaError
from furniture import Bench, callback, furnished, raws

from connector.model import ChangelogRecord, EntityKey, Outcome
from connector.runtime import filling as station
from connector.runtime.desk import topics_under
from connector.runtime.entries import Checkpoint, Memory
from connector.runtime.filling import Cancelled, Filling, Places, UnknownSchema
from connector.runtime.state import PartitionState, State

TOPICS = topics_under("erp")
LOG = TOPICS.changelog["voucher_line"]
RAW = (TOPICS.raw["duett"], 0)
END = KafkaError._PARTITION_EOF  # noqa: SLF001  the client's public name
KEY = EntityKey.of("duett", "acme", "voucher_line", "1")


class Message(NamedTuple):
    """A message, or the end of its partition."""

    offset_: int
    record: ChangelogRecord | None
    framed: bytes | None = None

    def topic(self) -> str:
        return LOG

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.offset_

    def error(self) -> KafkaError | None:
        return KafkaError(END) if self.record is None else None

    def key(self) -> bytes:
        assert self.record is not None
        return self.record.key.text.encode()

    def value(self) -> bytes | None:
        assert self.record is not None
        return self.framed or self.record.value

    def headers(self) -> Any:
        assert self.record is not None
        return list(self.record.headers)

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_764_000_000_000


class Reader:
    """Gives messages from where it is told to begin."""

    def __init__(self, log: list[Message]) -> None:
        self.log = log
        self.began = -1

    def assign(self, places: list[Any]) -> None:
        self.began = next((one.offset for one in places if one.topic == LOG), -1)

    def consume(self, *_: Any) -> list[Message]:
        return [one for one in self.log if one.offset_ >= self.began]


def told(*days_and_verbs: tuple[int, str]) -> list[ChangelogRecord]:
    """Make the records that events of one key write."""
    bodies = [
        {
            "subscription": "Voucher",
            "event": verb,
            "eventTime": f"2024-08-0{day}T00:00:00Z",
            "data": json.dumps({"Id": 1, "lineNumber": day}),
        }
        for day, verb in days_and_verbs
    ]
    bench = Bench().work([raw for body in bodies for raw in raws(callback("duett", body))])
    return [record for one in bench.outcomes if isinstance(one, Outcome) for record in one.records]


class Place:
    """One changelog partition, and the state that is filled from it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *records: ChangelogRecord) -> None:
        desk, codecs = furnished()
        self.log = [Message(at, record) for at, record in enumerate(records)]
        self.first = 0
        self.cluster, self.topic_id = "c1", "t1"
        self.state: PartitionState = State(desk.changelogs, codecs, 100, Memory()).take("duett", 0, 0)
        self.filling = Filling(TOPICS, lambda _: ["voucher_line"], codecs.frames, 1.0)
        monkeypatch.setattr(station, "offsets", self._offsets)
        monkeypatch.setattr(
            self.filling, "_identity", lambda _, names: (self.cluster, dict.fromkeys(names, self.topic_id))
        )

    def _offsets(self, _admin: Any, places: Any, spec: Any, _timeout: float) -> Places:
        there = len(self.log) if spec is station.LATEST else self.first
        return {place: there if place[0] == LOG else 0 for place in places}

    def fill(
        self, *, cancelled: bool = False, more: dict[tuple[str, int], PartitionState] | None = None
    ) -> int:
        """Bring the state up to date; give the offset at which reading began."""
        stop = threading.Event()
        if cancelled:
            stop.set()
        reader = Reader([*self.log, Message(len(self.log), None)])
        self.filling.run(None, reader, {RAW: self.state, **(more or {})}, stop)  # type: ignore[arg-type]  # stand-ins
        return reader.began

    def line(self) -> int | None:
        known = self.state.decoded(KEY)
        if known is None or "body" not in known.state.facets:
            return None
        number: int = known.state.facets["body"].fields["line_number"]
        return number


def test_the_last_record_of_a_key_is_its_state_and_the_next_time_only_new_ones_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place(monkeypatch, *told((1, "update"), (2, "update")))
    assert (place.fill(), place.line()) == (0, 2)

    place.log += [Message(2, told((3, "update"))[0])]

    assert (place.fill(), place.line()) == (2, 3)
    assert place.filling.records_read == 3
    assert place.state.entries.checkpoint.topics[LOG] == ("t1", 3)
    assert place.state.tenure is not None


def test_a_delete_without_its_tombstone_is_not_known_so_that_its_event_writes_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    update, delete, tombstone = told((1, "update"), (2, "delete"))
    assert tombstone.value is None
    place = Place(monkeypatch, update, delete)

    place.fill()
    assert place.line() == 1, "taken for deleted, the event would be a duplicate and no tombstone be written"

    place.log += [Message(2, tombstone)]
    place.fill()
    known = place.state.decoded(KEY)
    assert known is not None
    assert known.state.deleted > 0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"cluster": "c2"}, "another cluster"),
        ({"topic_id": "t2"}, "made anew"),
        ({"first": 2}, "holds offsets from"),
        ({"log": []}, "holds offsets from"),
    ],
)
def test_a_checkpoint_of_something_else_is_not_read_on_from(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, change: dict[str, Any], why: str
) -> None:
    place = Place(monkeypatch, *told((1, "update")))
    place.fill()
    place.state.entries.put({"gone": b"\0" * 12})
    for name, value in change.items():
        setattr(place, name, value)

    with caplog.at_level("WARNING"):
        place.fill()

    assert place.state.entries.get("gone") is None
    assert why in str([one.__dict__ for one in caplog.records])


def test_what_a_partition_knows_is_not_unlearned_for_another_source_that_is_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place(monkeypatch, *told((1, "update"), (2, "update")))
    place.fill()
    desk, codecs = furnished()
    other = State(desk.changelogs, codecs, 100, Memory()).take("visma-net", 0, 0)
    seen: list[dict[str, bytes]] = []
    put = place.state.entries.put
    monkeypatch.setattr(
        place.state.entries, "put", lambda rows, mark=None: (seen.append(rows), put(rows, mark))
    )

    assert place.fill(more={(TOPICS.raw["visma-net"], 0): other}) == 0
    assert [row for rows in seen for row in rows] == [], (
        "an older record was put over a newer one for a while"
    )


def test_a_newer_workers_record_is_refused_and_a_lost_partition_is_let_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (record,) = told((1, "update"))
    place = Place(monkeypatch, record)
    place.log = [Message(0, record, b"\0\x7f\x7f\x7f\x7f\0rest")]
    with pytest.raises(UnknownSchema, match="upgrade"):
        place.fill()
    with pytest.raises(Cancelled):
        place.fill(cancelled=True)
    assert place.state.entries.checkpoint == Checkpoint()
