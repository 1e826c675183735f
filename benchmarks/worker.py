"""S1: raw records -> changelog and events; `connector work` against a plain Faust agent."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import fastavro
import yaml
from confluent_kafka import Message

from benchmarks import callbacks, gauge, results
from benchmarks.kafka import Kafka, fill
from benchmarks.peers.faust_agent import GROUP
from benchmarks.program import Program
from connector.core.avro import FRAME_BYTES
from connector.runtime.broker import free_ports
from connector.runtime.registry import Registry, folder
from connector.topics import Topics

OURS: Final = "connector work"
PEER: Final = "plain Faust"
RECORDS: Final = {
    "small": {OURS: 60_000, PEER: 20_000},
    "full": {OURS: 400_000, PEER: 80_000},
}
"""The peer gets fewer: CPU per event is the same, and it takes a tenth of the time."""
WARM: Final = 0.1
"""Share of the records that is done before the watch begins."""
WITHIN_S: Final = 300.0
TARGET: Final = 5.0
Progress = Callable[[], int]


def _work(kafka: Kafka, topics: Topics, config: Path) -> tuple[Program, Progress]:
    (operations,) = free_ports(1)
    settings: dict[str, Any] = yaml.safe_load(config.read_text())
    settings["operations"] = {"host": "127.0.0.1", "port": operations}
    settings["digest_key"] = "env:BENCH_DIGEST_KEY"
    config.write_text(yaml.safe_dump(settings))
    program = Program(
        "connector-work",
        ["-m", "connector", "--config", str(config), "work"],
        kafka.folder,
        {"BENCH_DIGEST_KEY": callbacks.DIGEST_KEY.decode()},
    )
    raw, group = topics.raw["duett"], f"{topics.prefix}-worker"
    return program, kafka.progress(group, raw)


def _faust(kafka: Kafka, topics: Topics, _: Path) -> tuple[Program, Progress]:
    arguments = ["-m", "benchmarks.peers.faust_agent", kafka.bootstrap, topics.prefix]
    return Program(GROUP, arguments, kafka.folder), lambda: kafka.written(topics.events)


def _round(kafka: Kafka, subject: str, records: int) -> tuple[results.Round, results.Correct]:
    topics, config = kafka.topics()
    fill(kafka.producer(), topics.raw["duett"], callbacks.backlog(records))
    before = gauge.calibration()
    program, progress = (_work if subject == OURS else _faust)(kafka, topics, config)
    with program:
        done = _Done(progress)
        program.until(lambda: done() >= records * WARM, WITHIN_S)
        begun, watch = done.last, gauge.Watch(program.pid)
        program.until(lambda: done() >= records, WITHIN_S)
        usage = watch.stop()
    correct = verify(kafka, topics, records)
    kafka.forget(topics)
    return results.judged(records - begun, usage, (before, gauge.calibration())), correct


class _Done:
    """Remembers how far it was when last asked."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.last = 0

    def __call__(self) -> int:
        self.last = self._progress()
        return self.last


class _Reader:
    """Decodes framed records with the full schemas, as a consumer would: not with our codec."""

    def __init__(self) -> None:
        registry = Registry.load(folder())
        self._schemas = {
            id_: fastavro.parse_schema(dict(schema)) for id_, (_, schema) in registry.named().items()
        }

    def read(self, framed: bytes) -> dict[str, Any] | None:
        """Read one record; None if it is not valid."""
        import io

        try:
            schema = self._schemas[int.from_bytes(framed[1:FRAME_BYTES], "big")]
            read: Any = fastavro.schemaless_reader(io.BytesIO(framed[FRAME_BYTES:]), schema, None)
        except (KeyError, ValueError, EOFError, IndexError):
            return None
        return read if framed[0] == 0 and isinstance(read, dict) else None


def verify(kafka: Kafka, topics: Topics, records: int) -> results.Correct:
    """Check that every record came out once, every event was applied once, in the order of each key."""
    reader = _Reader()
    correct = results.Correct(taken=records)
    places: set[tuple[int, int]] = set()
    applied = 0
    for record in kafka.read(topics.events):
        event = reader.read(record.value() or b"")
        if event is None:
            correct.invalid += 1
            continue
        place = (event["raw_partition"], event["raw_offset"])
        correct.invalid += place in places
        places.add(place)
        applied += event["verdict"] == "applied"
    correct.lost = records - len(places)
    versions: dict[bytes, int] = {}
    for record in kafka.read(topics.changelog["voucher_line"]):
        _in_order(record, reader, versions, correct)
    if not applied == correct.distinct_out == callbacks.distinct(records):
        correct.invalid += 1
    return correct


def _in_order(record: Message, reader: _Reader, versions: dict[bytes, int], correct: results.Correct) -> None:
    state, key = reader.read(record.value() or b""), record.key() or b""
    if state is None or state["meta_key"] != key.decode():
        correct.invalid += 1
        return
    correct.distinct_out += 1
    correct.order_violations += versions.get(key, 0) >= state["meta_version"]
    versions[key] = state["meta_version"]


def measure(
    kafka: Kafka, rounds: int, scale: str, say: Callable[[str], None]
) -> tuple[list[results.Case], list[results.Ratio]]:
    """Run the interleaved rounds."""
    subjects = (OURS, PEER)
    run: dict[str, list[results.Round]] = {name: [] for name in subjects}
    correct = {name: results.Correct() for name in subjects}
    for number in range(rounds):
        for name in subjects:
            begun_s = time.monotonic()
            one, verified = _round(kafka, name, RECORDS[scale][name])
            run[name].append(one)
            correct[name].add(verified)
            say(
                f"S1 {name} round {number + 1}: {results.tell(one)}; {results.verdict(verified)}"
                f" ({time.monotonic() - begun_s:.0f} s)"
            )
    shared = {"duplicates": 0.1, "changes_per_key": callbacks.CHANGES}
    params = {
        OURS: shared | {"records": RECORDS[scale][OURS], "delivery": "exactly_once", "writer": "python"},
        PEER: shared | {"records": RECORDS[scale][PEER], "delivery": "at_least_once", "writer": "python"},
    }
    ours, peer = (results.case("S1", name, params[name], run[name], correct[name]) for name in subjects)
    ratios = [results.ratio(ours, peer, TARGET)] if ours and peer else []
    return [one for one in (ours, peer) if one], ratios
