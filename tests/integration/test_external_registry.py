"""Workers with an external registry, on a real Kafka: its ids in the records, and in the state."""

import json
from pathlib import Path
from typing import Any

import pytest
from reader import Reader, Record
from schema_server import SchemaServer
from stack import Stack

pytestmark = pytest.mark.kafka
FIRST = 5
"""Below the greatest id of the lock: numbers of both origins mean different schemas."""
ENTITIES = ("customer", "supplier")


def changed(number: int, ticks: int, entity: str = "customer") -> bytes:
    """Make a callback of Visma.net's as it sends them."""
    return json.dumps(
        {
            "event": f"{entity}_changed",
            "action": "UPDATED",
            "contextId": "1000001",
            "resourceId": str(number),
            "relativeResourceUri": f"v1/{entity}/{number}",
            "timeStamp": 638974335577900000 + ticks,
        }
    ).encode()


def send(stack: Stack, *bodies: bytes) -> None:
    for body in bodies:
        status, told = stack.post("visma-net", body)
        assert status == 202, told
    stack.drained()


def changelogs(stack: Stack, registry: str | None = None) -> list[Record]:
    topics = [stack.topic("changelog", entity) for entity in ENTITIES]
    return Reader(stack.bootstrap, registry).read(topics)


def ids(records: list[Record]) -> set[int]:
    return {int.from_bytes(one.value[1:5], "big") for one in records if one.value is not None}


def test_records_carry_the_ids_of_the_registry_and_older_ones_are_still_known(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    with SchemaServer(FIRST) as server, Stack(bootstrap, prefix, tmp_path, 2) as stack:
        ingress = stack.serve()
        worker = stack.work()
        send(stack, changed(1, 10), changed(7, 10, "supplier"))
        assert worker.stop() == 0
        own = ids(changelogs(stack))

        stack.env["CONNECTOR_REGISTRY__URL"] = server.url
        refused = stack.start("worker-1", "work")
        assert refused.ended(60) == 1, refused.tail()
        assert "connector schemas register --yes" in refused.tail()

        stack.run("schemas", "register", "--yes")
        writes = list(server.writes())
        worker = stack.work()
        send(stack, changed(1, 10), changed(7, 10, "supplier"))  # known by records of the lock's ids
        assert len(changelogs(stack)) == 2
        send(stack, changed(1, 20), changed(2, 10), changed(7, 20, "supplier"))
        records = changelogs(stack)
        new = ids(records) - own
        assert len(records) == 5
        assert len(new) == 2
        assert new <= server.held.texts.keys()
        assert {one.headers["ce_dataschema"].decode() for one in records[-1:]} <= {
            f"/schemas/ids/{id_}" for id_ in server.held.texts
        }

        served: dict[str, Any] = json.loads(
            worker.get(f"/registry/subjects/{prefix}.changelog.customer-value/versions/latest")[1]
        )
        assert server.held.texts[served["id"]] == served["schema"]
        assert list(server.writes()) == writes, "a worker only reads"

        server.meddle = lambda *_: (503, {"error_code": 50001, "message": "away"})
        send(stack, changed(3, 10))
        assert len(changelogs(stack)) == 6, "an outage after the start changes nothing"

        server.meddle = lambda _method, _path, answer: answer
        worker.kill()
        worker = stack.work()
        send(stack, changed(1, 20), changed(2, 10), changed(3, 10), changed(7, 20, "supplier"))
        assert len(changelogs(stack)) == 6, "the state knows records of both kinds of ids"
        assert (worker.stop(), ingress.stop()) == (0, 0)


def test_consumers_read_everything_with_the_external_registry_alone(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    with SchemaServer(FIRST) as server, Stack(bootstrap, prefix, tmp_path, 2) as stack:
        stack.env["CONNECTOR_REGISTRY__URL"] = server.url
        stack.run("schemas", "register", "--yes")
        stack.serve()
        stack.work()

        send(stack, changed(1, 10), changed(7, 10, "supplier"))

        records = changelogs(stack, server.root)
        assert {one.value["id"] for one in records} == {"1", "7"}
        events = Reader(stack.bootstrap, server.root).read([stack.topic("events")])
        assert {one.value["verdict"] for one in events} == {"applied"}
        told = stack.run("tail", "--from", "earliest", "--until-end", "--json", "customer")
        assert json.loads(told.splitlines()[0])["key"].endswith("/customer/1")
