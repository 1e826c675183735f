from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import pickle

import pytest

from connector.core.authenticate import (
    BodySignature,
    Endpoint,
    HeaderSecret,
    Hmac,
    Scheme,
    Secret,
    UrlToken,
    authenticate,
    company_digest,
    sign,
    token_of,
)
from connector.errors import ForeignTenant, Misconfigured, NotAuthentic, UnknownEndpoint
from connector.model import Callback

OLD = Secret.of(b"the secret of last month, 1234", "old")
NEW = Secret.of(b"the secret of this month, 5678", "new")
OTHER = Secret.of(b"another tenant's secret, 91011", "other")
TOKEN = Secret.of(b"4f1c8d2e9b7a60534f1c8d2e9b7a6053", "token")
BODY = b'{"event":"customer_changed"}'
HMAC = Hmac(("X-VWD-Signature-V1", "x-signature"), (NEW, OLD))
HEADER = HeaderSecret("Authorization", (NEW, OLD))
URL = UrlToken((TOKEN,))


def callback(headers: dict[str, str] | None = None, body: bytes = BODY, token: str = "") -> Callback:
    return Callback("visma-net", "e1", headers or {}, body, 0, "id", token)


def endpoint(*schemes: Scheme) -> Endpoint:
    return Endpoint(source="visma-net", id="e1", tenant="acme", schemes=schemes)


def refused(given: Callback, *schemes: Scheme) -> bool:
    with pytest.raises(NotAuthentic) as refusal:
        authenticate(given, endpoint(*schemes))
    return str(refusal.value) == "the proof is missing or wrong"


def test_the_vendors_signature_is_base64_of_hmac_sha256_over_the_raw_body() -> None:
    """The published vector; its secret is too weak for the configuration."""
    weak = Secret(b"s3cret")

    assert sign(Hmac(("x-vwd-signature-v1",), (weak,)), BODY) == {
        "x-vwd-signature-v1": "hzThvOH7vCCh9aBIdpHDZjQaL8QB1A/9QYk62p5UXDo="
    }
    with pytest.raises(Misconfigured):
        Secret.of(b"s3cret", "endpoints[0]")


@pytest.mark.parametrize("length", [16, 63, 64, 65, 200])
@pytest.mark.parametrize("size", [0, 1, 63, 64, 1022, 100_000])
def test_the_kept_states_give_what_hmac_gives(length: int, size: int) -> None:
    key, body = bytes(range(length)), b"x" * size

    assert Secret(key).hmac(body) == hmac.digest(key, body, "sha256")


def test_a_signed_callback_is_authentic_and_names_the_place_of_its_secret() -> None:
    for place, secret in enumerate((NEW, OLD)):
        headers = sign(Hmac(("x-vwd-signature-v1",), (secret,)), BODY)

        authentic = authenticate(callback(headers), endpoint(HMAC))

        assert (authentic.slot, authentic.doubts) == (place, ())
        assert authentic.endpoint.tenant == "acme"


def test_any_header_of_the_list_may_carry_the_signature_but_only_the_first_counts() -> None:
    right = sign(HMAC, BODY)["x-vwd-signature-v1"]

    assert authenticate(callback({"x-signature": right}), endpoint(HMAC)).slot == 0
    assert refused(callback({"x-signature": right, "x-vwd-signature-v1": "wrong"}), HMAC)


def test_the_right_secret_over_another_body_proves_nothing() -> None:
    headers = sign(HMAC, BODY)

    assert refused(callback(headers, BODY + b" "), HMAC)
    assert refused(callback(headers, b""), HMAC)
    assert refused(callback(sign(Hmac(("x-vwd-signature-v1",), (OTHER,)), BODY)), HMAC)


def test_only_the_one_spelling_of_a_signature_counts() -> None:
    right = sign(HMAC, BODY)["x-vwd-signature-v1"]
    digest = base64.b64decode(right)
    for wrong in (
        "",
        right[:-1],
        right + "=",
        right + "\n",
        " " + right,
        right.lower(),
        right[:10] + "\n" + right[10:],
        digest.hex(),
        base64.urlsafe_b64encode(digest).decode().rstrip("="),
        right[:-2] + chr(ord(right[-2]) + 1) + "=",  # the same bytes, other spare bits
    ):
        assert refused(callback({"x-vwd-signature-v1": wrong}), HMAC)


