"""The door without Kafka: what is refused, in which words, and what becomes of the connection."""

import asyncio
import gzip
import http.client
import json
import logging
from collections.abc import Iterator

import msgspec
import pytest
from rig import (
    HOOK,
    NOBODY,
    SECRET,
    TOKEN,
    Rig,
    build,
    chunked,
    notice,
    play,
    request,
    running,
    signed,
    until,
)

from connector.core.source import Part
from connector.model import Callback
from connector.sources import SOURCES

pytestmark = pytest.mark.mock
EMPTY = b"[]"
SLOW_S = 30
"""Ends a wait that a slow, busy machine may need; nothing passes only because it came sooner."""


def scene(story, **limits):
    """Run a story against an ingress without Kafka; nothing may be left in flight."""

    async def whole():
        async with running(build(NOBODY, **limits)) as rig:
            # It would find out after 5 s that nobody is there, and answer everything with 503.
            rig.ingress.producer.lookout.stop()
            await story(rig)
            await until(lambda: rig.ingress.counts.in_flight == 0, SLOW_S)

    play(whole)


def test_an_empty_array_is_accepted_and_stored_nowhere():
    async def story(rig: Rig):
        reply = await rig.post(EMPTY)

        assert reply.status == 202
        assert reply.json == {"id": reply.json["id"], "accepted": 0}
        assert len(reply.json["id"]) == 26
        assert rig.ingress.counts.empty == {"visma-net": 1}

    scene(story)


def test_every_refusal_is_json_with_a_code_and_a_remedy():
    async def story(rig: Rig):
        for reply, status, code in (
            (await rig.post(EMPTY, headers={}), 401, "not_authentic"),
            (await rig.post(EMPTY, path="/hooks/visma-net/other"), 404, "unknown_endpoint"),
            (await rig.post(EMPTY, path="/hooks/nobody/v1"), 404, "unknown_endpoint"),
            (await rig.post(EMPTY, path="/"), 404, "unknown_endpoint"),
            (await rig.post(EMPTY, path="/hooks/visma-net"), 404, "unknown_endpoint"),
            (await rig.post(EMPTY, path="/metrics"), 404, "unknown_endpoint"),
            (await rig.post(EMPTY, headers={"content-type": "multipart/form-data"}), 415, "not_json"),
        ):
            assert reply.status == status
            assert reply.headers["content-type"] == "application/json"
            assert reply.json["error"] == code
            assert reply.json["detail"]

    scene(story)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_another_method_is_told_which_one_is_allowed(method: str):
    async def story(rig: Rig):
        line = await rig.dial()
        line.send(request(b"", method=method))
        head = (await line.reader.readuntil(b"\r\n\r\n")).lower()

        assert head.startswith(b"http/1.1 405 ")
        assert b"allow: post\r\n" in head
        line.hang_up()

    scene(story)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-encoding": "gzip"},
        {"content-encoding": "br"},
        {"content-encoding": "deflate, gzip"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "image/png"},
        {"Content-Type": "Application/PDF"},
    ],
)
def test_encoded_bodies_and_types_that_are_clearly_not_json_are_refused(headers: dict[str, str]):
    async def story(rig: Rig):
        body = gzip.compress(EMPTY)
        reply = await rig.post(body, headers=headers | signed(body))

        assert reply.status == 415

    scene(story)


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8", "what/ever"],
)
def test_an_odd_content_type_is_accepted(kind: str):
    async def story(rig: Rig):
        reply = await rig.post(
            EMPTY, headers=signed(EMPTY) | {"content-type": kind, "content-encoding": "identity"}
        )

        assert reply.status == 202

    scene(story)


def test_a_wrong_proof_is_answered_with_a_constant_401_and_the_connection_is_closed():
    async def story(rig: Rig):
        replies = []
        for headers in ({}, {"x-vwd-signature-v1": "AAAA"}, signed(b"{}"), {"x-vwd-signature-v1": "\xff"}):
            line = await rig.dial()
            replies.append(await rig.post(EMPTY, headers=headers, line=line))
            assert await line.closed()

        assert {reply.status for reply in replies} == {401}
        assert len({reply.body for reply in replies}) == 1
        assert all(reply.headers["connection"] == "close" for reply in replies)

    scene(story)


