"""The small parts of the door by themselves: delivery ids, buckets, counts, the producer's properties."""

import ast
import asyncio
import logging
from pathlib import Path
from typing import get_type_hints

import pytest
from confluent_kafka import OFFSET_INVALID, Message
from prometheus_client import CollectorRegistry, generate_latest
from rig import NOBODY, build

import connector
from connector.errors import Misconfigured
from connector.model import EntityKey, RawMeta, RawRecord
from connector.runtime.answers import accepted
from connector.runtime.buckets import Buckets
from connector.runtime.delivery_id import DeliveryIds
from connector.runtime.ingress_counts import Counts
from connector.runtime.producer_config import connect, properties
from connector.runtime.receipts import Receipt, Way
from connector.runtime.settings import IngressSettings
from connector.runtime.wire import UNPLACED, KafkaRecord

NOON_US = 1_700_000_000_000_000
CROCKFORD = set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def test_a_delivery_id_is_a_ulid_of_the_moment_it_was_made():
    made = DeliveryIds().at(NOON_US)

    assert len(made) == 26
    assert set(made) <= CROCKFORD
    assert made.startswith("01HF7YAT00")


def test_delivery_ids_increase_within_a_millisecond_and_when_the_clock_steps_back():
    ids = DeliveryIds()

    made = [ids.at(NOON_US + shift) for shift in (0, 1, 999, 5_000, 2_000, -9_000_000, 6_000)]

    assert made == sorted(set(made))


def test_two_processes_do_not_make_the_same_delivery_id():
    made = {DeliveryIds().at(NOON_US) for _ in range(1000)}

    assert len(made) == 1000


def test_a_bucket_gives_a_burst_of_one_second_and_then_its_rate():
    buckets = Buckets(10)

    at_once = sum(buckets.take("a", 0.0) for _ in range(100))
    later = sum(buckets.take("a", second / 100) for second in range(1, 1001))

    assert at_once == pytest.approx(11, abs=1)
    assert later == pytest.approx(100, abs=1)


def test_buckets_of_different_keys_do_not_touch_each_other():
    buckets = Buckets(1)
    while buckets.take("a", 0.0):
        pass

    assert buckets.empty("a", 0.0)
    assert not buckets.empty("b", 0.0)
    assert buckets.take("b", 0.0)


def test_a_key_may_have_its_own_rate():
    buckets = Buckets(1)

    assert sum(buckets.take("a", 0.0, 100) for _ in range(1000)) == pytest.approx(101, abs=1)


def test_a_hundred_thousand_senders_do_not_fill_the_memory():
    buckets = Buckets(1)

    for sender in range(100_000):
        buckets.take(sender, 0.0)

    assert len(buckets) <= 10_001


def test_the_operators_properties_win_where_correctness_does_not_depend_on_them():
    config = properties(
        {"compression.type": "zstd", "acks": "1", "partitioner": "random", "bootstrap.servers": "b:1"},
        IngressSettings(ack_timeout_ms=3000),
    )

    assert config["compression.type"] == "zstd"
    assert config["acks"] == "all"
    assert config["partitioner"] == "murmur2_random"
    assert config["enable.idempotence"] == "true"
    assert config["allow.auto.create.topics"] == "false"
    assert config["delivery.timeout.ms"] == 3000


@pytest.mark.parametrize(
    ("name", "value"),
    [("no.such.property", "1"), ("socket.timeout.ms", "hush-hush"), ("max.in.flight", "10")],
)
def test_a_property_librdkafka_does_not_take_is_named_without_its_value(name: str, value: str):
    with pytest.raises(Misconfigured) as refused:
        connect(
            {"bootstrap.servers": "localhost:1", name: value},
            IngressSettings(),
            on_statistics=lambda _: None,
            on_error=lambda _: None,
        )

    assert f"kafka.{name}" in str(refused.value)
    assert "hush-hush" not in str(refused.value)


