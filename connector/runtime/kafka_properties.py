"""What may stand under `kafka`: any librdkafka property but those the guarantees rest on."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

DEFAULTS: Final = {"bootstrap.servers": "localhost:9092"}

OWNED: Final = frozenset(
    {
        "acks",
        "allow.auto.create.topics",
        "auto.offset.reset",
        "delivery.timeout.ms",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "group.id",
        "isolation.level",
        "message.timeout.ms",
        "partitioner",
        "transactional.id",
    }
)
"""Set by us; refused in the configuration."""
_server: Final = re.compile(
    r"(?:(?:plaintext|ssl|sasl_plaintext|sasl_ssl)://)?(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?",
    re.IGNORECASE,
).fullmatch
_HIGHEST_PORT: Final = 65_535


def _texts(kafka: Any) -> Any:
    """Let `linger.ms: 5` and `true` stand unquoted, and a default for the one needed property."""
    if not isinstance(kafka, dict):
        return kafka
    texts = {
        name: str(value).lower() if isinstance(value, bool | int | float) else value
        for name, value in kafka.items()
    }
    return {**DEFAULTS, **texts}


def _allowed(kafka: dict[str, str]) -> dict[str, str]:
    for server in kafka["bootstrap.servers"].split(","):
        _check_server(server.strip())
    if owned := sorted(OWNED & kafka.keys()):
        raise ValueError(f"{', '.join(owned)}: set by the connector itself, remove it")
    if "security.protocol" not in kafka and not all(map(_loopback, kafka["bootstrap.servers"].split(","))):
        raise ValueError(
            "security.protocol: missing; brokers on other hosts need it written out: "
            "ssl, sasl_ssl, sasl_plaintext or plaintext"
        )
    return kafka


def _check_server(server: str) -> None:
    """Refuse what names no server: librdkafka takes it, makes port 0 of it, and waits for ever."""
    if not server or server.startswith(("env:", "file:")):
        return
    written = _server(server)
    if written is None or not 1 <= int(written[1] or 1) <= _HIGHEST_PORT:
        raise ValueError("bootstrap.servers: write host:port, several with commas between them")


def _loopback(server: str) -> bool:
    host = server.strip().rpartition("://")[2].rpartition(":")[0].strip("[]")
    return host in {"localhost", "::1"} or host.startswith("127.")


KafkaProperties = Annotated[
    dict[str, str],
    BeforeValidator(_texts),
    AfterValidator(_allowed),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}),
]