def test_a_credential_header_that_comes_twice_proves_nothing():
    async def story(rig: Rig):
        good = signed(EMPTY)["x-vwd-signature-v1"]
        for twice in ((good, good), (good, "AAAA"), ("AAAA", good)):
            line = await rig.dial()
            head = b"".join(b"x-vwd-signature-v1: %b\r\n" % one.encode() for one in twice)
            line.send(b"POST %b HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n%b\r\n[]" % (HOOK.encode(), head))

            assert (await line.reply()).status == 401

    scene(story)


def test_the_url_token_is_taken_from_the_path_and_the_query_string_is_ignored():
    async def story(rig: Rig):
        hook = "/hooks/quickfile/q1"
        for path, status in (
            (f"{hook}/{TOKEN}", 202),
            (f"{hook}/{TOKEN}?x=1&token=2", 202),
            (f"{hook}/%30{TOKEN[1:]}", 202),
            (f"{hook}/{TOKEN}x", 401),
            (f"{hook}/", 401),
            (hook, 401),
            (f"{hook}?{TOKEN}", 401),
            (f"{hook}/{TOKEN}/more", 404),
            (f"/hooks/quickfile%2Fq1/{TOKEN}", 404),
        ):
            assert (await rig.post(b"{}", path=path, headers={})).status == status, path

    scene(story)


def test_no_secret_and_no_path_ever_reaches_the_log(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)

    async def story(rig: Rig):
        await rig.post(b"{}", path=f"/hooks/quickfile/q1/{TOKEN}?query=canary", headers={})
        await rig.post(EMPTY, path="/hooks/quickfile/q1/canary-token", headers={})
        await rig.post(b"canary-body", headers={"authorization": SECRET.decode()})

    scene(story)

    assert "canary" not in caplog.text
    assert TOKEN not in caplog.text
    assert SECRET.decode() not in caplog.text


def test_a_body_that_is_declared_too_long_is_refused_before_it_is_read():
    async def story(rig: Rig):
        line = await rig.dial()
        line.send(b"POST %b HTTP/1.1\r\nHost: t\r\nContent-Length: 2097152\r\n\r\n" % HOOK.encode())
        reply = await line.reply()  # at the body's deadline there would be none

        assert reply.status == 413
        assert reply.headers["connection"] == "close"
        assert await line.closed()

    scene(story)


def test_a_sender_that_sends_everything_first_reads_its_413_instead_of_a_reset():
    async def story(rig: Rig):
        def ask() -> int:
            calling = http.client.HTTPConnection("127.0.0.1", rig.ingress.settings.port, timeout=SLOW_S)
            calling.request("POST", HOOK, b"x" * 3_500_000)
            return calling.getresponse().status

        for _ in range(5):
            assert await asyncio.to_thread(ask) == 413

    scene(story)


def test_a_chunked_body_is_counted_while_it_is_read():
    async def story(rig: Rig):
        line = await rig.dial()
        line.send(chunked(*[b"x" * 65_536] * 17))
        reply = await line.reply()  # as above

        assert reply.status == 413
        assert await line.closed()
        assert rig.ingress.counts.reading == 0

    scene(story)


def test_a_body_in_many_pieces_is_the_same_body():
    async def story(rig: Rig):
        body = b"[" + b" " * 200_000 + b"]"
        line = await rig.dial()
        line.send(chunked(*(body[at : at + 7001] for at in range(0, len(body), 7001)), headers=signed(body)))
        line.send(b"0\r\n\r\n")

        assert (await line.reply()).status == 202
        assert rig.ingress.counts.reading == 0

    scene(story)