def test_every_metric_of_the_door_has_its_name_and_labels():
    counts = Counts()
    counts.requests["duett", "202"] += 2
    counts.records["duett"] += 3
    counts.quarantined["duett", "unreadable"] += 1
    counts.redacted["clientKey"] += 1
    counts.secrets["abc", "0"] += 1
    counts.last["duett", "d1"] = 0.0
    counts.acked(0.004)
    counts.acked(9.0)
    registry = CollectorRegistry()
    registry.register(counts)

    told = generate_latest(registry).decode()

    for line in (
        'connector_ingress_requests_total{answer="202",source="duett"} 2.0',
        'connector_ingress_records_total{source="duett"} 3.0',
        'connector_ingress_quarantined_total{reason="unreadable",source="duett"} 1.0',
        'connector_ingress_redacted_total{field="clientKey"} 1.0',
        'connector_auth_secret_used_total{endpoint_hash="abc",slot="0"} 1.0',
        'connector_ingress_unacked_total{reason="ack_timeout"} 0.0',
        "connector_ingress_inflight 0.0",
        'connector_ingress_ack_seconds_bucket{le="0.005"} 1.0',
        'connector_ingress_ack_seconds_bucket{le="+Inf"} 2.0',
        "connector_ingress_ack_seconds_count 2.0",
        'connector_callback_gap_seconds{source="duett"}',
    ):
        assert line in told


def test_receipts_are_made_in_one_place_and_only_a_receipt_makes_a_202():
    root = Path(connector.__file__).parent / "runtime"
    makers, answers = set(), set()
    for file in root.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Name) and node.func.id == "Receipt":
                makers.add(file.name)
            if any(isinstance(one, ast.Constant) and str(one.value) == "202" for one in node.args):
                answers.add(file.name)

    assert makers == {"receipts.py"}
    assert answers == {"answers.py"}
    assert get_type_hints(accepted)["receipt"] is Receipt


def test_a_bug_while_counting_is_answered_with_503_and_leaves_nothing_in_flight(
    caplog: pytest.LogCaptureFixture,
):
    async def scene():
        ingress, answers = build(NOBODY), []
        ingress.counts.in_flight = 1

        ingress._settle("duett", [object()], answers.append, Receipt("0" * 26, 1, 0))  # noqa: SLF001

        assert [one.status for one in answers] == ["503"]
        assert ingress.counts.in_flight == 0
        assert ingress.counts.unacked["bug"] == 1
        assert ingress.counts.requests == {("duett", "503"): 1}

    caplog.set_level(logging.ERROR)
    asyncio.run(scene())
    assert "AttributeError" in caplog.text


def test_a_bug_with_one_callback_does_not_leave_its_neighbours_unanswered(caplog: pytest.LogCaptureFixture):
    async def scene():
        producer, told = build(NOBODY).producer, []

        def fails(_: object) -> None:
            raise ValueError("canary")

        ways = [Way("0" * 26, 1, 0) for _ in range(3)]
        for way, settle in zip(ways, (told.append, fails, told.append), strict=True):
            way.settle = settle
            producer._open[way] = None  # noqa: SLF001
        producer._complete(ways)  # noqa: SLF001

        assert len(told) == 2
        assert producer._open == {}  # noqa: SLF001

    asyncio.run(scene())
    assert "ValueError" in caplog.text
    assert "canary" not in caplog.text


def test_a_record_of_which_nobody_knows_where_it_is_and_that_cannot_be_sent_again_is_no_receipt():
    done = []
    way = Way("0" * 26, 1, 0)
    way.done, way.repeat = done.append, lambda _way, _record: False

    way.report(KafkaRecord("erp.raw.duett", b"k", b"v", []), None, Message(offset=OFFSET_INVALID))

    assert done == [way]
    assert way.error is UNPLACED


def test_a_redacted_field_is_counted_once_per_callback():
    counts = Counts()
    meta = RawMeta(delivery_id="", received_us=0, redacted=("clientKey", "other"))
    record = RawRecord(EntityKey.of("duett", "acme", "customer", "1"), b"", meta)
    for taken in ([record], [record, record], []):
        counts.taken("duett", taken, frozenset({"clientKey"}))

    assert counts.redacted == {"clientKey": 2}
    assert counts.records == {"duett": 3}
    assert counts.empty == {"duett": 1}
