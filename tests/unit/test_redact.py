from __future__ import annotations

import time

import pytest

from connector.core import redact as redacting
from connector.core.redact import redact

NAMES = ("integrationKey", "clientKey", "ftpServer", "ftpPassword")
MIB = 1 << 20


@pytest.mark.parametrize(
    ("body", "redacted"),
    [
        (rb'{"clientKey":"canary"}', rb'{"clientKey":"***"}'),
        (rb'{"CLIENTKEY" :  "canary" ,"a":1}', rb'{"CLIENTKEY" :  "***" ,"a":1}'),
        (b'{"clientkey"\r\n\t:\r\n\t"canary"}', b'{"clientkey"\r\n\t:\r\n\t"***"}'),
        (rb'{"clientKey":""}', rb'{"clientKey":"***"}'),
        (rb'{"clientKey":"can\"ar\\y\\"}', rb'{"clientKey":"***"}'),
        (rb'{"clientKey":"can\u0022ary"}', rb'{"clientKey":"***"}'),
        (rb'{"clientKey":12.5e3,"a":1}', rb'{"clientKey":"***","a":1}'),
        (rb'{"clientKey":{"value":["canary","}"]},"a":[1]}', rb'{"clientKey":"***","a":[1]}'),
        (rb'{"clientKey":["canary]",{"a":1}],"b":"x"}', rb'{"clientKey":"***","b":"x"}'),
        (rb'{"a":[{"b":{"clientKey":"canary"}}]}', rb'{"a":[{"b":{"clientKey":"***"}}]}'),
        (rb'{"data":"{\"clientKey\":\"canary\"}"}', rb'{"data":"{\"clientKey\":\"***\"}"}'),
        (rb'{"data":"{\"clientKey\":\"can\\\"a\\\\ry\"}"}', rb'{"data":"{\"clientKey\":\"***\"}"}'),
        (rb'{"data":"{\r\n \"clientKey\"\n: \"canary\"}"}', rb'{"data":"{\r\n \"clientKey\"\n: \"***\"}"}'),
        (rb'{"data":"{\"clientKey\":\"can\\\\\"}"}', rb'{"data":"{\"clientKey\":\"***\"}"}'),
        (rb'{"data":"{\"clientKey\"\r\n\t:\t\"canary\"}"}', rb'{"data":"{\"clientKey\"\r\n\t:\t\"***\"}"}'),
        (
            rb'{"a":"{\"data\":\"{\\\"clientKey\\\":\\r\\n\\\"canary\\\"}\"}"}',
            rb'{"a":"{\"data\":\"{\\\"clientKey\\\":\\r\\n\\\"***\\\"}\"}"}',
        ),
        (rb'{"clientKey":{"ftpPassword":"canary","a":1},"b":2}', rb'{"clientKey":"***","b":2}'),
        (rb'{"data":"{\"clientKey\":17,\"a\":1}"}', rb'{"data":"{\"clientKey\":\"***\",\"a\":1}"}'),
        (
            rb'{"data":"{\"clientKey\":{\"a\":\"canary\"},\"a\":1}"}',
            rb'{"data":"{\"clientKey\":\"***\",\"a\":1}"}',
        ),
        (
            rb'{"data":"{\u0022clientKey\u0022:\u0022can\\\u0022ary\u0022,\u0022a\u0022:1}"}',
            rb'{"data":"{\u0022clientKey\u0022:\u0022***\u0022,\u0022a\u0022:1}"}',
        ),
        (
            rb'{"a":"{\"data\":\"{\\\"clientKey\\\":\\\"canary\\\"}\"}"}',
            rb'{"a":"{\"data\":\"{\\\"clientKey\\\":\\\"***\\\"}\"}"}',
        ),
        (
            rb'{"a":"{\u0022data\u0022:\u0022{\\u0022clientKey\\u0022:\\u0022canary\\u0022}\u0022}"}',
            rb'{"a":"{\u0022data\u0022:\u0022{\\u0022clientKey\\u0022:\\u0022***\\u0022}\u0022}"}',
        ),
        (rb'{"client\u004bey":"canary"}', rb'{"client\u004bey":"***"}'),
        (rb'{"data":"{\"client\\u004Bey\":\"canary\"}"}', rb'{"data":"{\"client\\u004Bey\":\"***\"}"}'),
    ],
)
def test_the_value_goes_and_every_other_byte_stays(body: bytes, redacted: bytes) -> None:
    """D-30, A-37."""
    assert redact(body, NAMES) == (redacted, ("clientKey",))


