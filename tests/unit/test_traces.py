"""Traces: told only where they are asked for, and then without a tenant, an endpoint, a key or a body."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
from collector import Kept
from furniture import callback, raws
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from rig import HOOK, NOBODY, build, chunked, notice, play, request, running, signed

from connector.model import RawMeta, RawRecord
from connector.runtime import ingress as door
from connector.runtime import spans, traces, wire
from connector.runtime.answers import accepted
from connector.runtime.batch import Cycle, Fence
from connector.runtime.receipts import Receipt
from connector.runtime.transactions import Aborted, NoOutcome

FOREIGN = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
BOTH_ROLES = """
import sys
import connector.cli.serve, connector.cli.work
import connector.runtime.ingress, connector.runtime.serving, connector.runtime.worker
from connector.runtime import traces
traces.start("ingress")
print(traces.TRACER is None, sorted({name for name in sys.modules if name.startswith("opentelemetry")}))
"""


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [one for one in os.environ if one.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    yield
    traces.stop()


def in_a_process(**env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", BOTH_ROLES], env=clean | env, capture_output=True, text=True, check=True
    )


@pytest.mark.parametrize("env", [{}, {**ENDPOINT, "OTEL_SDK_DISABLED": "true"}], ids=["unset", "disabled"])
def test_without_the_variables_nothing_of_opentelemetry_is_imported(env: dict[str, str]) -> None:
    assert in_a_process(**env).stdout == "True []\n"


def test_with_an_endpoint_there_is_a_tracer() -> None:
    assert in_a_process(**ENDPOINT).stdout.startswith("False ['opentelemetry'")


@pytest.mark.parametrize(
    ("env", "wanted"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:9"}, False),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
    ],
)
def test_the_standard_variables_say_whether_spans_are_told(env: dict[str, str], *, wanted: bool) -> None:
    assert traces.wanted(env) is wanted


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER"),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "4318"),
        ({**ENDPOINT, "OTEL_BSP_MAX_QUEUE_SIZE": "0"}, "an OTEL_* variable is wrong"),
    ],
)
def test_what_cannot_be_told_costs_a_line_and_nothing_else(
    env: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, text in env.items():
        monkeypatch.setenv(name, text)
    with caplog.at_level(logging.WARNING, "connector"):
        traces.start("worker")

    assert traces.TRACER is None
    (line,) = [one for one in caplog.records if one.message == "no traces"]
    assert said in vars(line)["why"]


def test_without_the_extra_a_line_names_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.delitem(sys.modules, "connector.runtime.spans", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)
    with caplog.at_level(logging.WARNING, "connector"):
        traces.start("worker")

    assert traces.TRACER is None
    assert "the extra `otel` is not installed" in vars(caplog.records[-1])["why"]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    one = Kept()
    monkeypatch.setattr(spans, "OTLPSpanExporter", lambda: one)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    traces.start("ingress")
    assert traces.TRACER is not None
    return one


def tracer() -> spans.Spans:
    assert traces.TRACER is not None
    return traces.TRACER


def posted(monkeypatch: pytest.MonkeyPatch, *, pieces: bool = False, **limits: Any) -> RawMeta:
    """Post an event with a traceparent of somebody's; give what its raw record says of itself."""
    taken: list[RawRecord] = []

    def spy(topics: Any, records: Any) -> Any:
        taken.extend(records)
        return wire.laid_out(topics, records)

    monkeypatch.setattr(door, "laid_out", spy)
    body = notice(7)
    headers = {**signed(body), "traceparent": FOREIGN}
    sent = (chunked(body, headers=headers), b"0\r\n\r\n") if pieces else (request(body, headers=headers),)

    async def scene() -> None:
        async with running(build(NOBODY, ack_timeout_ms=100, drain_timeout_s=0, **limits)) as rig:
            line = await rig.dial()
            line.send(*sent)
            assert (await line.reply()).status == 503, "nobody confirms it"
            line.hang_up()

    play(scene)
    (raw,) = taken
    return raw.meta


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "pieces"])
@pytest.mark.parametrize(("trusted", "stored"), [(False, ""), (True, FOREIGN)])
def test_without_traces_a_traceparent_is_handed_on_only_where_it_is_trusted(
    monkeypatch: pytest.MonkeyPatch, *, pieces: bool, trusted: bool, stored: str
) -> None:
    assert posted(monkeypatch, pieces=pieces, trust_traceparent=trusted).traceparent == stored


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "pieces"])
@pytest.mark.parametrize("trusted", [False, True], ids=["not trusted", "trusted"])
def test_a_callback_is_one_span_whose_context_stands_on_its_records(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, *, pieces: bool, trusted: bool
) -> None:
    meta = posted(monkeypatch, pieces=pieces, trust_traceparent=trusted)
    traces.stop()

    (span,) = kept.told
    assert span.context is not None
    assert meta.traceparent[:53] == f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-"
    assert int(meta.traceparent[53:], 16) & 1, "sampled"
    assert (f"{span.context.trace_id:032x}" == "a" * 32) is trusted
    assert (span.parent is not None) is trusted
    assert span.name == "POST /hooks/visma-net"
    assert dict(span.attributes or {}) == {
        "connector.source": "visma-net",
        "http.request.body.size": len(notice(7)),
        "http.response.status_code": 503,
        "connector.records": 0,
    }
    assert not span.status.is_ok
    assert span.resource.attributes["service.name"] == "erp-connector-ingress"


