import pytest
from pydantic import ValidationError

from connector.runtime.settings import Settings


def servers(text: str) -> dict[str, str]:
    return Settings(kafka={"bootstrap.servers": text, "security.protocol": "plaintext"}).kafka


@pytest.mark.parametrize(
    "text",
    [
        "localhost",
        "kafka-1.example:9092, kafka-2.example:9092",
        "127.0.0.1:9092,",
        "[::1]:9092",
        "SASL_SSL://kafka:9093",
        "env:KAFKA_SERVERS",
        "file:/run/secrets/servers",
    ],
)
def test_servers_as_librdkafka_reads_them_are_taken(text: str) -> None:
    assert servers(text)["bootstrap.servers"] == text


@pytest.mark.parametrize(
    "text", ["kafka:9o92", "kafka:", "kafka:99999", "kafka:0", "http://kafka:9092", "kafka 1:9092", "::1"]
)
def test_what_names_no_server_is_refused_though_librdkafka_would_wait_for_it_for_ever(text: str) -> None:
    with pytest.raises(ValidationError, match=r"bootstrap\.servers: write host:port"):
        servers(text)
