"""The application by itself, called as a server calls it; no socket, no Kafka."""

import asyncio
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rig import NOBODY, build, signed

from connector.runtime.ingress import Ingress

Scope = MutableMapping[str, Any]
STATUSES = {202, 401, 404, 405, 413, 415, 429, 503}


def scope(path: bytes = b"/hooks/visma-net/v1", method: str = "POST", **headers: str) -> Scope:
    return {
        "type": "http",
        "method": method,
        "raw_path": path,
        "path": path.decode("latin-1"),
        "headers": [
            (name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()
        ],
        "client": ("192.0.2.1", 4711),
    }


def ask(asked: Scope, *pieces: bytes, gone: bool = False, **limits: Any) -> tuple[list[Any], int, Ingress]:
    """Call the application; give what it sent, how often it asked for the body, and itself."""

    async def whole() -> tuple[list[Any], int, Ingress]:
        ingress = build(NOBODY, **limits)
        await ingress.producer.start()
        sent, reads = await answered(ingress, asked, *pieces, gone=gone)
        await ingress.producer.stop(0)
        return sent, reads, ingress

    return uvloop.run(whole())


async def answered(
    ingress: Ingress, asked: Scope, *pieces: bytes, gone: bool = False
) -> tuple[list[Any], int]:
    """Call an application that runs; give what it sent, and how often it asked for the body."""
    sent, events = [], [{"type": "http.request", "body": one, "more_body": True} for one in pieces]
    if events and not gone:
        events[-1]["more_body"] = False
    reads = 0

    async def receive() -> Any:
        nonlocal reads
        reads += 1
        await asyncio.sleep(0)
        return events.pop(0) if events else {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        await asyncio.sleep(0)
        sent.append(event)

    await ingress(asked, receive, send)
    assert ingress.counts.in_flight == 0
    assert ingress.counts.reading == 0
    return sent, reads


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (scope(method="GET"), 405),
        (scope(content_length="1048577"), 413),
        (scope(content_encoding="gzip"), 415),
        (scope(content_type="multipart/form-data"), 415),
    ],
)
def test_what_the_head_gives_away_is_refused_without_reading_the_body(asked: Scope, status: int):
    sent, reads, _ = ask(asked, b"[]")

    assert sent[0]["status"] == status
    assert reads == 0


def test_a_body_in_pieces_is_cut_off_where_it_exceeds_the_limit():
    sent, reads, _ = ask(scope(), *[b"x" * 1000] * 10, max_body_bytes=2048)

    assert sent[0]["status"] == 413
    assert reads == 3


def test_a_sender_that_goes_away_gets_no_answer_and_leaves_nothing_behind():
    for pieces in ([], [b"["], [b"[", b" "]):
        sent, _, ingress = ask(scope(), *pieces, gone=True)

        assert sent == []
        assert ingress.counts.requests == {}


def test_an_unknown_endpoint_costs_the_same_reading_as_a_known_one():
    known = ask(scope(), b"[", b"]")
    unknown = ask(scope(b"/hooks/visma-net/other"), b"[", b"]")

    assert known[0][0]["status"] == 401
    assert unknown[0][0]["status"] == 404
    assert known[1] == unknown[1] == 2


def test_a_body_in_pieces_is_authenticated_as_a_whole():
    sent, _, ingress = ask(scope(**signed(b"[  ]")), b"[ ", b" ", b"]")

    assert sent[0]["status"] == 202
    assert ingress.counts.requests == {("visma-net", "202"): 1}
    assert list(ingress.counts.secrets.values()) == [1]


@pytest.fixture(scope="module")
def standing() -> Iterator[tuple[Ingress, asyncio.Runner]]:
    """One application for all examples, which refuses nobody for being one too many; and its loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ingress = build(NOBODY, unverified_rate=1e6)
        runner.run(ingress.producer.start())
        yield ingress, runner
        runner.run(ingress.producer.stop(0))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    path=st.one_of(
        st.binary(max_size=40),
        st.lists(
            st.sampled_from(
                [b"", b"hooks", b"visma-net", b"v1", b"duett", b"d1", b"%2F", b"%", b"..", b"\xff"]
            ),
            max_size=7,
        ).map(b"/".join),
    ),
    headers=st.dictionaries(
        st.sampled_from(
            ["authorization", "x-vwd-signature-v1", "content-type", "content-encoding", "traceparent"]
        ),
        st.text(st.characters(max_codepoint=255), max_size=40),
    ),
    pieces=st.lists(st.binary(max_size=40), min_size=1, max_size=3),
    method=st.sampled_from(["POST", "GET", "HEAD", "BREW"]),
)
def test_whatever_comes_the_answer_is_one_of_the_list(standing, path, headers, pieces, method):
    ingress, runner = standing
    sent, _ = runner.run(answered(ingress, scope(path, method, **headers), *pieces))

    assert sent[0]["status"] in STATUSES
    assert len(sent[1]["body"]) == int(dict(sent[0]["headers"])[b"content-length"])
    assert ingress.counts.unacked["bug"] == 0
