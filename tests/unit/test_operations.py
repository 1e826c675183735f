import asyncio
import io
import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from importlib.metadata import version
from typing import Any

import pytest
from furniture import furnished
from rig import NOBODY, until

from connector.core.facts import Finding
from connector.errors import Misconfigured
from connector.runtime import facts, guards, telemetry
from connector.runtime.batch import Batch, Cycle, Fence
from connector.runtime.desk import topics_under
from connector.runtime.metrics import METRICS
from connector.runtime.operations import Health, Operations
from connector.runtime.progress import HUNG_S, STUCK_S
from connector.runtime.registry import Locked, Registry, RegistryApi, digest
from connector.runtime.settings import Settings

SCHEMA = {"type": "record", "name": "Customer", "fields": [{"name": "id", "type": "string"}]}


def registry_api() -> RegistryApi:
    locked = [Locked(1, "customer", 1, "customer.1.avsc", digest(SCHEMA))]
    return RegistryApi(Registry(locked, {1: SCHEMA}), "erp")


@pytest.fixture
def health() -> Health:
    return Health("worker")


@pytest.fixture
def operations(health: Health) -> Iterator[Operations]:
    server = Operations("127.0.0.1", 0, health, registry_api())
    server.start()
    yield server
    server.stop()


def ask(
    operations: Operations, path: str, method: str = "GET", accept: str = "*/*"
) -> tuple[int, dict, bytes]:  # type: ignore[type-arg]  # JSON of any shape
    url = f"http://127.0.0.1:{operations.port}{path}"
    request = urllib.request.Request(url, method=method, headers={"accept": accept})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, dict(refused.headers), refused.read()


def test_probes_tell_each_check_by_name(operations: Operations, health: Health) -> None:
    health.ready("kafka", lambda: "no delivery for 7 s")
    health.ready("drain", lambda: None)
    health.live("loop", lambda: None)

    ready, live = ask(operations, "/readyz"), ask(operations, "/livez")

    assert (live[0], json.loads(live[2])["status"]) == (200, "ok")
    assert ready[0] == 503
    assert json.loads(ready[2]) == {
        "status": "failing",
        "checks": {"kafka": {"ok": False, "why": "no delivery for 7 s"}, "drain": {"ok": True, "why": None}},
    }


def test_a_check_that_raises_counts_as_failing(operations: Operations, health: Health) -> None:
    def broken() -> str | None:
        raise RuntimeError("secret")

    health.live("broken", broken)
    status, _, body = ask(operations, "/livez")

    assert status == 503
    assert json.loads(body)["checks"]["broken"]["why"] == "the check failed: RuntimeError"


def test_metrics_are_prometheus_text(operations: Operations) -> None:
    plain = ask(operations, "/metrics")
    openmetrics = ask(operations, "/metrics", accept="application/openmetrics-text; version=1.0.0")

    assert plain[0] == 200
    assert b"process_cpu_seconds_total" in plain[2]
    assert openmetrics[2].endswith(b"# EOF\n")


def test_checks_readiness_and_answers_of_the_registry_are_metrics(
    operations: Operations, health: Health
) -> None:
    health.ready("partitions", lambda: "rebuilding")
    health.live("loop", lambda: None)
    before = METRICS.get_sample_value("connector_registry_requests_total", {"answer": "404"}) or 0

    ask(operations, "/registry/schemas/ids/999")
    told = ask(operations, "/metrics")[2].decode()

    assert 'connector_ready{role="worker"} 0.0' in told
    assert 'connector_check_passes{check="partitions",probe="ready"} 0.0' in told
    assert 'connector_check_passes{check="loop",probe="live"} 1.0' in told
    assert f'connector_registry_requests_total{{answer="404"}} {before + 1}' in told
    assert f'connector_info{{role="worker",version="{version("erp-connector")}"}} 1.0' in told


def test_the_registry_answers_below_its_path(operations: Operations) -> None:
    status, headers, body = ask(operations, "/registry/schemas/ids/1?fetchMaxId=false&subject=x")

    assert (status, json.loads(json.loads(body)["schema"])) == (200, SCHEMA)
    assert headers["content-type"] == "application/vnd.schemaregistry.v1+json"
    assert ask(operations, "/registry/bogus")[0] == 404
    assert ask(operations, "/registryx")[0] == 404