def test_a_stalled_body_is_cut_off_at_its_deadline():
    async def story(rig: Rig):
        line = await rig.dial()
        line.send(b"POST %b HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n[" % HOOK.encode())
        began = asyncio.get_running_loop().time()

        assert await line.closed(SLOW_S)
        assert asyncio.get_running_loop().time() - began > 0.25
        assert rig.ingress.counts.late["body"] == 1

    scene(story, body_timeout_s=0.3)


def test_a_body_that_drips_does_not_move_its_deadline():
    async def story(rig: Rig):
        line = await rig.dial()
        line.send(b"POST %b HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n" % HOOK.encode())

        async def drip():
            while not line.writer.is_closing():
                line.send(b" ")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await line.closed(SLOW_S)
        dripping.cancel()
        assert rig.ingress.counts.late["body"] == 1

    scene(story, body_timeout_s=0.3)


@pytest.mark.parametrize("start", [b"", b"POST /hooks/", b"\r\n\r\n", b"POST / HTTP/1.1\r\nHost: x\r\nA: "])
def test_an_unfinished_head_is_cut_off_at_its_deadline(start: bytes):
    async def story(rig: Rig):
        line = await rig.dial()
        line.send(start)

        assert await line.closed(SLOW_S)
        assert rig.ingress.counts.late["head"] == 1

    scene(story, head_timeout_s=0.3)


def test_the_second_head_of_a_connection_has_a_deadline_too():
    async def story(rig: Rig):
        for start in (b"POST /hooks", b"\r\n"):
            line = await rig.dial()
            assert (await rig.post(EMPTY, line=line)).status == 202
            await asyncio.sleep(2.2)
            assert (await rig.post(EMPTY, line=line)).status == 202  # idle is no unfinished head
            line.send(start)

            assert await line.closed(SLOW_S), start

    scene(story, head_timeout_s=2)


def test_an_idle_connection_is_closed_after_keep_alive():
    async def story(rig: Rig):
        line = await rig.dial()
        await rig.post(EMPTY, line=line)

        assert await line.closed(SLOW_S)

    scene(story, keep_alive_s=1, head_timeout_s=60)


