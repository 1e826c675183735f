"""Traces of both roles on a real Kafka: from a callback by its raw record to transaction and state."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from collector import Collector
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from reader import Reader
from rig import notice
from stack import COMPANY, Stack

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

WITHIN_S = 60.0
SOURCE = "visma-net"
FOREIGN = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
CUSTOMER = 88_007_701


@pytest.fixture
def stack(bootstrap: str, prefix: str, tmp_path: Path) -> Iterator[Stack]:
    with Stack(bootstrap, prefix, tmp_path, 2) as made:
        yield made


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def until(true: Callable[[], object], otherwise: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.1)


def parts(traceparent: str) -> tuple[str, str]:
    _, trace, span, flags = traceparent.split("-")
    assert int(flags, 16) & 1, "sampled"
    return trace, span


def test_a_callback_can_be_followed_to_its_state(stack: Stack, collector: Collector) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    door = stack.start("ingress", "serve", **env).ready()
    worker = stack.start("worker-1", "work", **env).ready()

    assert stack.post(SOURCE, notice(CUSTOMER), headers={"traceparent": FOREIGN})[0] == 202
    assert stack.post(SOURCE, notice(CUSTOMER + 1))[0] == 202
    assert stack.post(SOURCE, notice(CUSTOMER), headers={"x-vwd-signature-v1": "bm8="})[0] == 401
    stack.drained()
    linked = lambda: {link for one in collector.spans("transaction") for link in one.links}  # noqa: E731  one word
    until(lambda: len(linked()) == 2 and len(collector.spans("POST")) == 2, lambda: collector.payloads)

    requests = {(one.trace, one.span): one for one in collector.spans("POST")}
    records = Reader(stack.bootstrap).read([stack.topic("raw", SOURCE), stack.topic("changelog", "customer")])
    raw = {
        one.key: parts(json.loads(one.headers["meta"])["traceparent"])
        for one in records
        if "meta" in one.headers
    }
    states = {
        one.key: parts(one.headers["traceparent"].decode()) for one in records if "x-erp-op" in one.headers
    }
    assert len(raw) == 2
    assert raw == states
    assert set(raw.values()) == set(requests) == linked()
    assert "a" * 32 not in {trace for trace, _ in requests}
    for one in requests.values():
        assert (one.service, one.name, one.kind) == (
            "erp-connector-ingress",
            f"POST /hooks/{SOURCE}",
            Span.SPAN_KIND_SERVER,
        )
        assert one.parent == ""
        assert one.attributes == {
            "connector.source": SOURCE,
            "http.request.body.size": len(notice(CUSTOMER)),
            "http.response.status_code": 202,
            "connector.records": 1,
        }
    cycles = [one for one in collector.spans("transaction") if one.links]
    assert {(one.service, one.kind) for one in cycles} == {("erp-connector-worker", Span.SPAN_KIND_CONSUMER)}
    assert {one.attributes["connector.end"] for one in cycles} == {"committed"}
    assert sum(one.attributes["connector.records"] for one in cycles) == 2
    assert sum(one.attributes["connector.verdict.applied"] for one in cycles) == 2
    for told in collector.payloads:
        for hidden in (COMPANY, str(CUSTOMER), f"{SOURCE}-1", "customer", *stack.secrets.values()):
            assert hidden.encode() not in told

    assert (door.stop(), worker.stop()) == (0, 0)


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_trusted_trace_goes_on_and_the_last_spans_are_sent_at_the_end(
    bootstrap: str, prefix: str, tmp_path: Path, collector: Collector, delivery: str
) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    trusting = {"trust_traceparent": True}
    with Stack(bootstrap, prefix, tmp_path, 2, ingress=trusting, worker={"delivery": delivery}) as stack:
        door = stack.start("ingress", "serve", **env).ready()
        worker = stack.start("worker-1", "work", **env).ready()

        assert stack.post(SOURCE, notice(CUSTOMER), headers={"traceparent": FOREIGN})[0] == 202
        stack.drained()
        assert collector.payloads == []
        assert (door.stop(), worker.stop()) == (0, 0)

        (request,) = collector.spans("POST")
        assert (request.trace, request.parent) == ("a" * 32, "b" * 16)
        links = [link for one in collector.spans("transaction") for link in one.links]
        assert links == [(request.trace, request.span)]


def test_a_collector_that_is_away_costs_nothing_but_lines(stack: Stack) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    door = stack.start("ingress", "serve", **env).ready()
    worker = stack.start("worker-1", "work", **env).ready()

    for number in range(20):
        assert stack.post(SOURCE, notice(number))[0] == 202
    stack.drained()

    assert (door.stop(), worker.stop()) == (0, 0)
    for one in (door, worker):
        lines = [json.loads(line) for line in one.log.read_text().splitlines()]
        assert [line["event"] for line in lines].count("telling traces") == 1
        assert any(line["logger"].startswith("opentelemetry") for line in lines), "it was tried"