def test_only_get_and_head_are_answered(operations: Operations) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        for path in ("/livez", "/metrics", "/registry/subjects/x/versions", "/other"):
            status, headers, _ = ask(operations, path, method)

            assert (status, headers["allow"]) == (405, "GET, HEAD"), (method, path)


def test_a_head_has_no_body(operations: Operations) -> None:
    status, headers, body = ask(operations, "/livez", "HEAD")

    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0


def test_without_a_registry_there_is_none() -> None:
    server = Operations("127.0.0.1", 0, Health("worker"))
    server.start()
    try:
        assert ask(server, "/registry/subjects")[0] == 404
    finally:
        server.stop()


def test_a_taken_port_is_told_in_one_line(operations: Operations) -> None:
    other = Operations("127.0.0.1", operations.port, Health("worker"))

    with pytest.raises(
        Misconfigured, match=f"^operations.port: {operations.port} on .*Address already in use"
    ):
        other.start()


def test_a_bad_host_is_told_in_one_line() -> None:
    with pytest.raises(Misconfigured, match=r"^operations\.host: no\.such\.host\.invalid"):
        Operations("no.such.host.invalid", 0, Health("worker")).start()


def test_probes_answer_while_the_main_thread_is_busy(operations: Operations) -> None:
    import threading

    answered: list[float] = []

    def probe() -> None:
        for _ in range(5):
            started = time.monotonic()
            ask(operations, "/livez")
            answered.append(time.monotonic() - started)

    prober = threading.Thread(target=probe)
    prober.start()
    while prober.is_alive():
        sum(range(10_000))

    assert max(answered) < 1


def alone(scene: Callable[[Any], Awaitable[None]]) -> None:
    """Play a scene with a worker that has no Kafka; its stations are made, and not started."""
    from connector.runtime.worker import Worker

    async def whole() -> None:
        settings = Settings(kafka={"bootstrap.servers": NOBODY}, worker={"client_id": "alone"})
        await scene(Worker(settings, settings.kafka, topics_under("erp"), *furnished()))

    asyncio.run(whole())


def pass_by(worker: Any, seconds: float) -> None:
    """Let time pass, for the checks alone."""
    now_s = time.monotonic() + seconds
    worker.progress._clock = lambda: now_s  # noqa: SLF001  nobody else may turn its clock


def test_a_worker_that_waits_for_kafka_before_it_polls_is_live_and_says_what_it_waits_for() -> None:
    async def scene(worker: Any) -> None:
        pass_by(worker, 10 * STUCK_S)

        assert worker.progress.intake() is None
        assert worker.progress.partitions() == "starting: waiting for Kafka to give the transactional id"

    alone(scene)


def test_an_intake_that_does_not_poll_is_not_live() -> None:
    async def scene(worker: Any) -> None:
        worker.progress.joining()
        assert worker.progress.intake() is None
        pass_by(worker, 10 * STUCK_S)

        assert worker.progress.intake() == "the intake has not polled for 600 s"

    alone(scene)


def test_an_intake_without_kafka_goes_on_polling_and_is_live() -> None:
    async def scene(worker: Any) -> None:
        intake = worker._intake  # noqa: SLF001  started without the rest
        intake.polled_at_s = 0.0
        worker.progress.joining()
        intake.start()
        await until(lambda: intake.polled_at_s > 0)
        worker.progress._joined_at_s = -10 * STUCK_S  # noqa: SLF001  as if that were long ago

        assert worker.progress.intake() is None
        assert "the group has not met" in worker.progress.partitions()
        assert await asyncio.to_thread(intake.stop, 30, failed=True)

    alone(scene)


def test_a_batch_that_no_agent_finishes_is_not_live_and_one_that_waits_for_kafka_is() -> None:
    async def scene(worker: Any) -> None:
        cycle = Cycle(0, 0, Fence(None))
        cycle.batches["duett"] = Batch(cycle, "duett")
        cycle.polled_at_s = time.monotonic()
        worker.progress.handed(cycle)
        assert worker.progress.batches() is None
        pass_by(worker, STUCK_S + 5)
        assert str(worker.progress.batches()).startswith("the batch of duett has not been worked off for 6")

        cycle.outputs["duett"] = []

        assert worker.progress.batches() is None

    alone(scene)


