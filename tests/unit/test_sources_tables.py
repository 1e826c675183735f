"""The vendors' event tables and shapes: all 92 events, every column in one place."""

import csv
from pathlib import Path

import pytest

from connector.core.read import token
from connector.core.source import EventRow, Shape, Source
from connector.entities import ARRAYS, ENTITIES
from connector.entities.fields import Kind
from connector.sources import SOURCES

with (Path(__file__).parent / "events.csv").open() as file:
    LISTED = list(csv.DictReader(file))
ROWS = {row.row: (source, row) for source in SOURCES.values() for row in source.events}
SHAPES = [
    pytest.param(source, name, shape, id=f"{source.name}.{name}")
    for source in SOURCES.values()
    for name, shape in source.shapes.items()
]
SET_KINDS = {"merged_from": Kind.MERGED, "allocations": Kind.ALLOCATIONS}
RANKS = {
    "upsert": (100, 200),
    "patch": (200,),
    "status": (300, 310, 320, 330, 340, 350, 360),
    "delete": (400,),
    "merge": (200,),
    "rekey": (200,),
    "note": (0,),
}


def test_the_list_has_92_events() -> None:
    assert len(LISTED) == 92
    assert set(ROWS) == {listed["id"] for listed in LISTED}


@pytest.mark.parametrize("listed", LISTED, ids=[listed["id"] for listed in LISTED])
def test_every_listed_event_has_its_entity_and_operation(listed: dict[str, str]) -> None:
    """All 92; Duett's five objects with three verbs each (D-08, DE-01 to DE-15) among them."""
    source, row = ROWS[listed["id"]]

    assert source.name == listed["source"]
    assert row.name == listed["name"]
    assert row.token == token(listed["name"])
    assert (row.entity or "") == listed["entity"]
    assert row.operation == listed["operation"]
    assert row.rank in RANKS[row.operation]


@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_no_token_or_alias_means_two_events(source: Source) -> None:
    names = [name for row in source.events for name in (row.token, *row.aliases)]

    assert len(set(names)) == len(names)
    assert all(name == token(name) for name in names)


@pytest.mark.parametrize("row", [row for _, row in ROWS.values()], ids=list(ROWS))
def test_created_and_deleted_say_so_by_rank(row: EventRow) -> None:
    if "create" in row.token and row.operation == "upsert" and row.row != "QE-19":
        assert row.rank == 100
    if "delete" in row.token:
        assert row.operation == "delete"


@pytest.mark.parametrize(("source", "name", "shape"), SHAPES)
def test_every_column_of_a_shape_exists_and_stands_in_one_place(
    source: Source, name: str, shape: Shape
) -> None:
    fields = {field.name: field for field in ENTITIES[name].fields}
    places = [column for columns in shape.facets.values() for column in columns]
    places += [*shape.derived, *(one for one in shape.sets if one in fields)]

    assert len(set(places)) == len(places), source.name
    assert set(places) <= set(fields)
    assert shape.state_facet in shape.facets
    for one in shape.sets:
        assert one == "phases" or fields[one].kind is SET_KINDS[one]


@pytest.mark.parametrize(("source", "name", "shape"), SHAPES)
def test_a_masked_column_and_its_hash_share_a_facet(source: Source, name: str, shape: Shape) -> None:
    masked = [field.name for field in ENTITIES[name].fields if field.pii in ("bank", "national_id")]
    for columns in shape.facets.values():
        for column in masked:
            assert (column in columns) == (f"{column}_hash" in columns), source.name


def test_every_column_of_every_entity_is_filled_by_some_source() -> None:
    filled = {
        (name, column)
        for source in SOURCES.values()
        for name, shape in source.shapes.items()
        for column in (
            *shape.derived,
            *shape.sets,
            *(one for facet in shape.facets.values() for one in facet),
        )
    }
    derived_from_sets = {("journal_voucher", "furthest_phase")}
    wanted = {(name, field.name) for name, entity in ENTITIES.items() for field in entity.fields}

    assert wanted - filled == derived_from_sets


def test_only_duett_has_credentials_of_customers_and_a_company_that_is_one() -> None:
    assert [source.name for source in SOURCES.values() if source.company_credential] == ["duett"]
    assert {"integrationKey", "clientKey", "ftpPassword"} <= set(SOURCES["duett"].credentials)


def test_of_visma_net_only_account_and_shipment_announce_deletes() -> None:
    """VF-94."""
    deletes = [row.entity for row in SOURCES["visma-net"].events if row.operation == "delete"]

    assert deletes == ["account", "shipment"]


def test_columns_whose_change_fires_no_event_say_so_to_consumers() -> None:
    """D-03, D-60: names and types of accounts, and the details of carriers."""
    columns = {field.name: field for field in ENTITIES["voucher_line"].fields}
    carrier = {element.name: element for element in ARRAYS[Kind.CARRIERS].elements}
    keys = {"id", "carrier_type_id"}

    for name in ("account_name", "account_type", "name", "carriers"):
        assert "may be stale" in columns[name].doc
    assert {name for name, element in carrier.items() if "may be stale" not in element.doc} == keys
