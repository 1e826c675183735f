"""The tables of the 20 entities: complete, documented, classified."""

import pytest

from connector.entities import ARRAYS, ENTITIES
from connector.entities.fields import Entity, Field, Kind
from connector.sources import SOURCES

ALL = [pytest.param(entity, id=name) for name, entity in ENTITIES.items()]
COLUMNS = [
    pytest.param(entity, field, id=f"{entity.name}.{field.name}")
    for entity in ENTITIES.values()
    for field in entity.fields
]
MASKED = ("bank", "national_id")


def test_there_are_twenty_entities_sorted_by_name() -> None:
    assert len(ENTITIES) == 20
    assert list(ENTITIES) == sorted(ENTITIES)


def test_every_entity_is_kept_by_a_source_and_no_source_keeps_another() -> None:
    kept = {entity for source in SOURCES.values() for entity in source.shapes}

    assert kept == set(ENTITIES)


@pytest.mark.parametrize("entity", ALL)
def test_no_column_stands_twice_or_takes_a_reserved_name(entity: Entity) -> None:
    names = [field.name for field in entity.fields]

    assert len(set(names)) == len(names)
    assert not {"id", "extras"} & set(names)
    assert not [name for name in names if name.startswith("meta_")]


@pytest.mark.parametrize(("entity", "field"), COLUMNS)
def test_every_column_is_told_in_one_sentence(entity: Entity, field: Field) -> None:
    assert field.doc.endswith("."), entity.name
    assert field.doc[0].isupper()
    assert field.name.isascii()
    assert field.name == field.name.lower()


@pytest.mark.parametrize("entity", ALL)
def test_a_masked_column_is_followed_by_its_hash(entity: Entity) -> None:
    names = [field.name for field in entity.fields]
    for at, field in enumerate(entity.fields):
        if field.pii in MASKED:
            after = entity.fields[at + 1]
            assert (after.name, after.kind, after.pii) == (f"{field.name}_hash", Kind.STRING, "none")
        if field.name.endswith("_hash"):
            assert names[at - 1] == field.name.removesuffix("_hash")
            assert entity.fields[at - 1].pii in MASKED


@pytest.mark.parametrize(("entity", "field"), COLUMNS)
def test_only_text_is_masked_and_identifiers_are_never_sensitive(entity: Entity, field: Field) -> None:
    if field.pii in MASKED:
        assert field.kind is Kind.STRING, entity.name
    if field.identifier:
        assert field.pii in ("none", "person")


def test_array_columns_have_their_records_and_nothing_else_has() -> None:
    used = {field.kind for entity in ENTITIES.values() for field in entity.fields}

    assert set(ARRAYS) == {kind for kind in used if len(kind.value) > 1}
    assert len({array.record_name for array in ARRAYS.values()}) == len(ARRAYS)
    for array in ARRAYS.values():
        assert array.doc
        names = [element.name for element in array.elements]
        assert len(set(names)) == len(names)
        assert array.sorted_by in ("", *names)
        assert all(element.doc.endswith(".") for element in array.elements)


def test_only_the_journal_voucher_has_phases() -> None:
    assert [name for name, entity in ENTITIES.items() if entity.phases] == ["journal_voucher"]
    assert ENTITIES["journal_voucher"].phases[0] == "receive"


def test_what_a_delete_record_repeats_is_as_documented() -> None:
    repeated = {
        name: {field.name for field in entity.fields if field.identifier} - {"number", "vendor_guid"}
        for name, entity in ENTITIES.items()
    }

    assert {name: columns for name, columns in repeated.items() if columns} == {
        "customer_contact": {"customer_id"},
        "customer_invoice": {"invoice_type"},
        "sales_order": {"order_type"},
        "voucher_line": {
            "voucher_number",
            "voucher_year",
            "voucher_ref",
            "line_number",
            "account_number",
        },
    }
