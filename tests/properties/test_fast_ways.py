"""Every short cut of the ingress gives what the long way gives, for usual bodies and for broken ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import ODD, Mutations

from connector import flow
from connector.core import redact as redacting
from connector.core.authenticate import Endpoint, HeaderSecret, Secret, company_digest, vouch
from connector.core.flat import flat
from connector.core.privacy import Privacy
from connector.core.read import check, decode, duplicated
from connector.core.redact import redact
from connector.core.source import Part
from connector.entities import ENTITIES
from connector.errors import AmbiguousKeys, OverLimits, Unreadable
from connector.model import Callback, Quarantined, RawRecord
from connector.sources import SOURCES

DUETT = SOURCES["duett"]
COMPANY = "25508d90-7c58-49cd-8baf-7274a3a0420c"
ENDPOINT = Endpoint(
    source="duett",
    id="e1",
    tenant="acme",
    companies=frozenset({COMPANY, company_digest("other")}),
    schemes=(HeaderSecret("authorization", (Secret.of(b"a test's own secret, long enough", "test"),)),),
)
PRIVACY = Privacy(b"k" * 32, ENTITIES)
MEMBERS = {
    "integrationKey": "159c6b25-2627-4f27-8197-ee097835e2ef",
    "clientKey": COMPANY,
    "tag": "Our reference",
    "subscription": "Voucher",
    "event": "update",
    "eventTime": "2024-08-23T11:00:32.2216966Z",
    "data": '{"id":4220,"voucherNumber":967,"description":"Faktura \u00f8","contactInfo":{"email":"a@b.no"}}',
}


def slowly(callback: Callback) -> Iterator[Part]:
    """Cut as Duett's source does, but let nobody use what was read meanwhile."""
    for part in DUETT.split(callback):
        yield msgspec.structs.replace(part, read=None)


SLOW = msgspec.structs.replace(DUETT, split=slowly)


def both(body: bytes) -> tuple[list[RawRecord | Quarantined], list[RawRecord | Quarantined]]:
    """Receive a body by the short and by the long way."""
    authentic = vouch(Callback("duett", "e1", {}, body, 1_700_000_000_000_000, "0" * 26), ENDPOINT)
    short = flow.receive(authentic, DUETT, PRIVACY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redacting, "_usual", lambda *_, **__: None)
        return short, flow.receive(authentic, SLOW, PRIVACY)


def compact(members: dict[str, Any]) -> bytes:
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()


