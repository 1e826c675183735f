"""R1: how long an event waits while three workers are restarted under load, one after the other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

from benchmarks import gauge, results
from benchmarks.gauge import OTHER_CORE, SUBJECT_CORE
from benchmarks.ingress import START_S, serve, why
from benchmarks.kafka import Kafka
from benchmarks.latency import SEEN_S, Open, OpenLoop, Seen, bind, figures, spread, work
from benchmarks.program import Failed, Program, answers

RATE: Final = 200
"""Callbacks per second: with broker, load and three workers on two cores more would measure the queue."""
WORKERS: Final = 3
QUIET_S: Final = {"small": 3.0, "full": 10.0}
"""Before the first restart, between two, and behind the last."""
SLICE_S: Final = 0.5
TARGET_MS: Final = {"max": 5000.0}
SUBJECT: Final = f"{WORKERS} x connector work"


def _restart(workers: Sequence[tuple[Program, str]], quiet_s: float) -> None:
    """End each in the proper way, start it again under its name, and wait until it is ready."""
    for worker, ready in workers:
        time.sleep(quiet_s)
        worker.__exit__(None, None, None)
        worker.__enter__()
        bind({SUBJECT_CORE, OTHER_CORE})
        worker.until(answers(ready), START_S, 0.1)
    time.sleep(quiet_s)


def _round(kafka: Kafka, scale: str) -> tuple[results.Round, results.Correct]:
    topics, config = kafka.topics()
    before = gauge.calibration()
    door, port, ready = serve(config)
    workers = [
        work(config, name, CONNECTOR_WORKER__CLIENT_ID=name, CONNECTOR_WORKER__STATIC_MEMBERSHIP="true")
        for name in (f"worker-{one}" for one in range(WORKERS))
    ]
    with ExitStack() as running, ThreadPoolExecutor(1) as beside:
        for program in (door, *(worker for worker, _ in workers)):
            running.enter_context(program)
        running.enter_context(spread())
        door.until(answers(ready), START_S, 0.1)
        for worker, at_work in workers:
            worker.until(answers(at_work), START_S, 0.1)
        seen = running.enter_context(Seen(kafka.bootstrap, topics.changelog["voucher_line"]))
        load = running.enter_context(OpenLoop(port, RATE))
        load.run(QUIET_S[scale])
        warm, watch = set(load.accepted), gauge.Watch(door.pid)
        restarts = beside.submit(_restart, workers, QUIET_S[scale])
        try:
            while not restarts.done():
                load.run(SLICE_S)
            restarts.result()
            door.until(lambda: len(seen.at_s) >= len(load.accepted), SEEN_S)
        except Failed as failure:
            raise Failed(f"{failure}\n{why(ready)}") from None
        used = watch.stop()
    measured = {name: one for name, one in load.accepted.items() if name not in warm}
    correct = results.Correct(taken=len(load.accepted), distinct_out=len(seen.at_s))
    correct.lost = len(load.accepted.keys() - seen.at_s.keys())
    correct.invalid = seen.again + load.refused
    told = figures([*measured.values()], [seen.at_s[name] for name in measured])
    one = results.judged(len(measured), used, (before, gauge.calibration()), **told)
    kafka.forget(topics)
    return one, correct


measure: Final = Open("R1", SUBJECT, RATE, TARGET_MS, _round).measure
