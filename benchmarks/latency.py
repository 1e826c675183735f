"""E1: from an accepted callback to the moment any consumer can read its state; an open loop.

Callbacks leave by the clock, 1,000 a second, whether or not the ones before are answered. A read_committed
consumer follows the changelog in the same process, so that one clock times both ends.
"""

from __future__ import annotations

import json
import math
import os
import select
import socket
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import msgspec
from confluent_kafka import Consumer, TopicPartition

from benchmarks import callbacks, gauge, results
from benchmarks.gauge import OTHER_CORE, SUBJECT_CORE
from benchmarks.ingress import START_S, serve, why
from benchmarks.kafka import PARTITIONS, Kafka
from benchmarks.load import CONNECTIONS
from benchmarks.program import Failed, Program, answers
from connector.runtime.broker import free_ports

RATE: Final = 1000
"""Callbacks per second."""
WARM_S: Final = {"small": 8.0, "full": 20.0}
SECONDS: Final = {"small": 10.0, "full": 60.0}
TARGET_MS: Final = {"p50": 15.0, "p99": 60.0}
SEEN_S: Final = 30.0
"""Longest wait for the last record to become visible."""
SUBJECT: Final = "connector serve + work"


class Seen:
    """A consumer in a thread: delivery id -> when its changelog record could be read."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.at_s: Final[dict[str, float]] = {}
        self.again = 0
        """Delivery ids that came twice."""
        self._consumer: Final = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "benchmark-latency",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        self._consumer.assign([TopicPartition(topic, one, 0) for one in range(PARTITIONS)])
        self._over: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        while not self._over.is_set():
            first = self._consumer.poll(0.2)
            if first is None:
                continue
            records = [first, *self._consumer.consume(2000, 0)]
            now_s = time.perf_counter()
            for record in records:
                if record.error() is not None:
                    raise Failed(str(record.error()))
                told = dict(record.headers() or [])["x-erp-delivery-id"]
                name = told.decode() if isinstance(told, bytes) else str(told)
                self.again += name in self.at_s
                self.at_s[name] = now_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5)
        self._consumer.close()


class Sent:
    """When one callback was due and when its 202 was there, seconds of `perf_counter`."""

    __slots__ = ("accepted_s", "due_s")

    def __init__(self, due_s: float) -> None:
        self.due_s = due_s
        self.accepted_s = 0.0


class OpenLoop:
    """Keep-alive connections to the door; what is due while none is free waits, and its wait counts."""

    def __init__(self, port: int, rate: int) -> None:
        self._rate: Final = rate
        self.accepted: Final[dict[str, Sent]] = {}
        """Delivery id -> times."""
        self.refused = 0
        self._head: Final = (
            f"POST /hooks/duett/{callbacks.ENDPOINT} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: {callbacks.SECRET}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {callbacks.BYTES}\r\n\r\n"
        ).encode()
        self._row = callbacks.FIRST_ROW
        self._epoll: Final = select.epoll()
        self._sockets: Final[dict[int, socket.socket]] = {}
        self._open: Final[dict[int, tuple[Sent, bytes]]] = {}
        for _ in range(CONNECTIONS):
            one = socket.create_connection(("127.0.0.1", port))
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets[one.fileno()] = one
            self._epoll.register(one, select.EPOLLIN)
        self._idle: Final = deque(self._sockets)

    def run(self, seconds: float) -> None:
        """Send for so long, then wait for what is open."""
        begun_s, count, wanted = time.perf_counter(), 0, seconds * self._rate
        while True:
            now_s = time.perf_counter()
            while self._idle and count < wanted and (due_s := begun_s + count / self._rate) <= now_s:
                count += 1
                self._send(self._idle.popleft(), Sent(due_s))
            if count >= wanted and not self._open:
                return
            self._turn()

    def _send(self, number: int, sent: Sent) -> None:
        self._open[number] = (sent, b"")
        self._sockets[number].sendall(self._head + callbacks.sent(self._row))
        self._row += 1

    def _turn(self) -> None:
        for number, _ in self._epoll.poll(1 / self._rate):
            sent, had = self._open[number]
            answer = had + self._sockets[number].recv(65_536)
            if not answer.endswith(b"}"):
                if len(answer) == len(had):
                    raise Failed("the server closed a connection")
                self._open[number] = (sent, answer)
                continue
            del self._open[number]
            self._idle.append(number)
            if answer.startswith(b"HTTP/1.1 202"):
                sent.accepted_s = time.perf_counter()
                self.accepted[json.loads(answer.partition(b"\r\n\r\n")[2])["id"]] = sent
            else:
                self.refused += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._sockets.values():
            with suppress(OSError):
                one.close()
        self._epoll.close()


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value that `share` of the values do not exceed, of sorted ones."""
    return values[max(math.ceil(share * len(values)) - 1, 0)]


def figures(accepted: Sequence[Sent], seen_s: Sequence[float]) -> dict[str, float]:
    """Give the milliseconds of a round: accepted to visible, due to visible, due to accepted."""
    spans = {
        "": [at_s - one.accepted_s for one, at_s in zip(accepted, seen_s, strict=True)],
        "sent_": [at_s - one.due_s for one, at_s in zip(accepted, seen_s, strict=True)],
        "ack_": [one.accepted_s - one.due_s for one in accepted],
    }
    told = {}
    for name, span in spans.items():
        span.sort()
        for part, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
            told[f"{name}{part}_ms"] = round(quantile(span, share) * 1000, 2)
        told[f"{name}max_ms"] = round(span[-1] * 1000, 2)
    return told