@pytest.mark.parametrize("pieces", [1, 20])
def test_a_head_over_its_limit_is_refused(pieces: int):
    async def story(rig: Rig):
        head = b"POST %b HTTP/1.1\r\nHost: t\r\nX-Long: %b\r\nContent-Length: 2\r\n\r\n[]" % (
            HOOK.encode(),
            b"x" * 17_000,
        )
        line = await rig.dial()
        size = -(-len(head) // pieces)
        for at in range(0, len(head), size):
            line.send(head[at : at + size])
            await asyncio.sleep(0.005)
        reply = await line.reply()

        assert reply.status == 431
        assert reply.json["error"] == "head_too_long"
        assert await line.closed()

    scene(story)


def test_a_head_without_end_is_cut_off():
    async def story(rig: Rig):
        line = await rig.dial()
        line.send(b"POST / HTTP/1.1\r\nX-Long: ")
        for _ in range(100):
            line.send(b"x" * 1000)
            await asyncio.sleep(0)

        assert (await line.reply()).status == 431

    scene(story)


def test_too_many_headers_are_refused():
    async def story(rig: Rig):
        for count, status in ((60, 202), (65, 431)):
            headers = {f"x-{number}": "1" for number in range(count)}
            line = await rig.dial()

            assert (await rig.post(EMPTY, headers=headers | signed(EMPTY), line=line)).status == status

    scene(story)


def test_a_long_body_in_the_same_packet_does_not_count_as_head():
    async def story(rig: Rig):
        body = b"[" + b" " * 60_000 + b"]"
        line = await rig.dial()
        for _ in range(5):
            assert (await rig.post(body, line=line)).status == 202

    scene(story)


def test_connections_over_the_cap_are_told_so_and_others_go_on():
    async def story(rig: Rig):
        lines = [await rig.dial() for _ in range(30)]
        for line in lines:
            assert (await rig.post(EMPTY, line=line)).status == 202
        extra = await rig.dial()
        reply = await extra.reply()
        extra.hang_up()

        assert reply.status == 503
        assert reply.headers["retry-after"] == "5"
        assert (await rig.post(EMPTY, line=lines[0])).status == 202
        assert rig.ingress.counts.unacked["connections"] == 1
        lines.pop().hang_up()
        loop = asyncio.get_running_loop()
        until_s = loop.time() + SLOW_S
        while (await rig.post(EMPTY)).status != 202:  # until the server has seen that one is gone
            assert loop.time() < until_s
            await asyncio.sleep(0.1)

    scene(story, max_connections=30)


def test_requests_over_the_cap_are_told_so_before_their_body_is_read():
    async def story(rig: Rig):
        stalled = [await rig.dial() for _ in range(3)]
        for line in stalled:
            line.send(b"POST %b HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n" % HOOK.encode())
        await until(lambda: rig.ingress.counts.in_flight == 3, SLOW_S)
        line = await rig.dial()
        reply = await rig.post(EMPTY, line=line)

        assert reply.status == 503
        assert reply.headers["retry-after"] == "5"
        for one in stalled:
            one.hang_up()
        await until(lambda: rig.ingress.counts.in_flight == 0, SLOW_S)
        assert (await rig.post(EMPTY, line=line)).status == 202

    scene(story, max_in_flight=3, body_timeout_s=60)


def test_bodies_being_read_cannot_fill_the_memory():
    async def story(rig: Rig):
        piece = b"x" * 60_000
        lines = [await rig.dial() for _ in range(17)]
        for line in lines:
            line.send(chunked(piece))
        await until(lambda: rig.ingress.counts.reading == 17 * len(piece), SLOW_S)
        line = await rig.dial()
        line.send(chunked(piece, piece))

        assert (await line.reply()).status == 503
        assert rig.ingress.counts.unacked["memory"] == 1
        for one in lines:
            one.hang_up()

    scene(story, queue_kbytes=1024, body_timeout_s=60)


def test_an_authentic_flood_of_one_endpoint_is_slowed_down_and_does_not_touch_another():
    async def story(rig: Rig):
        line = await rig.dial()
        replies = [await rig.post(EMPTY, line=line) for _ in range(20)]
        refused = [reply for reply in replies if reply.status == 429]

        assert len(refused) >= 18  # one now, and one more after nine seconds
        assert replies[0].status == 202
        assert all(reply.headers["retry-after"] == "5" for reply in refused)
        assert (await rig.post(b"{}", path=f"/hooks/quickfile/q1/{TOKEN}", headers={})).status == 202

    scene(story, rate_per_endpoint=0.1)


def test_a_flood_that_proves_nothing_is_slowed_down_and_never_shuts_the_vendor_out():
    async def story(rig: Rig):
        junk = [(await rig.post(EMPTY, headers={})).status for _ in range(20)]
        unknown = [(await rig.post(EMPTY, path="/hooks/visma-net/x")).status for _ in range(5)]

        assert set(junk) == {401, 429}
        assert set(unknown) == {429}
        assert (await rig.post(EMPTY)).status == 202

    scene(story, unverified_rate=0.01)


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /hooks/visma-net/v1 HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]",
        b"POST /hooks/visma-net/v1 HTTP/1.1\r\nHost: t\r\nContent-Length : 2\r\n\r\n[]",
        b"POST /hooks/visma-net/v1 HTTP/1.1\r\nHost: t\r\nContent-Length: +2\r\n\r\n[]",
        b"POST /hooks/visma-net/v1 HTTP/1.1\r\nHost: t\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\n[]",
        b"POST /hooks/visma-net/v1 HTTP/1.1\nHost: t\nContent-Length: 2\n\n[]",
        b"POST /hooks/visma-net/v1 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /hooks/visma-net/v1 HTTP/1.1\r\nHost: t\r\nA: \x00\r\nContent-Length: 2\r\n\r\n[]",
        b"POST http://[ HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n[]",
        b"CONNECT t:80 HTTP/1.1\r\nHost: t\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_ambiguous_framing_and_other_protocols_are_refused_and_closed(head: bytes):
    async def story(rig: Rig):
        line = await rig.dial()
        line.send(head)
        reply = await line.reply()

        assert 400 <= reply.status < 500
        assert await line.closed()

    scene(story, head_timeout_s=0.5)


