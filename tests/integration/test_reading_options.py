"""A zone and pointers in one configuration, read by an ingress and a worker of their own, on a real Kafka."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from reader import Reader, Record
from stack import COMPANY, TENANTS, Stack

from connector.core.times import from_iso

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

ORDER = json.dumps(
    {
        "meta": {"kind": "ORDER_PLACED", "at": "2025-06-02T10:00:00"},
        "company": [{"nr": int(COMPANY)}],
        "order": {"a/b": "SO", "nr": "000223"},
        "id": "not the order's",
    }
).encode()
VIEWED = json.dumps(
    {
        "PayLoad": {
            "ClientsUpdated": [{"TimeStamp": "2025-06-02T09:45:12", "Id": 41}],
            "Hookid": "11111111-2222-4333-8444-777777777777",
        }
    }
).encode()
READING: dict[str, dict[str, Any]] = {
    "quickfile": {"zone": "Europe/London"},
    "visma-sales": {
        "zone": "Europe/Oslo",
        "aliases": {"OrderPlaced": "SALESORDER_CREATED"},
        "pointers": {
            "event": "/meta/kind",
            "time": "/meta/at",
            "company": "/company/0/nr",
            "order_type": "/order/a~1b",
            "id": "/order/nr",
        },
    },
}


def configure(stack: Stack, reading: dict[str, dict[str, Any]]) -> None:
    written = yaml.safe_load(stack.config.read_text())
    for endpoint in written["endpoints"]:
        endpoint.pop("reading", None)
        if endpoint["source"] in reading:
            endpoint["reading"] = reading[endpoint["source"]]
    stack.config.write_text(yaml.safe_dump(written, sort_keys=False))


def last(stack: Stack, worker_url: str, entity: str, key: str) -> Record:
    found = Reader(stack.bootstrap, worker_url).read([stack.topic("changelog", entity)])
    return [one for one in found if one.key == key][-1]


def test_a_zone_moves_versions_and_pointers_make_an_unknown_body_usable(
    bootstrap: str, tmp_path: Path
) -> None:
    """0.3, A-17, A-41: first as the sources assume, then with options; the other endpoints notice nothing."""
    with Stack(bootstrap, f"t{uuid.uuid4().hex[:8]}", tmp_path) as stack:
        ingress, worker = stack.serve(), stack.work()
        assert json.loads(stack.post("quickfile", VIEWED)[1])["accepted"] == 1
        assert json.loads(stack.post("visma-sales", ORDER)[1]).get("quarantined") == 1
        stack.drained()
        client = f"quickfile/{TENANTS['quickfile']}/customer/41"
        assumed = last(stack, worker.url, "customer", client).value
        assert ingress.stop() == 0
        assert worker.stop() == 0

        configure(stack, READING)
        plan = json.loads(stack.run("rebuild", "plan", "customer", "--raw-alone", "--json"))
        assert plan["entities"]["customer"]["columns"].keys() == {"meta_version", "meta_clocks"}
        stack.serve("ingress-2")
        worker = stack.work("worker-2")
        later = VIEWED.replace(b"09:45:12", b"11:45:12").replace(b"777777777777", b"888888888888")
        assert json.loads(stack.post("quickfile", later)[1])["accepted"] == 1
        assert json.loads(stack.post("visma-sales", ORDER)[1])["accepted"] == 1
        retried = json.loads(stack.run("quarantine", "retry", "--reason", "no_entity_id", "--yes", "--json"))
        stack.drained()
        again = json.loads(stack.run("replay", "--source", "visma-sales", "--json"))

        given = last(stack, worker.url, "customer", client).value
        order = last(stack, worker.url, "sales_order", f"visma-sales/{COMPANY}/sales_order/SO%2F000223").value
        assert assumed is not None
        assert given is not None
        assert order is not None
        hour = 36_000_000_000
        assert assumed["meta_version"] == from_iso("2025-06-02T09:45:12Z")
        assert given["meta_version"] - assumed["meta_version"] == 2 * hour - hour
        assert (assumed["meta_zone_assumed"], given["meta_zone_assumed"]) == (True, False)
        assert (order["order_type"], order["number"]) == ("SO", "000223")
        assert (order["meta_version"], order["meta_event_type"]) == (
            from_iso("2025-06-02T08:00:00Z"),
            "ORDER_PLACED",
        )
        events = Reader(stack.bootstrap, worker.url).read([stack.topic("events")])
        flags = [
            set(json.loads(one.value["attributes"])["flags"])
            for one in events
            if one.value is not None and one.value["meta_source"] == "visma-sales"
        ]
        assert len(flags) == 2, retried
        assert again["records"] == 2, again
        assert all(one >= {"pointer_given", "zone_given", "alias_given"} for one in flags)
