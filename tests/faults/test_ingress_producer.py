"""A 2xx means durable: the door against brokers that are slow, refuse, vanish and come back."""

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from mock import INIT_PRODUCER_ID, PRODUCE, MockKafka
from rig import NOBODY, PARTITIONS, Rig, build, notice, play, request, running, signed, topics, until

from connector.runtime.producer import ProducerFailed

pytestmark = pytest.mark.mock

NOT_LEADER, MESSAGE_TOO_LARGE, NOT_ENOUGH_REPLICAS = 6, 10, 19
TOPIC_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED = 29, 31
RAW, QUARANTINE = "erp.raw.visma-net", "erp.quarantine"
DUETT = {"authorization": "a test's own secret, long enough"}
SLOW_S = 30
"""Ends a wait that a slow, busy machine may need; nothing passes only because it came sooner."""
PATIENT = {"ack_timeout_ms": 30_000, "request_timeout_s": 40.0}
"""Deadlines so late that an answer at once is told from one at the deadline on any machine."""


def scene(story: Callable[[Rig, MockKafka], Coroutine[None, None, None]], *, brokers: int = 1, **limits):
    """Run a story against an ingress that is ready and a mock cluster with all its topics."""

    async def whole():
        with MockKafka(brokers) as kafka:
            for name in topics():
                kafka.topic(name, PARTITIONS)
                for partition in range(PARTITIONS):  # else chance decides, and a broker may lead none
                    kafka("partition_set_leader", name, partition, 1 + partition % brokers)
            async with running(build(kafka.bootstrap, **limits)) as rig:
                await rig.ready(SLOW_S)
                await story(rig, kafka)
                await until(lambda: rig.ingress.counts.in_flight == 0, SLOW_S)

    play(whole)


