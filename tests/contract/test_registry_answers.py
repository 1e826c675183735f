"""What an external registry may answer, and what is made of it."""

from collections.abc import Iterator
from typing import Any

import pytest
from schema_server import SchemaServer

from connector.errors import Misconfigured
from connector.runtime.registered import RegistryAway, Remote
from connector.runtime.registry_settings import RegistrySettings

SCHEMA = '{"type": "record", "name": "Customer", "fields": [{"name": "id", "type": "string"}]}'


@pytest.fixture
def server() -> Iterator[SchemaServer]:
    with SchemaServer() as server:
        yield server


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, b"<html>"), "is no schema registry"),
        ((200, {"id": "7", "schema": "{}"}), "is no schema registry"),
        ((200, {"id": 2**32, "schema": "{}"}), "is no schema registry"),
        ((200, {"id": 7}), "is no schema registry"),
        ((404, b""), "is no schema registry"),
        ((301, b""), "is no schema registry"),
        ((422, {"error_code": 42205, "message": "Operation not permitted"}), r"refuses: .* \(error 42205\)"),
        ((503, {"error_code": 50003, "message": "no leader"}), "gives no answer for 0.1 s .HTTP 503"),
    ],
)
def test_strange_answers_are_refused_in_words(server: SchemaServer, answer: Any, told: str) -> None:
    server.meddle = lambda *_: answer
    remote = Remote(RegistrySettings(url=server.url, timeout_s=0.1))

    with pytest.raises((Misconfigured, RegistryAway), match=told):
        remote.lookup("a-value", SCHEMA)


def test_an_address_without_its_path_is_told(server: SchemaServer) -> None:
    remote = Remote(RegistrySettings(url=server.root, timeout_s=0.1))

    with pytest.raises(Misconfigured, match="does the address lack a path"):
        remote.lookup("a-value", SCHEMA)
