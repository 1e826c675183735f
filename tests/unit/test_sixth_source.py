"""A sixth vendor is one module and one line: the code of docs/adding-a-source.md, run as it stands there."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from furniture import NOON_US, Bench, endpoint, furnished

from connector import flow
from connector.core.authenticate import vouch
from connector.core.avro import Codec
from connector.core.changelog import EntityChangelog, guard
from connector.core.schema import changelog_schema
from connector.entities import ARRAYS, ENTITIES
from connector.flow import Desk
from connector.model import Callback, Outcome, RawRecord
from connector.runtime.configuration import json_schema
from connector.runtime.schemas import lint, unreadable
from connector.sources import SOURCES
from connector.topics import Topics

if TYPE_CHECKING:
    from connector.core.source import Source

PAGE = (Path(__file__).parents[2] / "docs" / "adding-a-source.md").read_text()
BODY = re.findall(r"(?ms)^```json\n(.*?)^```", PAGE)[0].encode()
SAVED, REMOVED = "inkwell/acme/customer/5", "inkwell/acme/customer/6"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    """The table with one line more."""
    file = tmp_path_factory.mktemp("sources") / "inkwell.py"
    file.write_text("\n\n".join(re.findall(r"(?ms)^```python\n(.*?)^```", PAGE)))
    spec = importlib.util.spec_from_file_location("inkwell", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    source: Source = module.SOURCE
    return {**SOURCES, source.name: source}


@pytest.fixture(scope="module")
def schema(sources: dict[str, Source]) -> dict[str, Any]:
    return changelog_schema(ENTITIES["customer"], sources.values(), ARRAYS)


def taken(source: Source, body: bytes) -> list[Any]:
    callback = Callback(source.name, "e1", {}, body, NOON_US, "01JSIXTH")
    return flow.receive(vouch(callback, endpoint(source.name)), source, furnished()[0].privacy)


def worked(sources: dict[str, Source], schema: dict[str, Any], *bodies: bytes) -> tuple[list[Outcome], Codec]:
    source, plain, codec = sources["inkwell"], furnished()[0], Codec(7, schema)
    changelog = EntityChangelog(
        source, ENTITIES["customer"], ARRAYS, codec, minimal_headers=False, max_bytes=1_000_000
    )
    desk = Desk(
        plain.privacy, {("inkwell", "customer"): changelog}, plain.history, plain.identity, plain.max_bytes
    )
    outcomes = list(
        flow.carry([raw for body in bodies for raw in taken(source, body)], source, Bench(), desk)
    )
    assert all(isinstance(one, Outcome) for one in outcomes)
    return [one for one in outcomes if isinstance(one, Outcome)], codec


def test_its_changes_become_raw_records_of_exact_bytes_without_the_credential(
    sources: dict[str, Source],
) -> None:
    raws = taken(sources["inkwell"], BODY)

    assert all(isinstance(one, RawRecord) for one in raws)
    assert [one.key.text for one in raws] == [SAVED, REMOVED]
    assert [one.meta.redacted for one in raws] == [("apiKey",), ()]
    assert b"do not keep" not in raws[0].body
    assert raws[1].body in BODY


def test_it_reaches_the_changelog_and_the_state_is_rebuilt_from_it(
    sources: dict[str, Source], schema: dict[str, Any]
) -> None:
    (saved, removed), codec = worked(sources, schema, BODY)

    record = codec.decode(saved.records[0].value or b"")
    assert (record["number"], record["name"], str(record["credit_limit"])) == (
        "1001",
        "Ærlig AS",
        "250000.1000",
    )
    assert record["bank_account_number"] == "***********7947"
    assert record["meta_version"] % 10_000_000 == 1_234_567
    assert json.loads(record["extras"]) == {"body": {"mood": "good"}}
    assert [one.op for one in removed.records] == ["DELETE", "DELETE"]
    changelog = EntityChangelog(
        sources["inkwell"], ENTITIES["customer"], ARRAYS, codec, minimal_headers=False, max_bytes=1_000_000
    )
    assert saved.known is not None
    assert removed.known is not None
    assert changelog.state(record) == saved.known.state
    assert guard(removed.records[-1].headers) == removed.known.state


def test_repeats_and_unknown_changes_change_nothing(
    sources: dict[str, Source], schema: dict[str, Any]
) -> None:
    unknown = BODY.replace(b"Customer.Saved", b"Customer.Smiled").replace(b"Customer.Removed", b"Moon.Landed")

    outcomes, _ = worked(sources, schema, BODY, BODY, unknown)

    assert [one.verdict for one in outcomes] == [
        "applied",
        "applied",
        "duplicate",
        "duplicate",
        "noted",
        "noted",
    ]


def test_what_it_cannot_use_is_refused_by_name(sources: dict[str, Source]) -> None:
    odd = [
        b"7",
        b"[7]",
        b"[{}]",
        b'[{"change": "Customer.Saved"}]',
        b'[{"change": "Customer.Saved", "Change": ""}]',
    ]

    assert [taken(sources["inkwell"], body)[0].reason for body in odd] == [
        "unreadable",
        "unreadable",
        "unreadable",
        "no_entity_id",
        "ambiguous_keys",
    ]


def test_readers_of_the_old_schema_and_of_the_new_one_understand_each_other(schema: dict[str, Any]) -> None:
    old = changelog_schema(ENTITIES["customer"], SOURCES.values(), ARRAYS)

    assert list(lint("customer", schema)) == []
    assert [*unreadable(old, schema), *unreadable(schema, old)] == []
    names = next(one for one in schema["fields"] if one["name"] == "email")["x-vendor-name"]
    assert names["inkwell"] == "customer.mail"


def test_topics_and_settings_follow_from_the_table_alone(sources: dict[str, Source]) -> None:
    assert Topics("erp", sources, ENTITIES).raw["inkwell"] == "erp.raw.inkwell"
    named = json_schema()["$defs"]["EndpointSettings"]["properties"]["source"]["enum"]
    assert sorted(named) == sorted(SOURCES)