def test_what_was_dropped_in_a_rewind_is_waited_for_by_nobody() -> None:
    async def scene(worker: Any) -> None:
        cycle = Cycle(-1, 0, Fence(None))
        cycle.batches["duett"] = Batch(cycle, "duett")
        worker.progress.handed(cycle)
        pass_by(worker, 10 * STUCK_S)

        assert worker.progress.batches() is None

    alone(scene)


def test_an_open_transaction_is_a_fault_of_ours_only_while_kafka_answers_others() -> None:
    async def scene(worker: Any) -> None:
        assert worker.progress.hung(10 * HUNG_S) is None
        worker._outlet._delivery.begun_at_s = time.monotonic()  # noqa: SLF001  as if it had begun one
        pass_by(worker, HUNG_S + 5)

        assert worker.progress.hung(0) is None
        assert "though Kafka answers" in str(worker.progress.hung(HUNG_S + 1))
        assert "Kafka does not confirm" in str(worker.progress.transactions())

    alone(scene)


def test_a_worker_that_lost_its_partitions_is_not_ready_and_one_to_spare_is() -> None:
    async def scene(worker: Any) -> None:
        assignment = worker._intake.assignment  # noqa: SLF001  as if the group had met
        worker.progress.joining()
        assignment.owned, assignment.live, assignment.count = (
            {("erp.raw.duett", 0)},
            {("erp.raw.duett", 0)},
            1,
        )
        ticking = asyncio.create_task(worker.progress.tick())
        await asyncio.sleep(0)
        assert worker.progress.partitions() is None

        assignment.owned, assignment.live = set(), set()
        assert "none assigned since" in str(worker.progress.partitions())
        assignment.count = 2
        assert worker.progress.partitions() is None
        ticking.cancel()

    alone(scene)


def test_an_event_loop_that_stands_still_is_not_live() -> None:
    async def scene(worker: Any) -> None:
        ticking = asyncio.create_task(worker.progress.tick())
        await asyncio.sleep(0)
        assert worker.progress.loop() is None
        ticking.cancel()
        pass_by(worker, STUCK_S + 5)

        assert str(worker.progress.loop()).startswith("the event loop has stood still for 6")

    alone(scene)


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)


