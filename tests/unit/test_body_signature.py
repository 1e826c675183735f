from __future__ import annotations

import hashlib

import pytest

from connector.core.authenticate import (
    BodySignature,
    Endpoint,
    Scheme,
    Secret,
    UrlToken,
    authenticate,
    token_of,
)
from connector.errors import Misconfigured, NotAuthentic
from connector.model import Callback

OTHER = Secret.of(b"another account's key, 91011", "other")
API_KEY = Secret.of(b"6A1F-77B0-93CE-45D2", "api key")
URL = UrlToken((Secret.of(b"4f1c8d2e9b7a60534f1c8d2e9b7a6053", "token"),))
QUICKFILE = (
    b'{"PayLoad": {"InvoicesDeleted":[{"Id":1}],"Timestamp":"2025-06-02T09:28:11.0697887+00:00",'
    b'"Signature":"%s","Hookid":"11111111-2222-4333-8444-555555555555"}}'
)


def callback(body: bytes, token: str = "") -> Callback:
    return Callback("quickfile", "e1", {}, body, 0, "id", token)


def endpoint(*schemes: Scheme) -> Endpoint:
    return Endpoint(source="quickfile", id="e1", tenant="shop", schemes=schemes)


def refused(given: Callback, *schemes: Scheme) -> bool:
    with pytest.raises(NotAuthentic):
        authenticate(given, endpoint(*schemes))
    return True


def quickfile(mode: str, template: str = "{account}{key}{hookid}", algorithm: str = "md5") -> BodySignature:
    return BodySignature(mode, template, algorithm, (OTHER, API_KEY), "6131405")  # type: ignore[arg-type]  # a plain text stands for the literal


def signed(digest: str) -> Callback:
    return callback(QUICKFILE % digest.encode(), token=token_of(URL))


HOOK = "11111111-2222-4333-8444-555555555555"
STAMP = "2025-06-02T09:28:11.0697887+00:00"


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{account}{key}{hookid}", f"61314056A1F-77B0-93CE-45D2{HOOK}"),
        ("{account}{secret}{timestamp}", f"61314056A1F-77B0-93CE-45D2{STAMP}"),
        ("{hookid}|{key}", f"{HOOK}|6A1F-77B0-93CE-45D2"),
    ],
)
def test_a_body_signature_follows_its_recipe(algorithm: str, template: str, text: str) -> None:
    """A-39, vendors 6.2: candidates, none of them proven."""
    digest = hashlib.new(algorithm, text.encode()).hexdigest()
    scheme = quickfile("enforce", template, algorithm)

    for told in (digest, digest.upper()):
        assert scheme.proves(signed(told)) == 1
    assert authenticate(signed(digest), endpoint(URL, scheme)).doubts == ()
    assert scheme.signature(HOOK, STAMP) != digest  # the first key signs


@pytest.mark.parametrize(
    "body",
    [
        b'{"PayLoad":{"Authentication":{"TimeStamp":"t","Signature":"%s","HookId":"h"},"X":[]}}',
        b'{"Authentication":{"TimeStamp":"t","Signature":"%s","HookId":"h"}}',
        b'{"signature":"%s","HOOKID":"h","timestamp":"t"}',
        b'{"PayLoad":{"X":[]},"Signature":"%s","HookId":"h","TimeStamp":"t"}',
    ],
)
def test_the_signature_is_found_wherever_the_vendor_put_it(body: bytes) -> None:
    """A-38, A-40."""
    scheme = quickfile("enforce", "{hookid}{timestamp}{key}")
    digest = hashlib.md5(b"ht6A1F-77B0-93CE-45D2", usedforsecurity=False).hexdigest()

    assert scheme.proves(callback(body % digest.encode())) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"Signature":5}',
        b'{"Signature":"","HookId":"h"}',
        b"[" * 100_000,
        b'{"Signature":"\\ud800"}',
        '{"Signature":"é€"}'.encode(),
        b"\xff",
    ],
)
def test_a_body_without_a_signature_proves_nothing_and_never_raises(body: bytes) -> None:
    assert quickfile("enforce").proves(callback(body)) is None


def test_warn_counts_a_wrong_signature_and_refuses_nobody() -> None:
    authentic = authenticate(signed("0" * 32), endpoint(URL, quickfile("warn")))

    assert (authentic.slot, authentic.doubts) == (0, ("body_signature",))
    assert authenticate(signed("0" * 32), endpoint(URL, quickfile("off"))).doubts == ()
    assert refused(signed("0" * 32), URL, quickfile("enforce"))


class Untouchable:
    """A body that tells on whoever looks into it."""

    def __getattribute__(self, name: str) -> object:
        raise AssertionError("the body was read")


def test_the_body_is_not_read_before_the_token_proved() -> None:
    body = Untouchable()
    for mode in ("warn", "enforce"):
        assert refused(callback(body, token="guessed"), quickfile(mode), URL)  # type: ignore[arg-type]  # a plain text stands for the literal
        with pytest.raises(AssertionError, match="was read"):
            authenticate(callback(body, token=token_of(URL)), endpoint(quickfile(mode), URL))  # type: ignore[arg-type]  # a plain text stands for the literal


def test_a_recipe_with_an_unknown_place_is_refused() -> None:
    with pytest.raises(Misconfigured, match="hook_id"):
        quickfile("warn", "{account}{hook_id}")


def test_a_value_in_the_body_cannot_name_a_place_of_the_recipe() -> None:
    scheme = quickfile("enforce", "{hookid}")
    told = hashlib.md5(b"{key}", usedforsecurity=False).hexdigest()

    body = b'{"HookId":"{key}","Signature":"%s","TimeStamp":"t"}' % told.encode()
    assert scheme.proves(callback(body)) == 0