def broken(body: bytes, chance: Random) -> bytes:
    """Change a body in one to three places: bytes lost, doubled, put in, or of another case."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randint(0, len(body))
        piece = body[at : at + chance.choice((1, 1, 2, 8, 40))]
        rest = body[at + len(piece) :]
        middle = chance.choice(
            (
                b"",
                piece * 2,
                piece.swapcase(),
                piece
                + chance.choice((b" ", b"\\", b'"', b'\\"', b"\\u004b", b"\\/", b",", b"\xc3\xb8", b"\xff")),
                piece + b"," + compact({chance.choice([*MEMBERS]): "x"})[1:-1],
                piece + chance.choice(ODD),
                chance.choice(ODD),
            )
        )
        body = body[:at] + middle + rest
    return body


def test_a_usual_body_takes_the_short_way_and_is_received_alike() -> None:
    body = compact(MEMBERS)
    short, long = both(body)

    assert flat(body) is not None
    assert short == long
    (record,) = short
    assert isinstance(record, RawRecord)
    assert record.key.text == "duett/acme/voucher_line/4220"
    assert record.meta.redacted == ("integrationKey", "clientKey")
    assert COMPANY.encode() not in record.body


@pytest.mark.parametrize("inside", [False, True])
def test_a_name_with_a_hidden_letter_is_redacted_whichever_way_a_body_takes(*, inside: bool) -> None:
    body = compact(MEMBERS | {"data": '{"id":1,"ftpServer":"canary"}'})
    hidden = body.replace(b"ftpServer", rb"ftp\u0053erver" if inside else rb"ftp\\u0053erver")
    short, long = both(hidden)

    assert flat(hidden) is None
    assert short == long
    assert b"canary" not in short[0].body


@pytest.mark.parametrize("seed", range(4))
def test_a_broken_usual_body_is_received_alike(seed: int) -> None:
    chance = Random(seed)
    shorts = 0
    for _ in range(500):
        body = broken(compact(MEMBERS), chance)
        shorts += flat(body) is not None
        short, long = both(body)

        assert short == long, body
    assert 20 < shorts < 480


def test_mutations_of_the_golden_bodies_are_received_alike() -> None:
    shorts = 0
    for body, _ in islice(Mutations("duett", 7), 1000):
        try:
            written = compact(json.loads(body))
        except (ValueError, RecursionError):
            written = body
        for one in {body, written}:
            shorts += flat(one) is not None
            short, long = both(one)

            assert short == long, one
    assert shorts > 30


NAMES = st.sampled_from(
    [*MEMBERS, "clientkey", "Data", "ftpPassword", "subscriptionObject", "x", 'q"', "\u00f8"]
)
FREE = st.text(st.sampled_from('"\\{}[],:/\n \u00f8\U0001f600anu0'), max_size=8)
NUMBERS = st.integers() | st.integers(10**60, 10**70)
MODELS = st.dictionaries(
    st.sampled_from(["id", "Id", "ID", "clientKey", "ClientKey", "ftpServer", "name", "n\u00f8kkel"]),
    FREE
    | NUMBERS
    | st.none()
    | st.lists(FREE | NUMBERS, max_size=3)
    | st.dictionaries(NAMES, FREE, max_size=2),
    max_size=5,
)
CHANCE = st.randoms(use_true_random=False)
VALUES = FREE | st.sampled_from(["Voucher", "Customer", "delete", "update", COMPANY, COMPANY.upper(), "***"])
DATA = (
    MODELS.map(lambda model: json.dumps(model, separators=(",", ":"), ensure_ascii=False))
    | st.integers(0, 40).map(lambda levels: '{"id":' + "[" * levels + "]" * levels + "}")
    | st.integers(60, 70).map(lambda digits: '{"id":1,"n":' + "9" * digits + "}")
    | FREE
)


@settings(max_examples=200, deadline=None)
@given(
    members=st.dictionaries(NAMES, VALUES, max_size=6),
    data=DATA,
    usual=st.booleans(),
    ascii_only=st.booleans(),
)
def test_any_envelope_of_texts_is_received_alike(
    members: dict[str, str], data: str, *, usual: bool, ascii_only: bool
) -> None:
    envelope = {**(MEMBERS if usual else {}), **members, "data": data}
    body = json.dumps(envelope, separators=(",", ":"), ensure_ascii=ascii_only).encode()

    short, long = both(body)

    assert short == long


def quoted(text: str) -> str:
    escaped = text.replace('"', '\\"')
    return f'"{escaped}"'


def canonical(members: dict[str, str]) -> bytes:
    """Write an envelope of texts in the one form `flat` takes."""
    return ("{" + ",".join(f"{quoted(name)}:{quoted(text)}" for name, text in members.items()) + "}").encode()


@settings(max_examples=200, deadline=None)
@given(members=st.dictionaries(NAMES, VALUES | DATA, max_size=5), chance=CHANCE, whole=st.booleans())
def test_flat_takes_exactly_the_bodies_that_are_written_in_one_way(
    members: dict[str, str], chance: Random, *, whole: bool
) -> None:
    body = compact(members) if whole else broken(compact(members), chance)
    try:
        found = decode(body, "test")
        duplicated(body)
    except (Unreadable, AmbiguousKeys):
        found = None
    texts = isinstance(found, dict) and bool(found) and all(isinstance(one, str) for one in found.values())

    told = flat(body)

    assert (told is not None) == (texts and canonical(found) == body)
    if told is not None:
        assert list(told.members.items()) == list(found.items())


@settings(max_examples=200, deadline=None)
@given(DATA, st.dictionaries(NAMES, VALUES, max_size=3))
def test_a_text_inside_a_body_within_the_bounds_is_within_them_too(
    data: str, members: dict[str, str]
) -> None:
    body = compact({**members, "data": data})
    if flat(body) is None:
        return
    try:
        bounded = check(body)
    except OverLimits:
        return

    if bounded:
        for text in {**members, "data": data}.values():
            assert check(text.encode())


@settings(max_examples=200, deadline=None)
@given(members=st.dictionaries(NAMES, VALUES | DATA, max_size=6), chance=CHANCE, whole=st.booleans())
def test_credentials_are_redacted_alike_by_the_short_way(
    members: dict[str, str], chance: Random, *, whole: bool
) -> None:
    body = compact(members) if whole else broken(compact(members), chance)
    plain = flat(body) is not None

    short = redact(body, DUETT.credentials, plain=plain)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redacting, "_usual", lambda *_, **__: None)
        long = redact(body, DUETT.credentials)

    assert short == long