@pytest.mark.parametrize(
    ("body", "redacted"),
    [
        (b'{\n"clientKey": "canary"\n"tag": "x"}', b'{\n"clientKey": "***"\n"tag": "x"}'),
        (b'{"clientKey":"canary', b'{"clientKey":"***'),
        (b'{"clientKey":"canary\\', b'{"clientKey":"***'),
        (b'{"clientKey":canary', b'{"clientKey":"***"'),
        (b"{\"clientKey\":'canary x',", b'{"clientKey":"***",'),
        (b'{"clientKey":["canary', b'{"clientKey":"***"'),
        (b'{"data":"{\\"clientKey\\":\\"canary', b'{"data":"{\\"clientKey\\":\\"***'),
        (b'{"data":"{\\"clientKey\\":\\"canary","b":1}', b'{"data":"{\\"clientKey\\":\\"***","b":1}'),
        (b'{"data":"{\\"clientKey\\":[1,\\"x","b":"y"}', b'{"data":"{\\"clientKey\\":\\"***\\"","b":"y"}'),
        (b'\\"clientKey\\":"canary"', b'\\"clientKey\\":"***"'),
        (b'"clientKey":\\"canary\\"', b'"clientKey":\\"***\\"'),
        (b'\xff\xfe"clientKey":"canary\xff"\xff', b'\xff\xfe"clientKey":"***"\xff'),
    ],
)
def test_unreadable_and_cut_off_bodies_are_redacted_too(body: bytes, redacted: bytes) -> None:
    assert redact(body, NAMES) == (redacted, ("clientKey",))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"a":1}',
        b'{"clientKeyId":"x","myclientKey":"x","clientKey ":"x","":"x"}',
        b'{"clientKey\\"":"x","\\"clientKey":"x","\\\\clientKey":"x"}',
        b'{"clientKey":null,"ftpServer":true,"ftpPassword":false}',
        b'{"a":"clientKey","b":["clientKey","x"],"c":"clientKey: x"}',
        b'{"a":"\\"clientKey\\":","b":"x"}',
        b'{"\\"clientKey\\":":"x"}',
        b'{"clientKey"',
        b'{"clientKey":',
        b'clientKey":"x"',
    ],
)
def test_other_names_values_and_nulls_are_not_touched(body: bytes) -> None:
    assert redact(body, NAMES) == (body, ())
    assert redact(body, NAMES)[0] is body


def test_the_names_that_were_redacted_are_told_once_and_as_configured() -> None:
    body = b'{"FTPpassword":"x","clientkey":"y","data":"{\\"ftpPassword\\":\\"x\\"}"}'

    assert redact(body, NAMES)[1] == ("ftpPassword", "clientKey")


def test_redacting_again_changes_nothing() -> None:
    once, _ = redact(b'{"clientKey":5,"data":"{\\"ftpPassword\\":[1]}"}', NAMES)

    assert redact(once, NAMES)[0] == once


USUAL = b'{"a":1,"integrationKey":"canary","clientKey":"canary","data":"{\\"id\\":1}"}'


def usual(body: bytes, *, plain: bool = False) -> tuple[bytes, tuple[str, ...]] | None:
    return redacting._usual(body, redacting._plan(NAMES), plain=plain)  # noqa: SLF001  the short way by itself


def test_a_usual_body_takes_the_short_way() -> None:
    masked = USUAL.replace(b"canary", b"***")

    assert usual(USUAL) == usual(USUAL, plain=True) == (masked, ("integrationKey", "clientKey"))
    assert usual(USUAL.replace(b"Key", b"KEY")) is not None
    assert usual(b'{"a":1}') == (b'{"a":1}', ())


@pytest.mark.parametrize(
    "body",
    [
        USUAL.replace(b'"a":1', b'"clientKey":"canary"'),
        USUAL.replace(b'"a":1', b'"ftpServer":"canary"'),
        USUAL.replace(b"{\\", b'{\\"clientKey\\":\\"canary\\",\\'),
        USUAL.replace(b'"clientKey":', b'"clientKey" :'),
        USUAL.replace(b'"clientKey":"canary"', b'"clientKey":17'),
        USUAL.replace(b'"clientKey":"can', b'"clientKey":"can\\"'),
        USUAL.replace(b'"clientKey"', b'\\"clientKey"'),
        USUAL.replace(b'"a":1', rb'"a":"cl\u0069entKey"'),
        USUAL[: USUAL.index(b'","data')],
        USUAL[1:].replace(b'"a":1,', b"").replace(b'"integrationKey":"canary",', b""),
        b'{"clientKey":"canary","integrationKey":"canary"}',
    ],
    ids=range(11),
)
def test_any_other_body_takes_the_long_way(body: bytes) -> None:
    assert usual(body) is None


@pytest.mark.parametrize(
    "body",
    [
        b'"clientKey"' * (MIB // 11),
        b'"clientKey":' * (MIB // 12),
        b'"clientKey":"' * (MIB // 13),
        b'"clientKey":"' + b"\\" * MIB,
        b"\\" * MIB + b'"clientKey":"x"',
        b'"clientKey":"' + b'\\"' * (MIB // 2),
        b'"clientKey":' + b"[" * MIB,
        b'"clientKey":[1]' * (MIB // 15),
        b'"clientKey":["' + b'"' * MIB,
        b'"clientKey"' + b" " * MIB,
        b'"clientKey"' + b"\\n" * (MIB // 2),
        b'"clientKey":' + b"x" * MIB,
        b"\\u0063" + b"\\" * MIB,
        b"c\\u0063" * (MIB // 7),
        (b"\\" * 100 + b"clientKey") * (MIB // 109),
    ],
    ids=range(15),
)
def test_a_hostile_mebibyte_costs_less_than_three_seconds(body: bytes) -> None:
    """Far above what it takes (below 0.4 s); a quadratic walk takes minutes."""
    started = time.process_time()
    redact(body, NAMES)

    assert time.process_time() - started < 3