class Looked:
    """Guards that look often, at what a test lays out for them; counts the looks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        for name in ("PERIOD_S", "AGAIN_S", "CONFIRM_S"):
            monkeypatch.setattr(guards, name, 0.01)
        caplog.set_level(logging.INFO, "connector")
        self.guards = guards.Guards(Settings(kafka={"bootstrap.servers": NOBODY}), "serve")
        self.found: Exception | list[Finding] = []
        self.count = 0
        self.begun: list[BaseException | None] = []
        self.ended: list[BaseException] = []
        monkeypatch.setattr(self.guards, "_look", self.look)
        self.guards.end_by(self.ended.append)
        self._caplog = caplog

    def look(self, *, first: bool = False) -> list[Finding]:
        """Find what was laid out."""
        del first
        self.count += 1
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def again(self) -> None:
        """Wait until it has looked some times more."""
        count = self.count
        eventually(lambda: self.count > count + 2)

    @property
    def lines(self) -> list[str]:
        """What was logged."""
        return [one.message for one in self._caplog.records]


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Looked]:
    made = Looked(monkeypatch, caplog)
    yield made
    made.guards.stop()


def finding(guard: str, where: str) -> Finding:
    return Finding(guard, "stop", "raw", where, "this", "that", "run: something")


def test_a_first_look_at_nobody_says_who_does_not_answer_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(facts, "REACH_S", 0.2)
    here = guards.Guards(Settings(kafka={"bootstrap.servers": NOBODY}), "work")

    with pytest.raises(guards.NotYet, match=r"no broker answers at 127\.0\.0\.1:1 .*nobody listens there"):
        here.preflight()


def test_a_role_waits_for_kafka_and_for_topics_and_says_each_once(looked: Looked) -> None:
    looked.found = facts.Unanswered("kafka.a: nobody (1 ms); look there")
    looked.guards.start(looked.begun.append)
    looked.again()
    looked.found = facts.Unanswered("kafka.a: nobody (2 ms); look there")
    looked.again()
    told_first = looked.guards.waiting
    looked.found = [finding("missing", "erp.events")]
    looked.again()
    told_then = looked.guards.waiting
    begun_then = list(looked.begun)
    looked.found = []
    eventually(lambda: bool(looked.begun))

    assert told_first == "kafka.a: nobody (2 ms); look there"
    assert told_then == "erp.events: found this, wanted that; run: something"
    assert begun_then == []
    assert looked.begun == [None]
    assert looked.guards.waiting is None
    assert looked.lines == ["waiting for Kafka", "waiting for Kafka", "Kafka is there, and as it must be"]
    assert looked.ended == []


def test_a_role_is_refused_where_more_than_topics_is_missing(looked: Looked) -> None:
    looked.found = [finding("missing", "erp.events"), finding("partitions", "erp.raw.duett")]
    looked.guards.start(looked.begun.append)
    eventually(lambda: bool(looked.begun))

    assert isinstance(looked.begun[0], Misconfigured)
    assert not isinstance(looked.begun[0], guards.NotYet)
    assert looked.guards.waiting is not None


def test_guards_without_kafka_say_so_once_and_end_nobody(looked: Looked) -> None:
    looked.guards.start(looked.begun.append)
    eventually(lambda: looked.begun == [None])
    looked.found = facts.Unanswered("kafka.a: nobody; look there")
    looked.again()
    looked.guards.stop()

    assert looked.lines == ["the guards see nothing"]
    assert looked.ended == []
    assert looked.guards.answering_s() == 0


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    out = io.StringIO()
    before, level = logging.root.handlers[:], logging.root.level
    telemetry.log_json(to=out)
    yield out
    logging.root.handlers[:] = before
    logging.root.setLevel(level)
    logging.captureWarnings(capture=False)


def told(lines: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_a_log_line_is_json_with_what_extra_adds(lines: io.StringIO) -> None:
    logging.getLogger("connector.x").info("started", extra={"port": 8080, "topics": ["a", "b" * 300]})

    (line,) = told(lines)
    assert (line["event"], line["level"], line["port"]) == ("started", "info", 8080)
    assert str(line["time"]).endswith("Z")
    assert line["topics"] == ["a", "b" * 253 + "..."]


def test_control_characters_and_long_texts_cannot_forge_a_line(lines: io.StringIO) -> None:
    logging.getLogger("connector.x").info("a\r\n\x1b[31m%s", "b" * 500)

    text = lines.getvalue()
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert len(str(told(lines)[0]["event"])) == telemetry.LONGEST


def test_the_text_of_a_foreign_exception_is_left_out(lines: io.StringIO) -> None:
    for error in (ValueError("4111-1111"), Misconfigured("x: do y"), FileNotFoundError(2, "No such file")):
        try:
            raise error  # noqa: TRY301  the trace must lead here
        except Exception:
            logging.getLogger("connector.x").exception("failed")

    assert "4111" not in lines.getvalue()
    assert [line.get("why") for line in told(lines)] == [None, "x: do y", "No such file"]
    assert all("test_operations.py" in str(line["trace"]) for line in told(lines))


def test_noise_of_a_library_is_limited_and_counted() -> None:
    quieter = telemetry.Quieter()

    def passed(at: float, facility: str = "FAIL") -> logging.LogRecord | None:
        record = logging.makeLogRecord(
            {
                "name": "librdkafka",
                "msg": "%s [%s] %s",
                "args": (facility, "x", "y"),
                "created": at,
                "levelno": 30,
            }
        )
        return record if quieter.filter(record) else None

    assert len([1 for _ in range(20) if passed(0)]) == telemetry.NOISE
    assert passed(0, "ERROR")
    assert passed(30) is None
    later = passed(61)
    assert later is not None
    assert later.suppressed == 16  # type: ignore[attr-defined]  # the filter sets it
    assert all(
        quieter.filter(logging.makeLogRecord({"name": "connector.y", "msg": "m", "levelno": 20}))
        for _ in range(20)
    )


def test_of_the_life_of_a_service_only_faults_are_told(lines: io.StringIO) -> None:
    service = logging.getLogger("connector.runtime.outlet")
    service.info("[^%s]: Starting...", "Outlet")
    service.error("[^%s]: Crashed", "Outlet")
    logging.getLogger("faust.app").info("ready")

    assert [line["event"] for line in told(lines)] == ["[^Outlet]: Crashed"]