def test_a_request_to_upgrade_is_refused_in_clear_words():
    async def story(rig: Rig):
        line = await rig.dial()
        upgrade = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c"}
        reply = await rig.post(EMPTY, headers=signed(EMPTY) | upgrade, line=line)

        assert reply.status == 400
        assert "Upgrade" in reply.json["detail"]
        assert await line.closed()

    scene(story)


def test_a_sender_that_waits_for_100_continue_gets_it_and_then_one_answer():
    async def story(rig: Rig):
        line = await rig.dial()
        head = request(EMPTY, headers=signed(EMPTY) | {"expect": "100-continue"}).removesuffix(EMPTY)
        line.send(head)
        told = await line.reader.readuntil(b"\r\n\r\n")
        line.send(EMPTY)

        assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await line.reply()).status == 202

    scene(story)


def test_a_sender_that_waits_for_100_continue_is_refused_without_it_when_its_body_is_too_long():
    async def story(rig: Rig):
        line = await rig.dial()
        head = f"POST {HOOK} HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n"
        line.send(head.encode())

        assert (await line.reply()).status == 413

    scene(story)


def test_pipelined_requests_are_answered_in_order():
    async def story(rig: Rig):
        line = await rig.dial()
        line.send(request(EMPTY, headers=signed(EMPTY)), request(EMPTY), request(EMPTY))

        assert (await line.reply()).status == 202
        assert (await line.reply()).status == 401

    scene(story)


def test_a_hundred_thousand_small_chunks_do_not_stop_the_others():
    async def story(rig: Rig):
        loop = asyncio.get_running_loop()
        flood = await rig.dial()
        flood.send(chunked(*[b" "] * 100_000))
        waits = []
        for _ in range(20):
            began = loop.time()
            assert (await rig.post(EMPTY)).status == 202
            waits.append(loop.time() - began)

        assert max(waits) < 5  # measured 40 ms

    scene(story)


def test_a_bug_is_answered_with_503_and_told_without_a_word_of_the_body(caplog: pytest.LogCaptureFixture):
    def split(callback: Callback) -> Iterator[Part]:
        raise ValueError(callback.body.decode())

    async def story(rig: Rig):
        reply = await rig.post(notice(4711))

        assert reply.status == 503
        assert reply.headers["retry-after"] == "5"
        assert rig.ingress.counts.unacked["bug"] == 1

    broken = msgspec.structs.replace(SOURCES["visma-net"], split=split)
    scene(story, sources=SOURCES | {"visma-net": broken})

    assert "ValueError" in caplog.text
    assert "in split" in caplog.text
    assert "4711" not in caplog.text


def test_while_kafka_is_unreachable_callbacks_are_refused_at_once():
    async def story(rig: Rig):
        rig.ingress.producer.lookout.reachable = False
        reply = await rig.post(notice(1))

        assert reply.status == 503
        assert reply.headers["retry-after"] == "5"
        assert rig.ingress.counts.unacked["unreachable"] == 1

    scene(story)


def test_without_kafka_the_process_is_alive_but_not_ready():
    async def story(rig: Rig):
        ready, reasons = rig.ingress.ready()

        assert not ready
        assert any("producer id" in reason for reason in reasons)
        assert rig.ingress.alive() == (True, [])

    scene(story)


def test_a_loop_that_stands_still_is_not_alive():
    async def story(rig: Rig):
        rig.ingress.producer.ticked -= 6

        assert rig.ingress.alive()[0] is False

    scene(story)


def test_the_body_of_a_202_is_json_even_for_other_readers():
    async def story(rig: Rig):
        reply = await rig.post(EMPTY)

        assert json.loads(reply.body)["accepted"] == 0
        assert "server" not in reply.headers

    scene(story)
