"""Demands that are short to show and would otherwise only be described."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from furniture import Bench, callback, raws

from connector.runtime.desk import topics_under

ROOT = Path(__file__).parents[2]
CLIENTS = ("aiohttp", "http.client", "httpx", "requests", "urllib3", "urllib.request", "websockets", "grpc")
OF_A_PERSON = {
    "connector/cli/send.py",
    "connector/cli/children.py",
    "connector/runtime/jars.py",
    "connector/runtime/registered.py",
}
"""`send` and the demo ask our own processes, `jars` fetches the demo's Kafka, `registered` asks a schema
registry."""


def told(source: str, *bodies: object, tenant: str = "acme") -> dict[str, dict[str, Any]]:
    """Work bodies; give the compacted view."""
    return Bench().work([raw for body in bodies for raw in raws(callback(source, body), tenant)]).changelog()


def duett(thing: str, event: str = "create", second: int = 0, **model: object) -> dict[str, object]:
    """Write a notification of an object with id 7."""
    return {
        "clientKey": "c",
        "subscription": thing,
        "event": event,
        "eventTime": f"2025-06-01T10:00:{second:02}.0000000Z",
        "data": json.dumps({"id": 7, **model}),
    }


def visma(event: str, location: str, **more: object) -> dict[str, object]:
    """Write a notification of the newer family."""
    return {
        "event": event,
        "companyId": "1000001",
        "notificationId": "n",
        "entityLocation": f"api/v1/{location}",
        "timeStamp": "638974335577900000",
        **more,
    }


def client(item: str, **more: object) -> dict[str, object]:
    """Write a QuickFile body with one item about number 7."""
    return {"PayLoad": {item: [{"TimeStamp": "2025-06-02T09:45:12", "Id": 7, **more}], "Hookid": "h"}}


def test_the_top_level_is_as_demanded() -> None:
    """M-02."""
    wanted = ("pyproject.toml", "connector", "schemas", "tests", "Makefile", "helm")

    assert [name for name in wanted if not (ROOT / name).exists()] == []


def test_a_kafka_is_given_or_a_container_or_a_local_jvm_in_this_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """M-07: the container is testcontainers'; without an address the first way says what is missing."""
    from container import KafkaContainer
    from testcontainers.core.container import DockerContainer

    spec = importlib.util.spec_from_file_location("ways_to_kafka", ROOT / "tests" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.delenv("CONNECTOR_TEST_BOOTSTRAP", raising=False)

    assert list(module.WAYS) == ["given", "docker", "jvm"]
    assert issubclass(KafkaContainer, DockerContainer)
    with pytest.raises(LookupError, match="CONNECTOR_TEST_BOOTSTRAP"):
        next(module.WAYS["given"]())


def test_nobody_is_called_by_either_role() -> None:
    """V-01, K-15, V-08: callbacks are the only way in; no module of the product can ask a vendor anything."""
    asking = {}
    for file in sorted((ROOT / "connector").rglob("*.py")):
        named: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                named |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
        found = {name for name in named if re.match(rf"({'|'.join(map(re.escape, CLIENTS))})(\.|$)", name)}
        if found and str(file.relative_to(ROOT)) not in OF_A_PERSON:
            asking[file.name] = found

    assert asking == {}


def test_what_a_vendor_sends_in_full_is_full_and_what_it_announces_is_thin() -> None:
    """D-02, Q-07."""
    views = [
        told("duett", duett("Customer", name="Åse")),
        told("visma-net", visma("Customer_Created", "customer/7")),
        told("quickfile", client("ClientsCreated")),
    ]

    assert [row["meta_fidelity"] for view in views for row in view.values()] == ["full", "thin", "thin"]


def test_one_changelog_holds_the_customers_of_three_vendors() -> None:
    """A-02, R-08: one topic, three sources in three keys, the vendors' words as text."""
    keys = [
        *told("duett", duett("Customer", name="Åse")),
        *told("visma-net", visma("Customer_Created", "customer/7")),
        *told("quickfile", client("ClientsCreated")),
    ]

    assert keys == [f"{source}/acme/customer/7" for source in ("duett", "visma-net", "quickfile")]
    assert len({topics_under("erp").changelog[key.split("/")[2]] for key in keys}) == 1


@pytest.mark.parametrize(
    ("thing", "entity"),
    [
        ("Article", "item"),
        ("Customer", "customer"),
        ("Project", "project"),
        ("Supplier", "supplier"),
        ("Voucher", "voucher_line"),
    ],
)
def test_all_five_objects_of_duett_are_taken_though_only_one_can_be_subscribed(
    thing: str, entity: str
) -> None:
    """D-08, D-11, A-25."""
    assert list(told("duett", duett(thing))) == [f"duett/acme/{entity}/7"]


def test_a_hidden_entity_of_duett_is_an_update_and_no_tombstone() -> None:
    """X-01: `show` false hides; only a delete deletes. A voucher's key is the row's id, not its number."""
    hidden = told(
        "duett", duett("Customer", show=True), duett("Customer", "update", 1, show=False, name="Åse")
    )
    rows = told(
        "duett",
        duett("Voucher", voucherNumber=1, voucherYear="2023"),
        {**duett("Voucher", second=1), "data": '{"id": 8, "voucherNumber": 1, "voucherYear": "2024"}'},
    )

    (customer,) = hidden.values()
    assert (customer["meta_op"], customer["active"], customer["name"]) == ("UPSERT", False, "Åse")
    assert {key: row["voucher_ref"] for key, row in rows.items()} == {
        "duett/acme/voucher_line/7": "2023/1",
        "duett/acme/voucher_line/8": "2024/1",
    }


@pytest.mark.parametrize(
    "status",
    [
        "On hold",
        "Open",
        "Pending approval",
        "Rejected",
        "Pending printing",
        "Pending e-mail",
        "Closed",
        "Cancelled",
        "A ninth one",
    ],
)
def test_the_eight_statuses_of_a_purchase_order_are_text_as_sent(status: str) -> None:
    """K-08: no list is checked, so a ninth one passes, too."""
    view = told(
        "visma-net", visma("PurchaseOrder_Status_Changed", "purchaseorder/RO/7", documentStatus=status)
    )

    (order,) = view.values()
    assert order["status"] == status


@pytest.mark.parametrize("number", ["5xxxxx", "0007", "Ø-1", "1e3", "null"])
def test_an_id_is_text_whatever_it_looks_like(number: str) -> None:
    """VE-10."""
    ((key, row),) = told("visma-net", visma("Customer_Updated", f"customer/{number}")).items()

    assert (row["id"], row["number"]) == (number, number)
    assert re.fullmatch(r"visma-net/acme/customer/[A-Za-z0-9._~%-]+", key)


BLOCK = re.compile(r"<!-- callback: ([\w-]+), (\w+) -->\n```json\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("place", "verdicts", "left"),
    [
        (0, ["applied", "applied"], {"duett/acme/voucher_line/4220": "tombstone"}),
        (1, ["applied"], {"visma-net/nordic/customer/55555": "UPSERT"}),
        (2, ["applied"], {"visma-net/nordic/customer/55556": "tombstone"}),
    ],
)
def test_what_operators_send_in_by_hand_is_taken_and_sent_again_changes_nothing(
    place: int, verdicts: list[str], left: dict[str, str]
) -> None:
    """D-07, K-20: the bodies of docs/vendor-apis.md."""
    blocks = BLOCK.findall((ROOT / "docs" / "vendor-apis.md").read_text())
    source, tenant, body = blocks[place]
    records = raws(callback(source, body.encode()), tenant)

    bench = Bench().work([*records, *reversed(records)])

    assert len(blocks) == 3
    assert bench.verdicts()[: len(verdicts)] == verdicts
    assert set(bench.verdicts()[len(verdicts) :]) <= {"duplicate", "stale"}
    view = bench.changelog()
    assert {key: "tombstone" if "tombstone" in row else row["meta_op"] for key, row in view.items()} == left
