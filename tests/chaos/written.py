"""A log as doors and workers would write it, without Kafka: the pure stations, and topics as lists."""

from hashlib import sha256
from random import Random
from typing import Any

import msgspec
from furniture import Bench, callback, furnished, received
from ledger import Row
from reader import Record

from connector import flow
from connector.core.identity import ENTITY as IDENTITY
from connector.model import ChangelogRecord, Outcome, Position, Quarantined, RawRecord
from connector.sources import SOURCES

Log = dict[str, list[Record]]
"""Kind of topic -> its records, in order."""


class Writer:
    """Doors and workers without Kafka, that write down what stands in every topic."""

    def __init__(self) -> None:
        self.log: Log = {"raw": [], "quarantine": [], "events": [], "changelog": []}
        self.rows: list[Row] = []
        self._bench = Bench()
        self._queue: list[RawRecord] = []
        self._chance = Random(3)
        self._taken = 0

    def _put(self, kind: str, topic: str, key: str, value: Any, headers: dict[str, bytes]) -> Record:
        offset = len(self.log[kind])
        self.log[kind].append(Record(topic, 0, offset, key, value, headers, 0))
        return self.log[kind][-1]

    def receive(self, source: str, body: bytes) -> None:
        self._taken += 1
        one = msgspec.structs.replace(callback(source, body), delivery_id=f"{self._taken:026}")
        taken = received(one)
        raws = [raw for raw in taken if isinstance(raw, RawRecord)]
        self.rows.append(Row(one.delivery_id, sha256(body).hexdigest(), len(raws), len(taken) - len(raws)))
        for aside in taken:
            if isinstance(aside, Quarantined):
                self._put("quarantine", "quarantine", aside.key, aside.body, {"meta": _json(aside.meta)})
        self._queue += raws
        while len(self._queue) > 50:
            self.work()

    def work(self) -> None:
        raw = self._queue.pop(self._chance.randrange(len(self._queue)))
        topic = f"raw.{raw.key.source}"
        put = self._put("raw", topic, raw.key.text, raw.body, {"meta": _json(raw.meta)})
        placed = RawRecord(raw.key, raw.body, raw.meta, Position(topic, 0, put.offset))
        for one in flow.carry([placed], SOURCES[raw.key.source], self._bench, furnished()[0]):
            assert isinstance(one, Outcome)
            self._queue += [RawRecord(sent.key, sent.body, sent.meta) for sent in one.forwards]
            if one.history is not None:
                told = furnished()[1].decode(one.history, "event")
                self._put("events", "events", raw.key.text, told, {})
            for record in one.records if raw.key.entity != IDENTITY else ():
                self._change(record)

    def _change(self, record: ChangelogRecord) -> None:
        value = None if record.value is None else furnished()[1].decode(record.value, record.key.entity)
        self._put("changelog", "changelog", record.key.text, value, dict(record.headers))

    def finish(self) -> tuple[list[Row], Log]:
        while self._queue:
            self.work()
        return self.rows, self.log


def _json(meta: msgspec.Struct) -> bytes:
    return msgspec.json.encode(meta)