@contextmanager
def spread() -> Iterator[None]:
    """Let everybody, the broker too, run on both cores: a core that is full is a queue, and no latency."""
    bind({SUBJECT_CORE, OTHER_CORE})
    try:
        yield
    finally:
        bind({OTHER_CORE})


def bind(cores: set[int]) -> None:
    """Move everything we started to these cores."""
    for process in gauge.tree(os.getpid()):
        for task in Path(f"/proc/{process}/task").iterdir():
            with suppress(OSError):
                os.sched_setaffinity(int(task.name), cores)


def _round(kafka: Kafka, scale: str) -> tuple[results.Round, results.Correct]:
    topics, config = kafka.topics()
    before = gauge.calibration()
    door, port, ready = serve(config)
    worker, at_work = work(config)
    with door, worker, spread():
        door.until(answers(ready), START_S, 0.1)
        worker.until(answers(at_work), START_S, 0.1)
        try:
            with (
                Seen(kafka.bootstrap, topics.changelog["voucher_line"]) as seen,
                OpenLoop(port, RATE) as load,
            ):
                load.run(WARM_S[scale])
                warm = set(load.accepted)
                load.refused = 0
                watches = gauge.Watch(door.pid), gauge.Watch(worker.pid)
                load.run(SECONDS[scale])
                used = watches[0].stop(), watches[1].stop()
                worker.until(lambda: len(seen.at_s) >= len(load.accepted), SEEN_S)
        except Failed as failure:
            raise Failed(f"{failure}\n{why(ready)}{worker.output()[-3000:]}") from None
    measured = {name: one for name, one in load.accepted.items() if name not in warm}
    correct = results.Correct(taken=len(load.accepted), distinct_out=len(seen.at_s))
    correct.lost = len(load.accepted.keys() - seen.at_s.keys())
    correct.invalid = seen.again
    told = figures([*measured.values()], [seen.at_s[name] for name in measured])
    both = msgspec.structs.replace(
        used[0],
        cpu_s=used[0].cpu_s + used[1].cpu_s,
        rss_mib=used[0].rss_mib + used[1].rss_mib,
        foreign_cpu=0.0,  # on both cores the broker and the load cannot be told from strangers
    )
    one = results.judged(len(measured), both, (before, gauge.calibration()), **told, refused=load.refused)
    if load.refused and one.discarded is None:
        one = msgspec.structs.replace(one, discarded=f"{load.refused} callbacks were refused")
    kafka.forget(topics)
    return one, correct


def work(config: Path, name: str = "worker", **more: str) -> tuple[Program, str]:
    """Make `connector work`, with further variables; give it and its readiness probe."""
    (operations,) = free_ports(1)
    variables = {
        "BENCH_SECRET": callbacks.SECRET,
        "BENCH_DIGEST_KEY": callbacks.DIGEST_KEY.decode(),
        "BENCH_COMPANY": callbacks.CLIENT_KEY,
        "CONNECTOR_OPERATIONS__PORT": str(operations),
        **more,
    }
    arguments = ["-m", "connector", "--config", str(config), "work"]
    program = Program(f"connector-{name}", arguments, config.parent, variables)
    return program, f"http://127.0.0.1:{operations}/readyz"


class Open(NamedTuple):
    """A case of an open loop."""

    id: str
    subject: str
    rate: int
    most_ms: Mapping[str, float]
    round: Callable[[Kafka, str], tuple[results.Round, results.Correct]]

    def measure(
        self, kafka: Kafka, rounds: int, scale: str, say: Callable[[str], None]
    ) -> tuple[list[results.Case], list[results.Ratio]]:
        """Run the rounds."""
        run, correct = [], results.Correct()
        for number in range(rounds):
            one, verified = self.round(kafka, scale)
            run.append(one)
            correct.add(verified)
            told = ", ".join(f"{name} {value:g}" for name, value in one.extra.items())
            say(f"{self.id} round {number + 1}: {results.tell(one)}; {told}; {results.verdict(verified)}")
        params: dict[str, Any] = {"rate": self.rate, "bytes": callbacks.BYTES, "partitions": PARTITIONS}
        case = results.case(self.id, self.subject, params, run, correct)
        return ([opened(case, self.most_ms)] if case is not None else []), []


measure: Final = Open("E1", SUBJECT, RATE, TARGET_MS, _round).measure


def middle(case: results.Case, name: str) -> float:
    """Give the median over the rounds that count of what `Round.extra` tells."""
    return statistics.median(one.extra[name] for one in case.rounds if one.discarded is None)


def opened(case: results.Case, most_ms: Mapping[str, float]) -> results.Case:
    """Judge a case by its median latencies."""
    met = all(middle(case, f"{name}_ms") <= most for name, most in most_ms.items())
    target = {f"{name}_ms": most for name, most in most_ms.items()} | {"met": met}
    cores = {name: [SUBJECT_CORE, OTHER_CORE] for name in case.pinned}
    return msgspec.structs.replace(case, loop="open", pinned=cores, target=target)
