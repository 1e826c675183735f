"""The command `quarantine` on a real Kafka: what was foreign becomes ours, and nothing happens twice."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from reader import Reader, Record
from stack import COMPANY, Stack

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

OTHER_COMPANY = "2000002"
ROW = "duett/acme/voucher_line/4220"
ORDERS = [f"visma-net/{COMPANY}/sales_order/SO%2F{number}" for number in (1, 2)]


def notice(company: str, **model: Any) -> bytes:
    told = {
        "integrationKey": str(uuid.uuid4()),
        "clientKey": company,
        "subscription": "Voucher",
        "event": "update",
        "eventTime": "2025-10-23T11:00:32.2216966Z",
        "data": json.dumps({"Id": 4220, **model}),
    }
    return json.dumps(told).encode()


def order(company: str, number: int) -> dict[str, Any]:
    place = f"api/v1/salesorder/SO/{number}"
    return {
        "event": "SalesOrder_Changed",
        "companyId": company,
        "entityLocation": place,
        "timeStamp": "638974335577900000",
    }


def quarantined(stack: Stack, *words: str) -> list[dict[str, Any]]:
    told = stack.run("quarantine", *words, "--json")
    listed: list[dict[str, Any]] = json.loads(told)
    return listed


def extend(stack: Stack) -> None:
    """Let the endpoints know two companies that were foreign, and take more events per callback."""
    settings = yaml.safe_load(stack.config.read_text())
    settings["ingress"]["max_records"] = 100
    for endpoint in settings["endpoints"]:
        if endpoint["source"] == "duett":
            endpoint["companies"].append("env:STACK_OTHER_KEY")
        if endpoint["source"] == "visma-net":
            endpoint["companies"].append(OTHER_COMPANY)
    stack.config.write_text(yaml.safe_dump(settings, sort_keys=False))


def of(stack: Stack, *entities: str) -> list[Record]:
    return Reader(stack.bootstrap).read([stack.topic("changelog", entity) for entity in entities])


def test_what_was_foreign_or_too_many_is_listed_shown_retried_and_then_in_the_changelog_once(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    with Stack(bootstrap, prefix, tmp_path, ingress={"max_records": 2}) as stack:
        stack.env["STACK_OTHER_KEY"] = str(uuid.uuid4())
        stack.serve()
        foreign = notice(stack.env["STACK_OTHER_KEY"], description="\x1b[2J ours after all")
        assert stack.post("duett", foreign)[0] == 202
        three = [order(COMPANY, 1), order(OTHER_COMPANY, 2), order("3000003", 3)]
        assert stack.post("visma-net", json.dumps(three).encode())[0] == 202

        listed = quarantined(stack, "list")
        assert [one["reason"] for one in listed] == ["foreign_tenant", "limits"]
        place = listed[0]["offset"]
        shown = stack.run("quarantine", "show", place)
        assert "ours after all" in shown
        assert "\x1b" not in shown
        assert stack.env["STACK_OTHER_KEY"] not in shown
        assert {one["now"] for one in quarantined(stack, "retry", "--dry-run")} == {
            "foreign_tenant",
            "limits",
        }

        extend(stack)
        planned = quarantined(stack, "retry", "--dry-run")
        assert sorted(one["key"] for one in planned) == [ROW, *ORDERS, "visma-net/visma-net-1"]
        assert quarantined(stack, "list") == listed, "a dry run writes nothing"

        assert "2 written" in stack.run("quarantine", "retry", "--yes")
        stack.work()
        stack.drained()
        before = of(stack, "voucher_line", "sales_order")
        assert sorted(one.key for one in before) == [ROW, *ORDERS]
        (left,) = quarantined(stack, "list")
        assert left["reason"] == "foreign_tenant"
        assert len(quarantined(stack, "list", "--all")) == 3
        assert "written" not in stack.run("quarantine", "retry", "--yes")

        assert "1 written" in stack.run("quarantine", "retry", "--offset", place, "--yes")
        stack.drained()
        assert of(stack, "voucher_line", "sales_order") == before
        assert len(Reader(stack.bootstrap).read([stack.topic("raw", "duett")])) == 2


def test_what_the_worker_set_aside_stays_while_it_is_too_large(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    with Stack(bootstrap, prefix, tmp_path) as stack:
        stack.serve()
        stack.work()
        assert (
            stack.post("duett", notice(stack.env["STACK_CLIENT_KEY"], description="x" * 1_035_000))[0] == 202
        )
        stack.drained()

        (held,) = quarantined(stack, "list", "--reason", "too_large", "--since", "1h")
        assert held["key"] == ROW
        assert quarantined(stack, "list", "--source", "quickfile") == []
        body = stack.run("quarantine", "show", held["offset"], "--body")
        assert json.loads(body)["clientKey"] == "***"
        (tried,) = quarantined(stack, "retry", "--yes")
        assert (tried["now"], tried["key"]) == ("too_large", ROW)
        assert len(quarantined(stack, "list")) == 1
