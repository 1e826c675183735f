"""No change to a proven request proves anything, and nothing raises."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from connector.core.authenticate import HeaderSecret, Hmac, Secret, UrlToken, sign, token_of
from connector.model import Callback

SECRETS = tuple(Secret.of(hashlib.sha256(b"%d" % one).hexdigest().encode(), "x") for one in range(3))
SCHEMES = (
    HeaderSecret("authorization", SECRETS),
    Hmac(("x-vwd-signature-v1",), SECRETS),
    UrlToken(SECRETS),
)
TEXT = st.text(st.characters(), max_size=60) | st.text(st.characters(max_codepoint=255), max_size=60)


def request(headers: dict[str, str], body: bytes, token: str) -> Callback:
    return Callback("s", "e", headers, body, 0, "id", token)


@given(st.binary(max_size=300), st.integers(0, 2))
def test_every_secret_proves_what_it_signed(body: bytes, place: int) -> None:
    signed = sign(Hmac(("x-vwd-signature-v1",), SECRETS[place:]), body)

    assert SCHEMES[1].proves(request(signed, body, "")) == place


@given(st.binary(min_size=1, max_size=300), st.data())
def test_one_flipped_bit_in_body_or_proof_proves_nothing(body: bytes, data: st.DataObject) -> None:
    headers = sign(SCHEMES[0], body) | sign(SCHEMES[1], body)
    token = token_of(UrlToken(SECRETS))
    at, bit = data.draw(st.integers(0, len(body) - 1)), data.draw(st.integers(0, 7))
    flipped = body[:at] + bytes([body[at] ^ 1 << bit]) + body[at + 1 :]

    def bent(text: str) -> str:
        place = data.draw(st.integers(0, len(text) - 1))
        return text[:place] + chr(ord(text[place]) ^ 1 << bit) + text[place + 1 :]

    assert SCHEMES[1].proves(request(headers, flipped, token)) is None
    forged = request({name: bent(value) for name, value in headers.items()}, body, bent(token))
    assert [scheme.proves(forged) for scheme in SCHEMES] == [None, None, None]


@given(TEXT, TEXT, st.binary(max_size=100))
def test_whatever_is_sent_is_refused_without_an_exception(header: str, token: str, body: bytes) -> None:
    given_ = request({"authorization": header, "x-vwd-signature-v1": header}, body, token)

    assert [scheme.proves(given_) for scheme in SCHEMES] == [None, None, None]


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=200))
def test_the_kept_states_are_hmac(key: bytes, body: bytes) -> None:
    assert Secret(key).hmac(body) == hmac.digest(key, body, "sha256")