def test_who_proves_nothing_makes_no_span(kept: Kept) -> None:
    async def scene() -> None:
        async with running(build(NOBODY)) as rig:
            assert (await rig.post(notice(7), headers={"traceparent": FOREIGN}, path=HOOK)).status == 401

    play(scene)
    traces.stop()

    assert kept.told == ()


def linked(kept: Kept) -> list[str]:
    traces.stop()
    return [f"{link.context.span_id:016x}" for link in kept.told[0].links]


def cycle_of(*traceparents: str) -> Cycle:
    """Make a cycle of records that came with these."""
    (raw,) = raws(callback("visma-net", notice(7)))
    cycle = Cycle(0, 0, Fence(None))
    tracer().met(
        cycle,
        [
            RawRecord(raw.key, raw.body, msgspec.structs.replace(raw.meta, traceparent=one))
            for one in traceparents
        ],
    )
    return cycle


def named(number: int, flags: str = "01") -> str:
    return f"00-{'c' * 32}-{number:016x}-{flags}"


def test_a_transaction_links_each_callback_once_and_not_more_than_a_span_holds(kept: Kept) -> None:
    many = [named(one // 2) for one in range(2, 2 * spans.MOST_LINKS + 100)]
    with tracer().transaction(cycle_of(*many)):
        pass

    assert linked(kept) == [f"{one:016x}" for one in range(1, spans.MOST_LINKS + 1)]


def test_a_transaction_links_no_span_that_nobody_kept_and_nothing_that_is_none(kept: Kept) -> None:
    with tracer().transaction(cycle_of("", named(1, "00"), "nonsense-1", named(2), named(3, "03"))):
        pass

    assert linked(kept) == [f"{one:016x}" for one in (2, 3)]


@pytest.mark.parametrize(
    ("failure", "end"),
    [
        (Aborted("x"), "aborted"),
        (NoOutcome("x"), "unknown"),
        (OSError("a key"), "failed"),
        (None, "committed"),
    ],
)
def test_a_transactions_span_says_how_it_ended_and_not_why(
    kept: Kept, failure: Exception | None, end: str
) -> None:
    cycle = cycle_of(named(1))
    tracer().carried(cycle, {("verdict", "applied"): 2, ("reason", "limits"): 1})
    tracer().carried(cycle, {("verdict", "applied"): 1, ("verdict", "stale"): 1})

    def committed() -> None:
        with tracer().transaction(cycle):
            if failure is not None:
                raise failure

    if failure is None:
        committed()
    else:
        with pytest.raises(type(failure)):
            committed()
    traces.stop()

    (span,) = kept.told
    assert span.name == "transaction"
    assert span.parent is None
    assert dict(span.attributes or {}) == {
        "connector.records": 0,
        "connector.verdict.applied": 3,
        "connector.verdict.stale": 1,
        "connector.end": end,
    }
    assert not span.events
    assert span.status.description is None
    assert span.status.is_ok is (failure is None)


def test_an_exporter_that_hangs_keeps_no_callback_and_no_end_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = threading.Event()

    class Hanging(Kept):
        def export(self, told: Sequence[ReadableSpan]) -> SpanExportResult:
            stuck.wait(120)
            return super().export(told)

    monkeypatch.setattr(spans, "OTLPSpanExporter", Hanging)
    monkeypatch.setattr(spans, "FLUSH_S", 0.2)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    traces.start("ingress")
    answers: list[str] = []
    for _ in range(5000):
        reply = tracer().request(callback("duett", b"{}"), lambda answer: answers.append(answer.status))
        reply(accepted(Receipt("0" * 26, 1, 0), close=False))
    began = time.monotonic()
    traces.stop()

    assert len(answers) == 5000
    assert time.monotonic() - began < 20, "it waited as long as the SDK does by itself, 30 s"
    stuck.set()
