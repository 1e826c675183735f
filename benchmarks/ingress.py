"""I1: durable acks per second and core; `connector serve` against FastAPI + pydantic + confluent-kafka."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from benchmarks import callbacks, gauge, results
from benchmarks.kafka import Kafka
from benchmarks.load import CONNECTIONS, Load
from benchmarks.program import Failed, Program, answers
from connector.runtime.broker import free_ports
from connector.topics import Topics

SECONDS: Final = {"small": 4.0, "full": 15.0}
WARM_S: Final = {"small": 2.0, "full": 4.0}
START_S: Final = 30.0
WARM_END_S: Final = 60.0
WARM_PER_S: Final = 500
"""Callbacks per second from which the broker counts as warm; the slowest peer does four times as many."""
TARGET: Final = 4.0
_VARIABLES: Final = {
    "BENCH_SECRET": callbacks.SECRET,
    "BENCH_DIGEST_KEY": callbacks.DIGEST_KEY.decode(),
    "BENCH_COMPANY": callbacks.CLIENT_KEY,
}


def serve(config: Path) -> tuple[Program, int, str]:
    """Make `connector serve` with every feature on; its rate limit is out of the way."""
    port, operations = free_ports(2)
    settings: dict[str, Any] = yaml.safe_load(config.read_text())
    settings |= {
        "ingress": {"host": "127.0.0.1", "port": port, "drain_delay_s": 0},
        "operations": {"host": "127.0.0.1", "port": operations},
        "digest_key": "env:BENCH_DIGEST_KEY",
        "endpoints": [
            {
                "source": "duett",
                "id": callbacks.ENDPOINT,
                "tenant": callbacks.TENANT,
                "companies": ["env:BENCH_COMPANY"],
                "authenticate": {"header": "Authorization", "secrets": ["env:BENCH_SECRET"]},
                "rate": 1e9,
            }
        ],
    }
    config.write_text(yaml.safe_dump(settings))
    arguments = ["-m", "connector", "--config", str(config), "serve"]
    program = Program("connector-serve", arguments, config.parent, _VARIABLES)
    return program, port, f"http://127.0.0.1:{operations}/readyz"


def _fastapi(kafka: Kafka, topics: Topics) -> tuple[Program, int, str]:
    (port,) = free_ports(1)
    arguments = ["-m", "benchmarks.peers.fastapi_program", kafka.bootstrap, topics.prefix, str(port)]
    return Program("fastapi", arguments, kafka.folder), port, f"http://127.0.0.1:{port}/readyz"


def _round(
    kafka: Kafka, make: Callable[[Topics, Path], tuple[Program, int, str]], scale: str
) -> tuple[results.Round, results.Correct]:
    topics, config = kafka.topics()
    before = gauge.calibration()
    program, port, ready = make(topics, config)
    with program:
        program.until(answers(ready), START_S, 0.1)
        load = Load(port)
        try:
            warm(load, WARM_S[scale])
            since = len(load.acked)
            watch = gauge.Watch(program.pid)
            load.run(SECONDS[scale])
            usage = watch.stop()
            events = len(load.acked) - since
            load.run(0, last=True)
        except Failed as failure:
            raise Failed(f"{failure}\n{why(ready)}{program.output()[-3000:]}") from None
        load.close()
    one = results.judged(events, usage, (before, gauge.calibration()))
    if load.refused:  # what was refused may be stored, and what was in flight beside it twice
        why_not = f"{load.refused} callbacks were refused while warming up: the broker was too slow"
        one, correct = msgspec.structs.replace(one, discarded=why_not), results.Correct()
    else:
        correct = verify(kafka, topics, load.ids())
    kafka.forget(topics)
    return one, correct


def warm(load: Load, seconds: float) -> None:
    """Warm up until the broker is warm too: a cold one may need longer than the ingress waits for it.

    Raises:
        Failed: It does not get there.
    """
    end_s = time.monotonic() + WARM_END_S
    while True:
        refused, since = load.refused, len(load.acked)
        load.run(seconds, cold=True)
        if load.refused == refused and len(load.acked) - since >= WARM_PER_S * seconds:
            return
        if time.monotonic() > end_s:
            raise Failed(f"{len(load.acked)} callbacks accepted and {load.refused} refused while warming up")


def why(ready: str) -> str:
    """Give the counters that tell what was refused and why, as far as the program has some."""
    metrics = ready.replace("/readyz", "/metrics")
    with suppress(OSError), urllib.request.urlopen(metrics, timeout=5) as answer:  # noqa: S310  127.0.0.1
        lines = answer.read().decode().splitlines()
        told = [one for one in lines if "_total{" in one and not one.endswith(" 0.0")]
        return "\n".join([*told, ""])
    return ""


def verify(kafka: Kafka, topics: Topics, acked: list[str]) -> results.Correct:
    """Compare what was acknowledged with what stands in Kafka, by delivery id."""
    correct = results.Correct(taken=len(acked))
    found: set[str] = set()
    for record in kafka.read(topics.raw["duett"]):
        meta = json.loads(dict(record.headers() or [])["meta"] or b"")
        model = json.loads(json.loads(record.value() or b"")["data"])
        model = model if isinstance(model, dict) else json.loads(model)
        key = (record.key() or b"").decode()
        if not key.endswith(f"/{model['id']}") or meta["delivery_id"] in found:
            correct.invalid += 1
        found.add(meta["delivery_id"])
    correct.distinct_out = len(found)
    correct.lost = len(set(acked) - found)
    return correct


def measure(
    kafka: Kafka, rounds: int, scale: str, say: Callable[[str], None]
) -> tuple[list[results.Case], list[results.Ratio]]:
    """Run the interleaved rounds."""
    subjects: dict[str, Callable[[Topics, Path], tuple[Program, int, str]]] = {
        "connector serve": lambda _, config: serve(config),
        "FastAPI": lambda topics, _: _fastapi(kafka, topics),
    }
    run: dict[str, list[results.Round]] = {name: [] for name in subjects}
    correct = {name: results.Correct() for name in subjects}
    for number in range(rounds):
        for name, make in subjects.items():
            one, verified = _round(kafka, make, scale)
            run[name].append(one)
            correct[name].add(verified)
            say(f"I1 {name} round {number + 1}: {results.tell(one)}; {results.verdict(verified)}")
    params = {"connections": CONNECTIONS, "bytes": callbacks.BYTES, "acks": "all", "linger_ms": 2}
    cases = [results.case("I1", name, params, run[name], correct[name]) for name in subjects]
    ours, peer = cases
    ratios = [results.ratio(ours, peer, TARGET)] if ours and peer else []
    return [one for one in cases if one], ratios