def test_the_header_value_is_compared_whole_and_undecoded() -> None:
    """D-20, D-27: the printed sample is no Basic pair; case, blanks and escapes count."""
    right = sign(HEADER, BODY)

    assert right == {"authorization": "the secret of this month, 5678"}
    assert authenticate(callback(right), endpoint(HEADER)).slot == 0
    old = callback({"authorization": "the secret of last month, 1234"})
    assert authenticate(old, endpoint(HEADER)).slot == 1
    for wrong in ("", "THE SECRET OF THIS MONTH, 5678", "the+secret+of+this+month,+5678", "the secret"):
        assert refused(callback({"authorization": wrong}), HEADER)
    assert refused(callback({}), HEADER)


def test_a_credential_header_that_came_twice_never_proves() -> None:
    for scheme in (HEADER, HMAC):
        ((name, value),) = sign(scheme, BODY).items()

        assert refused(callback({name: f"{value}\n{value}"}), scheme)
        assert refused(callback({name: f"{value}\n"}), scheme)


def test_two_headers_do_not_add_up_to_a_secret_with_a_line_feed_in_it() -> None:
    halves = Secret.of(b"the first half\nthe second half", "x")

    both = callback({"authorization": "the first half\nthe second half"})
    assert refused(both, HeaderSecret("authorization", (halves,)))


def test_of_one_secret_that_stands_twice_the_first_place_is_told() -> None:
    for scheme in (HeaderSecret("authorization", (OLD, NEW, NEW)), UrlToken((OLD, NEW, NEW))):
        given = token_of(UrlToken((NEW,)))

        assert scheme.proves(callback({"authorization": given}, token=given)) == 1


def test_a_url_token_proves_and_two_live_while_rotating() -> None:
    both = UrlToken((NEW, TOKEN))

    assert token_of(URL) == "4f1c8d2e9b7a60534f1c8d2e9b7a6053"
    assert authenticate(callback(token=token_of(URL)), endpoint(both)).slot == 1
    assert refused(callback(token=""), both)
    assert refused(callback(token=token_of(URL).upper()), both)


def test_every_scheme_of_an_endpoint_must_prove() -> None:
    headers = sign(HMAC, BODY)

    assert authenticate(callback(headers, token=token_of(URL)), endpoint(HMAC, URL)).slot == 0
    assert refused(callback(headers), HMAC, URL)
    assert refused(callback(token=token_of(URL)), HMAC, URL)


@pytest.mark.parametrize(
    "value", ["é", "\x80\xff", "\u20ac", "\ud800", "\x00", "=" * 5, "é" * 44, "A" * 100_000]
)
def test_nothing_a_sender_can_write_raises(value: str) -> None:
    """Threat 4: `compare_digest` itself raises on text that is not ASCII."""
    given = Callback("x", "y", {"authorization": value, "x-vwd-signature-v1": value}, b"\xff", 0, "id", value)

    for scheme in (HEADER, HMAC, URL):
        assert scheme.proves(given) is None


def test_a_secret_beyond_ascii_is_compared_as_the_bytes_on_the_wire() -> None:
    """A server decodes header bytes as Latin-1."""
    secret = Secret.of("Schlüssel für die Prüfung".encode(), "x")

    on_the_wire = "Schlüssel für die Prüfung".encode().decode("latin-1")
    assert HeaderSecret("authorization", (secret,)).proves(callback({"authorization": on_the_wire})) == 0