async def accepted_again(rig: Rig, body: bytes) -> None:
    """Send a body until it is accepted."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + SLOW_S
    while (await rig.post(body)).status != 202:
        assert loop.time() < until_s
        await asyncio.sleep(0.1)


def resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


def stored(kafka: MockKafka, topic: str) -> list[tuple[bytes, bytes, dict[str, bytes]]]:
    """Key, value and headers of every record of a topic."""
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": "test", "enable.partition.eof": True}
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    found, ends = [], 0
    while ends < PARTITIONS:
        one = consumer.poll(SLOW_S)
        assert one is not None
        if one.error():
            ends += 1
        else:
            found.append((one.key(), one.value(), dict(one.headers())))
    consumer.close()
    return found


def test_a_202_comes_only_after_the_brokers_confirmation():
    async def story(rig: Rig, kafka: MockKafka):
        kafka("broker_set_rtt", 1, 300)
        began = time.monotonic()
        reply = await rig.post(notice(1))
        took = time.monotonic() - began

        assert reply.status == 202
        assert reply.json["accepted"] == 1
        assert took >= 0.3
        kafka("broker_set_rtt", 1, 0)
        ((key, value, headers),) = stored(kafka, RAW)
        assert key == b"visma-net/acme/customer/1"
        assert value == notice(1)
        assert reply.json["id"].encode() in headers["meta"]

    scene(story)


def test_a_record_told_as_delivered_without_an_offset_is_sent_again_before_the_202():
    """Refused by the broker, and taken for delivered because a later one of its partition was."""

    async def story(rig: Rig, kafka: MockKafka):
        first, second = notice(1), notice(1).replace(b"changed", b"created")
        kafka.fail(PRODUCE, NOT_LEADER, 0)
        reply = await rig.post(b"[" + first + b"," + second + b"]")

        assert (reply.status, reply.json["accepted"]) == (202, 2)
        (_, earlier, _), (_, later, headers) = stored(kafka, RAW)
        assert (earlier, later) == (second, first)
        assert reply.json["id"].encode() in headers["meta"]

    one_by_one = {"batch.num.messages": "1"}  # two requests, the second behind the first without waiting
    scene(story, kafka=one_by_one, **PATIENT)


def test_every_event_of_an_array_is_a_record_with_its_exact_bytes():
    async def story(rig: Rig, kafka: MockKafka):
        body = b"[" + b" ,\n".join(notice(number) for number in range(7)) + b"]"
        reply = await rig.post(body)

        assert (reply.status, reply.json["accepted"]) == (202, 7)
        assert sorted(value for _, value, _ in stored(kafka, RAW)) == sorted(
            notice(number) for number in range(7)
        )

    scene(story)


def test_too_few_replicas_are_answered_with_503_in_time_and_work_goes_on_afterwards():
    async def story(rig: Rig, kafka: MockKafka):
        kafka.fail(PRODUCE, *[NOT_ENOUGH_REPLICAS] * 1000)
        began = time.monotonic()
        reply = await rig.post(notice(1))

        assert reply.status == 503
        assert reply.headers["retry-after"] == "5"
        assert time.monotonic() - began < SLOW_S  # the brokers say no for longer
        assert rig.ingress.counts.records["visma-net"] == 0
        kafka("clear_request_errors", PRODUCE)
        await accepted_again(rig, notice(1))

    scene(story, ack_timeout_ms=1000)


def test_an_array_of_which_one_record_fails_is_503_as_a_whole_and_a_repeat_stores_all_of_it():
    async def story(rig: Rig, kafka: MockKafka):
        body = b"[" + b",".join(notice(number) for number in range(40)) + b"]"
        kafka.fail(PRODUCE, MESSAGE_TOO_LARGE)  # one of the partitions only
        reply = await rig.post(body)

        assert reply.status == 503
        assert rig.ingress.counts.unacked["refused"] == 1
        assert 0 < len(stored(kafka, RAW)) < 40
        assert (await rig.post(body)).status == 202
        assert {value for _, value, _ in stored(kafka, RAW)} == {notice(number) for number in range(40)}

    scene(story)


def test_an_array_waits_for_its_slowest_record():
    async def story(rig: Rig, kafka: MockKafka):
        kafka("broker_set_rtt", 2, 400)
        began = time.monotonic()
        reply = await rig.post(b"[" + b",".join(notice(number) for number in range(40)) + b"]")

        assert (reply.status, reply.json["accepted"]) == (202, 40)
        assert time.monotonic() - began >= 0.4

    scene(story, brokers=3)


@pytest.mark.timeout(90)
def test_a_broker_that_hangs_is_answered_for_at_the_deadline_and_forgiven_afterwards():
    async def story(rig: Rig, kafka: MockKafka):
        kafka("broker_set_rtt", 1, 20_000)
        began = time.monotonic()

        assert (await rig.post(notice(1))).status == 503
        assert 0.9 < time.monotonic() - began < 10
        assert rig.ingress.counts.unacked["ack_timeout"] == 1
        kafka("broker_set_rtt", 1, 0)
        await accepted_again(rig, notice(2))
        assert rig.ingress.producer.broken is None

    scene(story, ack_timeout_ms=1000)


def test_a_topic_that_refuses_us_is_503_at_once():
    async def story(rig: Rig, kafka: MockKafka):
        kafka.fail(PRODUCE, TOPIC_AUTHORIZATION_FAILED)
        began = time.monotonic()

        assert (await rig.post(notice(1))).status == 503
        assert time.monotonic() - began < PATIENT["ack_timeout_ms"] / 2000
        assert rig.ingress.counts.unacked["refused"] == 1

    scene(story, **PATIENT)


def test_a_topic_that_may_not_be_seen_is_a_reason_not_to_be_ready():
    async def whole():
        with MockKafka(1) as kafka:
            for name in topics():
                kafka.topic(name, PARTITIONS)
            kafka("topic_set_error", RAW, TOPIC_AUTHORIZATION_FAILED)
            async with running(build(kafka.bootstrap)) as rig:
                await until(
                    lambda: rig.ingress.ready()[1] == [f"topic {RAW}: TOPIC_AUTHORIZATION_FAILED"],
                    SLOW_S,
                    rig.ingress.ready,
                )

    play(whole)


@pytest.mark.timeout(90)
def test_a_dead_broker_means_503_within_the_deadline_not_ready_and_a_quick_return():
    async def story(rig: Rig, kafka: MockKafka):
        unacked = rig.ingress.counts.unacked
        kafka("broker_set_down", 1)
        began = time.monotonic()
        waits, statuses = [], set()
        while not unacked["unreachable"]:  # refused without asking Kafka: it is known that nobody answers
            assert time.monotonic() - began < SLOW_S
            sent = time.monotonic()
            reply = await rig.post(notice(1))
            waits.append(time.monotonic() - sent)
            statuses.add(reply.status)
            await asyncio.sleep(0.2)

        assert statuses == {503}
        assert unacked["ack_timeout"] > 0
        assert max(waits) < 10  # 5 s are promised
        await until(lambda: not rig.ingress.ready()[0], SLOW_S)
        assert rig.ingress.alive()[0]
        kafka("broker_set_up", 1)
        await accepted_again(rig, notice(2))
        await rig.ready(SLOW_S)

    scene(story)


@pytest.mark.timeout(90)
def test_a_request_in_flight_when_the_broker_dies_is_stored_and_confirmed_when_it_is_back_in_time():
    async def story(rig: Rig, kafka: MockKafka):
        kafka("broker_set_down", 1)
        asked = asyncio.create_task(rig.post(notice(1)))
        await asyncio.sleep(1)
        assert not asked.done()
        kafka("broker_set_up", 1)

        assert (await asked).status == 202
        assert len(stored(kafka, RAW)) == 1

    scene(story, **PATIENT)


@pytest.mark.timeout(120)
def test_an_outage_under_load_keeps_memory_and_answers_bounded():
    async def story(rig: Rig, kafka: MockKafka):
        filler = b" " * 20_000
        statuses: dict[int, int] = {}
        slowest = 0.0
        over = False
        unacked = rig.ingress.counts.unacked

        async def caller(number: int):
            nonlocal slowest
            line = await rig.dial()
            while not over:
                body = notice(number)[:-1] + filler + b"}"
                began = time.monotonic()
                reply = await rig.post(body, line=line)
                slowest = max(slowest, time.monotonic() - began)
                statuses[reply.status] = statuses.get(reply.status, 0) + 1
                await asyncio.sleep(0.02)

        # Ten bodies of 20 KB at a time fit into the queue of 1 MiB, a hundred do not.
        callers = [asyncio.create_task(caller(number)) for number in range(10)]
        await until(lambda: sum(statuses.values()) >= 50, SLOW_S)
        assert statuses.keys() == {202}
        gc.collect()
        before = resident_kb()
        kafka("broker_set_down", 1)
        callers += [asyncio.create_task(caller(number)) for number in range(10, 100)]
        await until(lambda: unacked["queue_full"] > 0 and unacked["unreachable"] > 0, SLOW_S)
        grown_kb = resident_kb() - before
        kafka("broker_set_up", 1)
        back = statuses.get(202, 0)
        await until(lambda: statuses.get(202, 0) > back, SLOW_S)
        over = True
        await asyncio.gather(*callers)

        assert slowest < 10  # 5 s are promised
        assert grown_kb < 64 * 1024

    scene(story, queue_kbytes=1024, head_timeout_s=60, body_timeout_s=60)


def test_a_full_queue_is_503_at_once():
    async def story(rig: Rig, kafka: MockKafka):
        kafka("broker_set_rtt", 1, 6000)
        big = notice(1)[:-1] + b" " * 900_000 + b"}"
        waiting = [asyncio.create_task(rig.post(big)) for _ in range(2)]
        await until(lambda: len(rig.ingress.producer._open) == 2, SLOW_S)  # noqa: SLF001  what fills the queue
        reply = await rig.post(big)

        assert reply.status == 503
        assert rig.ingress.counts.unacked["queue_full"] == 1
        assert not any(one.done() for one in waiting)
        assert [(await one).status for one in waiting] == [202, 202]

    scene(story, queue_kbytes=2048, **PATIENT)


def test_unreadable_bytes_are_accepted_and_stand_redacted_in_quarantine():
    async def story(rig: Rig, kafka: MockKafka):
        body = (
            b'{"subscription": "Voucher", "clientKey": "canary-1", "data": "{\\"ftpPassword\\":\\"canary-2\\"'
        )
        reply = await rig.post(body, path="/hooks/duett/d1", headers=DUETT)

        assert reply.status == 202
        assert reply.json == {"id": reply.json["id"], "accepted": 0, "quarantined": 1}
        ((key, value, headers),) = stored(kafka, QUARANTINE)
        assert key == b"duett/d1"
        assert headers["reason"] == b"unreadable"
        assert value.startswith(b'{"subscription": "Voucher", "clientKey": "***", "data": "{')
        assert b"canary" not in value + b"".join(headers.values())
        assert rig.ingress.counts.quarantined == {("duett", "unreadable"): 1}
        assert rig.ingress.counts.redacted["clientKey"] == 1

    scene(story)


def test_the_202_of_a_quarantined_body_waits_for_kafka_too():
    async def story(rig: Rig, kafka: MockKafka):
        kafka.fail(PRODUCE, *[NOT_ENOUGH_REPLICAS] * 1000)

        assert (await rig.post(b"{")).status == 503

    scene(story, ack_timeout_ms=500)


def test_a_body_with_more_events_than_allowed_goes_to_quarantine_as_a_whole():
    async def story(rig: Rig, kafka: MockKafka):
        reply = await rig.post(b"[" + b",".join(notice(number) for number in range(11)) + b"]")

        assert reply.json == {"id": reply.json["id"], "accepted": 0, "quarantined": 1}
        ((_, _, headers),) = stored(kafka, QUARANTINE)
        assert headers["reason"] == b"limits"
        assert stored(kafka, RAW) == []

    scene(story, max_records=10)


def test_a_wrong_signature_produces_nothing():
    async def story(rig: Rig, kafka: MockKafka):
        kafka("start_request_tracking")
        for headers in ({}, signed(notice(2)), {"x-vwd-signature-v1": ""}):
            assert (await rig.post(notice(1), headers=headers)).status == 401
        await asyncio.sleep(0.1)

        assert kafka.requests(PRODUCE) == 0

    scene(story)


def test_an_endpoint_that_is_slowed_down_produces_nothing():
    async def story(rig: Rig, kafka: MockKafka):
        replies = [await rig.post(notice(number)) for number in range(10)]
        accepted = [reply for reply in replies if reply.status == 202]

        assert {reply.status for reply in replies} == {202, 429}
        assert len(stored(kafka, RAW)) == len(accepted)

    scene(story, rate_per_endpoint=0.1)


def test_a_body_close_to_the_limit_is_stored():
    async def story(rig: Rig, _: MockKafka):
        body = notice(1)[:-1] + b" " * (1_048_576 - len(notice(1))) + b"}"

        assert len(body) == 1_048_576
        assert (await rig.post(body)).status == 202
        assert (await rig.post(body + b" ")).status == 413

    scene(story)


def test_it_is_ready_only_with_a_producer_id_and_all_topics():
    async def whole():
        with MockKafka(1) as kafka:
            for name in topics()[1:]:
                kafka.topic(name, PARTITIONS)
            kafka.fail(INIT_PRODUCER_ID, *[15] * 1000)  # COORDINATOR_NOT_AVAILABLE, as a cluster that starts
            async with running(build(kafka.bootstrap)) as rig:
                ingress = rig.ingress

                def told(word: str) -> bool:
                    return any(word in why for why in ingress.ready()[1])

                await until(lambda: told(f"{topics()[0]} is missing"), SLOW_S, ingress.ready)
                assert told("producer id")
                kafka("clear_request_errors", INIT_PRODUCER_ID)
                await until(lambda: len(ingress.ready()[1]) == 1, SLOW_S, ingress.ready)
                assert told(f"{topics()[0]} is missing")
                kafka.topic(topics()[0], PARTITIONS - 1)
                await until(lambda: told(f"has {PARTITIONS - 1} partitions"), SLOW_S, ingress.ready)
                assert not ingress.ready()[0]

    play(whole)


def test_it_is_ready_soon_after_the_start():
    """Half a second, and up to two are meant; the rest is for busy machines."""

    async def whole():
        with MockKafka(1) as kafka:
            for name in topics():
                kafka.topic(name, PARTITIONS)
            async with running(build(kafka.bootstrap)) as rig:
                await rig.ready(10)

    play(whole)


def test_an_idle_door_stays_ready():
    async def story(rig: Rig, _: MockKafka):
        until_s = time.monotonic() + 7  # a sign of life is good for 5 s
        while time.monotonic() < until_s:
            assert rig.ingress.ready() == (True, [])
            await asyncio.sleep(0.5)

    scene(story)


def test_a_producer_that_ended_for_good_ends_the_process_with_one_line():
    by_itself = False

    async def whole():
        nonlocal by_itself
        with MockKafka(1) as kafka:
            for name in topics():
                kafka.topic(name, PARTITIONS)
            kafka.fail(INIT_PRODUCER_ID, CLUSTER_AUTHORIZATION_FAILED)
            async with running(build(kafka.bootstrap, drain_delay_s=2 * SLOW_S)) as rig:
                done, _ = await asyncio.wait({rig.serving}, timeout=SLOW_S)
                by_itself = bool(done)
                rig.serving.cancel()

    with pytest.raises(ProducerFailed, match="CLUSTER_AUTHORIZATION_FAILED") as failed:
        play(whole)
    assert by_itself
    assert "\n" not in str(failed.value)


def test_draining_it_is_not_ready_answers_with_close_and_finishes_what_is_on_its_way():
    async def story(rig: Rig, kafka: MockKafka):
        kafka("broker_set_rtt", 1, 4000)
        idle, busy = await rig.dial(), await rig.dial()
        await rig.post(b"[]", line=idle)
        rig.stop.set()
        await until(lambda: rig.ingress.ready()[1] == ["draining"], SLOW_S)

        reply = await rig.post(b"[]", line=idle)
        assert reply.status == 202
        assert reply.headers["connection"] == "close"
        busy.send(request(notice(1), headers=signed(notice(1))))  # confirmed after the drain delay of 3 s
        assert (await busy.reply()).status == 202
        await rig.serving
        kafka("broker_set_rtt", 1, 0)
        assert len(stored(kafka, RAW)) == 1

    scene(story, drain_delay_s=3.0, drain_timeout_s=30.0, **PATIENT)


def test_without_any_broker_the_end_comes_in_time():
    async def whole():
        async with running(build(NOBODY, ack_timeout_ms=1000, drain_timeout_s=30.0)) as rig:
            asked = [asyncio.create_task(rig.post(notice(number))) for number in range(5)]
            await until(lambda: rig.ingress.counts.in_flight == 5, SLOW_S)
            rig.stop.set()
            began = time.monotonic()
            assert {reply.status for reply in await asyncio.gather(*asked)} == {503}
            await rig.serving
            assert time.monotonic() - began < 15  # it waits for answers, not for the end of its time

    play(whole)
