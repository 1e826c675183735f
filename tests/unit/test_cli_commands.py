"""The commands that need no Kafka, run as a user runs them."""

import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from connector.cli import main
from connector.cli.prediction import as_predicted, predict
from connector.cli.samples import FOLDER, SAMPLES
from connector.cli.setting import TENANTS
from connector.runtime import registry
from connector.runtime.desk import furnish

SECRET = "9b1f0d6e4c2a8e7755aa3c"
CONFIG = """
endpoints:
  - source: visma-net
    id: 8f1d2c
    tenant: nordic
    companies: ["1262489"]
    authenticate: {hmac: x-vwd-signature-v1, secrets: env:TEST_VISMA}
  - source: quickfile
    id: 77aa01
    tenant: shop-ltd
    authenticate: {url_token: env:TEST_VISMA}
  - source: duett
    id: d1
    tenant: acme
    companies: [env:TEST_COMPANY]
    authenticate: {header: Authorization, secrets: env:TEST_VISMA}
digest_key: env:TEST_VISMA
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CONNECTOR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TEST_VISMA", SECRET)
    monkeypatch.setenv("TEST_COMPANY", "25508d90-7c58-49cd-8baf-7274a3a0420c")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "connector.yaml"
    path.write_text(CONFIG)
    return path


def run(*arguments: object, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments], input=given)


def commands(group: click.Group, *above: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*above, name)
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)


@pytest.mark.parametrize("command", [*commands(main)], ids=" ".join)
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    told = run(*command, "--help")

    assert told.exit_code == 0
    assert re.search(r"Usage: main .*\n\n  [A-Z]", told.output)


def test_help_loads_no_client_and_no_framework() -> None:
    heavy = ("confluent_kafka", "faust", "pydantic", "rich", "uvicorn", "fastavro", "msgspec")
    code = f"import sys, connector.cli; print([name for name in {heavy} if name in sys.modules])"

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "[]"


def test_a_refusal_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    told = run("--config", tmp_path / "none.yaml", "config", "check")

    assert told.exit_code == 1
    assert told.output.count("\n") == 1
    assert "No such file or directory" in told.output


def test_a_wrong_option_is_exit_code_2() -> None:
    assert run("config", "show", "--bogus").exit_code == 2
    assert run("bogus").exit_code == 2


def test_the_version_is_told() -> None:
    assert re.fullmatch(r"connector, version \d+\.\d+\.\d+\S*\n", run("--version").output)


def test_check_counts_and_warns(config: Path) -> None:
    told = run("--config", config, "config", "check")
    config.write_text(CONFIG.replace('companies: ["1262489"]', "companies: []"))
    warned = json.loads(run("--config", config, "config", "check", "--json").output)

    assert told.output == "ok: 3 endpoint(s), 0 warning(s)\n"
    assert warned["endpoints"] == 3
    assert "endpoints[0]: binds no company" in warned["warnings"][0]


@pytest.mark.parametrize("weak", ["short", "aaaaaaaaaaaaaaaaaaaaaaaaaa", "change-me-change-me"])
def test_a_weak_secret_is_an_error_that_names_its_setting(
    config: Path, monkeypatch: pytest.MonkeyPatch, weak: str
) -> None:
    monkeypatch.setenv("TEST_VISMA", weak)

    told = run("--config", config, "config", "check")

    assert told.exit_code == 1
    assert "endpoints[0].authenticate.secrets" in told.output
    assert weak not in told.output


def test_what_is_shown_can_be_read_again_and_holds_no_secret(config: Path) -> None:
    told = run("--config", config, "config", "show")
    again = config.with_name("again.yaml")
    again.write_text(told.output)

    assert told.exit_code == 0
    assert SECRET not in told.output
    assert "env:TEST_VISMA" in told.output
    assert run("--config", again, "config", "show").output == told.output
    assert (
        json.loads(run("--config", config, "config", "show", "--json").output)["worker"]["batch_records"]
        == 2000
    )


def test_the_schema_of_the_configuration_knows_every_group() -> None:
    told = json.loads(run("config", "schema").output)

    assert {"kafka", "topics", "ingress", "worker", "endpoints"} <= told["properties"].keys()
    assert told["additionalProperties"] is False


def test_the_committed_schemas_are_fresh_compatible_and_documented() -> None:
    told = run("schemas", "check")

    assert told.exit_code == 0, told.output


def test_schemas_are_listed_and_shown() -> None:
    listed = json.loads(run("schemas", "show", "--json").output)
    one = json.loads(run("schemas", "show", "voucher_line", "--json").output)

    assert len(listed) == 22
    assert one["schema"]["name"] == "VoucherLine"
    assert "amount_net" in run("schemas", "show", "voucher_line").output
    assert "voucher_line" in run("schemas", "show").output
    assert run("schemas", "show", "bogus").exit_code == 2


def explain(*arguments: object, given: str | bytes | None = None) -> Any:
    told = run("explain", *arguments, "--json", given=given)
    assert told.exit_code == 0, told.output
    return json.loads(told.output)


def test_a_callback_is_explained_to_its_changelog_record() -> None:
    """D-38, A-29: the sample that is printed without a comma."""
    (part,) = explain("--source", "duett", "--tenant", "acme", FOLDER / "duett-voucher-deleted.json")

    assert part["key"] == "duett/acme/voucher_line/4220"
    assert (part["partition"], part["raw_topic"]) == (4, "erp.raw.duett")
    assert (part["flags"], part["verdict"], part["version"]) == (["repaired"], "applied", 17244108322216966)
    assert [record["op"] for record in part["changelog"]] == ["DELETE", "DELETE"]
    assert [record["value"] is None for record in part["changelog"]] == [False, True]
    assert part["redacted"] == ["integrationKey", "clientKey"]


def test_effects_on_other_keys_are_explained_too() -> None:
    (part,) = explain("--sample", "quickfile-merge", "--tenant", "shop")

    assert [one["key"] for one in part["forwards"]] == ["quickfile/shop/customer/8100231"]


def test_headers_and_the_name_of_the_event_can_be_given() -> None:
    body = '{"orderType": "SO", "orderNumber": "7"}'
    stamp = "x-vwd-notification-timestamp=1761836757790"
    (sales,) = explain(
        "--source", "visma-sales", "--event", "SALESORDER_CREATED", "--header", stamp, "-", given=body
    )
    (client,) = explain("--source", "quickfile", "--event", "ClientsCreated", "-", given='{"Id": 5}')

    assert (sales["key"], sales["time"]) == (
        "visma-sales/tenant/sales_order/SO%2F7",
        "2025-10-30T15:05:57.7900000Z",
    )
    assert client["key"] == "quickfile/tenant/customer/5"


def test_what_cannot_be_used_is_explained_with_its_reason() -> None:
    (part,) = explain("--source", "visma-net", "-", given="nonsense")

    assert (part["verdict"], part["reason"]) == ("quarantined", "unreadable")


def test_people_read_tables() -> None:
    told = run("explain", "--sample", "quickfile-payment").output
    empty = run("explain", "--source", "visma-net", "-", given="[]").output

    assert len(re.findall(r"^partition +\d", told, re.MULTILINE)) == 4
    assert "-> erp.changelog.payment  UPSERT" in told
    assert empty == "no events: answered with 202, nothing is stored\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain", "--source", "duett"],
        ["explain", "--sample", "bogus"],
        ["explain", "FILE"],
        ["explain", "--source", "duett", "--header", "x", "-"],
        ["send", "--endpoint", "8f1d2c"],
        ["send", "--endpoint", "8f1d2c", "--sample", "bogus"],
        ["send", "--endpoint", "bogus", "--sample", "quickfile-merge"],
        ["tail", "bogus"],
    ],
)
def test_misuse_is_told_with_exit_code_2(config: Path, arguments: list[str]) -> None:
    assert run("--config", config, *arguments).exit_code == 2


class Door(BaseHTTPRequestHandler):
    """Takes whatever comes."""

    status = 202
    taken: list[tuple[str, dict[str, str], bytes]] = []  # noqa: RUF012  one list for all requests

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.taken.append((self.path, {name.lower(): one for name, one in self.headers.items()}, body))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b'{"id": "x", "accepted": 1}')

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Door, "taken", [])
    server = HTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_is_sent_proves_itself(config: Path, door: str) -> None:
    """Each of the three ways, against the verifier of the door."""
    from connector.core.authenticate import authenticate
    from connector.model import Callback
    from connector.runtime.configuration import load
    from connector.runtime.credentials import endpoints

    for endpoint, sample in (
        ("8f1d2c", "visma-net-grouped"),
        ("quickfile/77aa01", "quickfile-merge"),
        ("d1", "duett-voucher-deleted"),
    ):
        told = run("--config", config, "send", "--endpoint", endpoint, "--sample", sample, "--url", door)

        assert told.output == '202 {"id": "x", "accepted": 1}\n'
    known = endpoints(load(config))
    for (path, headers, body), sample in zip(
        Door.taken, ("visma-net-grouped", "quickfile-merge", "duett-voucher-deleted"), strict=True
    ):
        _, _, source, name, *token = path.split("/")
        callback = Callback(source, name, headers, body, 0, "x", *token)

        assert authenticate(callback, known[source, name]).slot == 0
        assert body == SAMPLES[sample].body


def test_an_answer_that_is_no_2xx_is_exit_code_1(
    config: Path, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Door, "status", 401)

    told = run("--config", config, "send", "--endpoint", "8f1d2c", "--url", door, "--json", "-", given="{}")

    assert told.exit_code == 1
    assert '"status": 401' in told.output


def test_nobody_listening_is_told_in_one_line(config: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        told = run(
            "--config", config, "send", "--endpoint", "8f1d2c", "--sample", "quickfile-merge", "--url", url
        )

    assert told.exit_code == 1
    assert "Connection refused; does `connector serve` run there?" in told.output


def test_every_packaged_sample_has_a_row_and_ends_where_any_order_ends() -> None:
    desk, codecs = furnish(registry.Registry.load(registry.folder()), SECRET.encode())
    expected = predict(SAMPLES.values(), TENANTS, desk, codecs)
    shuffled = list(SAMPLES.values()) * 2
    random.Random(7).shuffle(shuffled)
    other = predict(shuffled, TENANTS, desk, codecs)

    assert {path.stem for path in FOLDER.glob("*.json")} == set(SAMPLES)
    assert len(expected) >= 25
    assert expected.keys() == other.keys()
    assert [key for key in expected if not as_predicted(other[key], expected[key])] == []


def test_serve_without_an_endpoint_says_what_to_do() -> None:
    told = run("serve")

    assert told.exit_code == 1
    assert "endpoints: none" in told.output