def test_every_secret_is_tried_whichever_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threat 3: the time taken does not tell which secret was right."""
    tried: list[bytes] = []

    def counting(one: bytes, other: bytes) -> bool:
        tried.append(other)
        return hmac.compare_digest(one, other)

    monkeypatch.setattr("connector.core.schemes.compare_digest", counting)
    for scheme in (HEADER, HMAC):
        for headers in (sign(scheme, BODY), {}):
            tried.clear()
            scheme.proves(callback(headers))

            assert len(tried) == 2


def test_an_unknown_endpoint_costs_a_verification_and_is_refused() -> None:
    with pytest.raises(UnknownEndpoint):
        authenticate(callback({"authorization": "é"}), None)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"fifteen bytes, .", None),
        (b"fifteen bytes..", "16 bytes"),
        (b"abcdefgabcdefgabcdefg", "8 of them different"),
        (b"Basic LJJj79jlkjlknmvvnv&&&lllL==", "printed sample"),
        (b"BASIC ljjj79jlkjlknmvvnv&&&lllL==\r\n", "printed sample"),
        (b"159c6b25-2627-4f27-8197-ee097835e2ef", "printed sample"),
        (b"", "16 bytes"),
    ],
)
def test_a_weak_or_printed_secret_is_refused_by_its_setting_and_never_shown(
    value: bytes, why: str | None
) -> None:
    if why is None:
        assert Secret.of(value, "x").digest == hashlib.sha256(value).digest()
        return
    with pytest.raises(Misconfigured, match=why) as refusal:
        Secret.of(value, "endpoints[0].authenticate.secrets[1]")

    assert str(refusal.value).startswith("endpoints[0].authenticate.secrets[1] ")
    assert not value or value.decode().strip() not in str(refusal.value)


def test_a_line_end_behind_a_secret_from_a_file_is_not_part_of_it() -> None:
    assert Secret.of(b"the secret of this month, 5678\r\n", "x").digest == NEW.digest


def test_a_secret_is_not_printed_copied_or_stored() -> None:
    for shown in (repr(NEW), str(NEW), f"{NEW}", repr(HEADER), repr(endpoint(HMAC, URL)), repr([NEW])):
        assert "month" not in shown
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leave(NEW)


@pytest.mark.parametrize(
    ("schemes", "binding", "why"),
    [
        ((), {"tenant": "a"}, "no proof"),
        ((BodySignature("enforce", "{key}", "md5", (NEW,)),), {"tenant": "a"}, "no proof"),
        ((Hmac(("x",), ()),), {"tenant": "a"}, "without a secret"),
        ((HMAC,), {}, "either"),
        ((HMAC,), {"tenant": "a", "tenants": {"1": "b"}}, "either"),
    ],
)
def test_an_endpoint_without_proof_or_tenant_cannot_be_made(
    schemes: tuple[Scheme, ...], binding: dict[str, object], why: str
) -> None:
    """Fail closed: no configuration switches authentication off."""
    with pytest.raises(Misconfigured, match=why):
        Endpoint(source="visma-net", id="e1", schemes=schemes, **binding)  # type: ignore[arg-type]  # one dict for arguments of several types


def test_an_endpoint_with_one_tenant_and_no_companies_asks_for_none() -> None:
    """A-49."""
    assert endpoint(HMAC).tenant_of(None) == endpoint(HMAC).tenant_of("anything") == "acme"


def test_companies_bind_an_endpoint_and_a_foreign_or_missing_one_is_refused() -> None:
    """A-06; a subscription's secret never writes another tenant's keys."""
    bound = Endpoint(
        source="visma-net",
        id="e",
        tenant="acme",
        companies=frozenset({"1262489", "BBBBBBBB-0000-4000-8000-000000000001"}),
        schemes=(HMAC,),
    )

    assert bound.tenant_of("1262489") == bound.tenant_of(" 1262489 ") == "acme"
    assert bound.tenant_of("bbbbbbbb-0000-4000-8000-000000000001") == "acme"
    for foreign in ("1262490", "", None):
        with pytest.raises(ForeignTenant) as refusal:
            bound.tenant_of(foreign)
        assert "1262490" not in str(refusal.value)


def test_tenants_map_companies_and_none_is_made_up() -> None:
    mapped = Endpoint(source="visma-net", id="e", tenants={"1": "one", "2": "two"}, schemes=(HMAC,))

    assert (mapped.tenant_of("1"), mapped.tenant_of("2")) == ("one", "two")
    for foreign in ("3", "one", None):
        with pytest.raises(ForeignTenant):
            mapped.tenant_of(foreign)


def test_a_company_that_is_a_credential_stands_as_its_digest() -> None:
    """D-30: `clientKey` is the company id and a key of the vendor's API."""
    key = "25508d90-7c58-49cd-8baf-7274a3a0420c"
    digest = company_digest(key.upper())
    bound = Endpoint(source="duett", id="e", tenant="acme", companies=frozenset({digest}), schemes=(HEADER,))
    mapped = Endpoint(source="duett", id="e", tenants={digest: "acme"}, schemes=(HEADER,))

    assert digest == f"digest:{hashlib.sha256(key.encode()).hexdigest()}"
    assert bound.tenant_of(key) == mapped.tenant_of(key.upper()) == "acme"
    assert key not in repr(bound) + repr(mapped)
    with pytest.raises(ForeignTenant):
        bound.tenant_of("25508d90-7c58-49cd-8baf-7274a3a0420d")


def test_only_company_ids_of_the_configuration_are_kept_with_their_digest() -> None:
    digest = company_digest("Hidden")
    bound = Endpoint(
        source="duett", id="e", tenant="acme", companies=frozenset({"ABC", digest}), schemes=(HEADER,)
    )
    mapped = Endpoint(source="duett", id="e", tenants={"Abc": "one", digest: "two"}, schemes=(HEADER,))

    for endpoint in (bound, mapped):
        for company in ("abc", " ABC ", "hidden", "stranger", digest, ""):
            assert endpoint.digest_of(company) == company_digest(company)
        assert endpoint.digests == {"abc": company_digest("abc")}
