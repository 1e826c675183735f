"""S4: seconds and memory per million keys to rebuild states from a changelog, in a fresh process."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks import callbacks, gauge, results
from benchmarks.kafka import PARTITIONS, Kafka, fill
from benchmarks.program import Program
from connector import flow
from connector.model import EntityKey, Headers, Known, Outcome
from connector.runtime.desk import furnish
from connector.runtime.registry import Registry, folder
from connector.sources import SOURCES

KEYS: Final = {"small": 1_000_000, "full": 1_000_000}
WITHIN_S: Final = 300.0
TARGETS_S: Final = {"rebuild": 6.0, "rebuild on disk": 6.0, "rebuild from checkpoint": 1.0}
MILLION: Final = 1_000_000
MIB: Final = 1 << 20


class _Nothing:
    """A state in which no key is known."""

    def get(self, _key: EntityKey) -> Known | None:
        return None

    glance = get

    def put(self, _key: EntityKey, _outcome: Outcome) -> None:
        return None


def changelog(keys: int) -> Iterator[tuple[bytes, bytes, Headers, int]]:
    """Give one record per customer: the first made by the worker's stations, the others after its form."""
    desk, codecs = furnish(Registry.load(folder()), callbacks.DIGEST_KEY)
    raw = callbacks.received(callbacks.customer())
    outcome = next(iter(flow.carry((raw,), SOURCES["duett"], _Nothing(), desk)))
    assert isinstance(outcome, Outcome)
    (record,) = outcome.records
    assert record.value is not None
    mark = raw.key.id.encode()
    value, codec = codecs.decode(record.value, raw.key.entity), codecs.writer("customer")
    for row in range(callbacks.FIRST_ROW, callbacks.FIRST_ROW + keys):
        id_ = b"%d" % row
        key = raw.key.text.encode().replace(mark, id_)
        framed = codec.encode({**value, "meta_key": key.decode(), "id": id_.decode()})
        headers: Headers = [(name, told.replace(mark, id_)) for name, told in record.headers]
        yield key, framed, headers, record.timestamp_ms


WAYS: Final = {
    "rebuild": "in memory, from the changelog",
    "rebuild on disk": "on disk, from the changelog",
    "rebuild from checkpoint": "on disk, from the checkpoint",
}
"""Case -> what it says; the last one finds the folder that the one before it has filled."""


def _round(
    kafka: Kafka, prefix: str, keys: int, folder: Path | None
) -> tuple[results.Round, results.Correct]:
    before = gauge.calibration()
    arguments = ["-m", "benchmarks.rebuilding", kafka.bootstrap, prefix, str(keys)]
    program = Program("rebuilding", arguments if folder is None else [*arguments, str(folder)], kafka.folder)
    with program:
        program.until(program.ended, WITHIN_S, 0.1)
    told = json.loads(program.output().splitlines()[-1])
    usage = msgspec.convert(told["usage"], gauge.Usage)
    more = {}
    if folder is not None:
        stored = sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
        more["disk_mib_per_million_keys"] = round(stored / MIB / keys * MILLION)
    one = results.judged(
        keys,
        usage,
        (before, gauge.calibration()),
        s_per_million_keys=round(told["seconds"] / keys * MILLION, 2),
        mib_per_million_keys=round(told["grown_mib"] / keys * MILLION),
        **more,
    )
    return one, results.Correct(
        taken=told["read"] or told["keys"],
        distinct_out=told["keys"],
        lost=told["lost"],
        invalid=told["invalid"],
    )


def measure(
    kafka: Kafka, rounds: int, scale: str, say: Callable[[str], None]
) -> tuple[list[results.Case], list[results.Ratio]]:
    """Fill the changelog once; per round rebuild it in fresh processes, each way once."""
    keys = KEYS[scale]
    topics, _ = kafka.topics()
    producer = kafka.producer(**{"compression.type": "zstd"})
    fill(producer, topics.changelog["customer"], changelog(keys))
    runs: dict[str, list[results.Round]] = {way: [] for way in WAYS}
    corrects = {way: results.Correct() for way in WAYS}
    for number in range(rounds):
        with tempfile.TemporaryDirectory(dir=kafka.folder) as folder:
            for way, told in WAYS.items():
                one, verified = _round(kafka, topics.prefix, keys, None if way == "rebuild" else Path(folder))
                runs[way].append(one)
                corrects[way].add(verified)
                say(
                    f"S4 {way} round {number + 1}: {one.extra['s_per_million_keys']:.2f} s and"
                    f" {one.extra['mib_per_million_keys']:.0f} MiB per million keys ({told}),"
                    f" {results.tell(one)}; {results.verdict(verified)}"
                )
    kafka.forget(topics)
    params: dict[str, Any] = {"keys": keys, "partitions": PARTITIONS, "entity": "customer"}
    cases = []
    for way, run in runs.items():
        case = results.case("S4", way, params, run, corrects[way])
        if case is None:
            continue
        counted = [one.extra["s_per_million_keys"] for one in run if one.discarded is None]
        median_s, target_s = statistics.median(counted), TARGETS_S[way]
        case.target = {"s_per_million_keys": target_s, "met": median_s <= target_s}
        cases.append(case)
    return cases, []
