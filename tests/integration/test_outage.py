"""Kafka goes away for a while under load: the door says so, nothing is lost, both roles come back alone."""

import signal
import time
from pathlib import Path

import pytest
from auditing import audit
from callbacks import Vendors
from ledger import Load
from stack import DELIVERIES, Child, Stack

from connector.runtime.broker import LocalKafka

OUTAGE_S = 20.0
BACK_S = 20.0
RATE = 120
CALLBACKS = 3600
MIB = 1 << 20


@pytest.mark.cluster
@pytest.mark.timeout(150)
@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("how", ["paused", "killed"])
def test_without_kafka_callbacks_get_503_and_both_roles_recover_alone(
    how: str, delivery: str, prefix: str, tmp_path: Path
) -> None:
    settings = {"delivery": delivery}
    with LocalKafka() as kafka, Stack(kafka.bootstrap, prefix, tmp_path, worker=settings) as stack:
        ingress, worker = stack.serve(), stack.work()
        made = Vendors(41, stack.secrets["STACK_CLIENT_KEY"]).callbacks(CALLBACKS)
        with Load(stack, made, rate=RATE, within_s=100) as load:
            time.sleep(4)
            before, highest, acked = ingress.rss_bytes(), 0, load.acked
            go_away(kafka, how)
            away_until = time.monotonic() + OUTAGE_S
            while time.monotonic() < away_until:
                highest = max(highest, ingress.rss_bytes())
                assert ingress.alive, ingress.tail()
                assert worker.alive, worker.tail()
                time.sleep(0.25)
            unready = ingress.get("/readyz")[0]
            come_back(kafka, how)
            back_at = time.monotonic()
            recovered = {ingress.name: recovery_s(ingress, back_at)}
            while load.running and time.monotonic() - back_at < 40:
                highest = max(highest, ingress.rss_bytes())
                time.sleep(0.25)
        print(
            f"{how}: {load.told()}, acked before {acked}, slowest refusal {load.slowest_s:.2f} s, "
            f"ingress grew {(highest - before) / MIB:.1f} MiB, ready again after {recovered}"
        )
        assert load.refused["503"] > 20
        assert set(load.refused) == {"503"}
        assert load.without_retry_after == 0
        assert load.slowest_s < 5.5
        assert unready == 503
        assert highest - before < 64 * MIB
        assert recovered[ingress.name] < BACK_S

        assert worker.alive, worker.tail()
        recovery_s(worker, back_at)
        stack.drained(60)
        told = audit(stack, load.rows, worker.url)
        print(told.told())
        told.clean()
        assert (ingress.stop(), worker.stop()) == (0, 0)


@pytest.mark.cluster
def test_a_client_without_an_outcome_is_replaced_and_nothing_is_lost(prefix: str, tmp_path: Path) -> None:
    with LocalKafka() as kafka, Stack(kafka.bootstrap, prefix, tmp_path) as stack:
        stack.serve()
        worker = stack.work(fault="wear out")
        made = Vendors(43, stack.secrets["STACK_CLIENT_KEY"]).callbacks(900)
        with Load(stack, made, rate=RATE) as load:
            pass
        stack.drained(90)

        told = audit(stack, load.rows, worker.url)
        print(told.told())
        told.clean()
        assert worker.alive
        assert worker.log.read_text().count("transactional producer replaced") == 2
        assert worker.stop() == 0, worker.tail()


def go_away(kafka: LocalKafka, how: str) -> None:
    kafka.signal(1, signal.SIGSTOP if how == "paused" else signal.SIGKILL)


def come_back(kafka: LocalKafka, how: str) -> None:
    if how == "paused":
        kafka.signal(1, signal.SIGCONT)
    else:
        kafka.launch(1)
        kafka.ready(1)


def recovery_s(child: Child, since: float) -> float:
    """Wait until a process says it is ready; it must not have ended meanwhile."""
    while child.get("/readyz")[0] != 200:
        assert child.alive, child.tail()
        assert time.monotonic() - since < 3 * BACK_S, child.get("/readyz")[1] + child.tail()
        time.sleep(0.1)
    return round(time.monotonic() - since, 1)
