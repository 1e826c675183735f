import json
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import fastavro
import pytest

from connector.errors import Misconfigured
from connector.runtime import schemas
from connector.runtime.registry import READ_ONLY, Registry, RegistryApi, canonical_text, digest


def field(name: str, avro: Any = "string", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": avro, "doc": "A field.", "pii": "none", **more}


def optional(name: str, avro: Any = "string", **more: Any) -> dict[str, Any]:
    return field(name, ["null", avro], default=None, **more)


def record(*fields: dict[str, Any], name: str = "Customer") -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "namespace": "erp.changelog",
        "doc": "Søren's record.",
        "fields": list(fields),
    }


OLD = record(field("id"))
NEW = record(field("id"), optional("city"))
EVENT = record(field("id"), name="Event")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = []
    for at, (name, version, schema) in enumerate(
        [("customer", 1, OLD), ("event", 1, EVENT), ("customer", 2, NEW)], start=1
    ):
        file = f"{name}.{version}.avsc"
        (tmp_path / file).write_text(json.dumps(schema))
        rows.append({"id": at, "name": name, "version": version, "file": file, "sha256": digest(schema)})
    (tmp_path / "ids.json").write_text(json.dumps(rows))
    return tmp_path


@pytest.fixture
def api(folder: Path) -> RegistryApi:
    return RegistryApi(Registry.load(folder), "erp")


def test_the_newest_version_writes_and_every_id_reads(folder: Path) -> None:
    registry = Registry.load(folder)

    assert registry.writer("customer") == (3, NEW)
    assert registry.by_id(1) == OLD
    assert registry.named() == {1: ("customer", OLD), 2: ("event", EVENT), 3: ("customer", NEW)}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: (path / "ids.json").unlink(), "ids.json: No such file"),
        (lambda path: (path / "ids.json").write_text("{}"), "ids.json: broken"),
        (lambda path: (path / "event.1.avsc").unlink(), "event.1.avsc: missing"),
        (lambda path: (path / "event.1.avsc").write_text(json.dumps(OLD)), "not the schema locked as id 2"),
        (
            lambda path: (path / "ids.json").write_text(
                (path / "ids.json").read_text().replace(": 3", ": 1")
            ),
            "id 1 stands twice",
        ),
    ],
)
def test_a_lock_that_does_not_hold_is_refused(folder: Path, spoil: Any, told: str) -> None:
    spoil(folder)

    with pytest.raises(Misconfigured, match=re.escape(told)):
        Registry.load(folder)


CUSTOMER = "erp.changelog.customer-value"


@pytest.mark.parametrize(
    ("path", "query", "status", "told"),
    [
        ("/schemas/ids/1", {}, 200, {"schema": canonical_text(OLD)}),
        (
            "/schemas/ids/1",
            {"fetchMaxId": "true", "subject": CUSTOMER},
            200,
            {"schema": canonical_text(OLD), "maxId": 3},
        ),
        ("/schemas/ids/1", {"fetchMaxId": "false"}, 200, {"schema": canonical_text(OLD)}),
        ("/schemas/ids/3/versions", {}, 200, [{"subject": CUSTOMER, "version": 2}]),
        ("/schemas/ids/3/subjects", {}, 200, [CUSTOMER]),
        ("/schemas/ids/9", {}, 404, 40403),
        ("/schemas/ids/one", {}, 404, 40403),
        ("/schemas/ids/1/bogus", {}, 404, 404),
        ("/schemas/types", {}, 200, ["AVRO"]),
        ("/subjects", {}, 200, [CUSTOMER, "erp.events-value"]),
        ("/subjects/", {"subjectPrefix": "erp.ev"}, 200, ["erp.events-value"]),
        (f"/subjects/{CUSTOMER}/versions", {}, 200, [1, 2]),
        (f"/subjects/{CUSTOMER}/versions/2/referencedby", {}, 200, []),
        (f"/subjects/{CUSTOMER}/versions/7", {}, 404, 40402),
        (f"/subjects/{CUSTOMER}/versions/newest", {}, 422, 42202),
        (f"/subjects/{CUSTOMER}/metadata", {}, 404, 404),
        ("/subjects/other-value/versions", {}, 404, 40401),
        ("/subjects/erp.changelog%2Ecustomer-value/versions", {}, 200, [1, 2]),
        ("/config", {}, 200, {"compatibilityLevel": "FULL_TRANSITIVE"}),
        (f"/config/{CUSTOMER}", {"defaultToGlobal": "true"}, 200, {"compatibilityLevel": "FULL_TRANSITIVE"}),
        ("/config/other-value", {}, 404, 40401),
        ("/mode", {}, 200, {"mode": "READONLY"}),
        ("/contexts", {}, 200, ["."]),
        ("", {}, 200, {}),
        ("/bogus", {}, 404, 404),
    ],
)
def test_the_paths_answer_like_confluents(
    api: RegistryApi, path: str, query: dict[str, str], status: int, told: Any
) -> None:
    got, body = api.answer(path, query)

    assert got == status
    assert (body["error_code"] if status != 200 else body) == told


@pytest.mark.parametrize("version", ["2", "latest", "-1"])
def test_a_version_is_told_whole(api: RegistryApi, version: str) -> None:
    assert api.answer(f"/subjects/{CUSTOMER}/versions/{version}", {}) == (
        200,
        {"subject": CUSTOMER, "version": 2, "id": 3, "schemaType": "AVRO", "schema": canonical_text(NEW)},
    )


@pytest.mark.parametrize("path", ["/schemas/ids/1/schema", f"/subjects/{CUSTOMER}/versions/1/schema"])
def test_a_schema_can_be_had_bare(api: RegistryApi, path: str) -> None:
    status, body = api.answer(path, {})

    assert (status, json.loads(bytes(body))) == (200, OLD)


def test_a_list_of_all_schemas_can_be_narrowed(api: RegistryApi) -> None:
    _, everything = api.answer("/schemas", {})
    _, newest = api.answer("/schemas", {"subjectPrefix": CUSTOMER, "latestOnly": "true"})

    assert [one["id"] for one in everything] == [1, 3, 2]
    assert [one["id"] for one in newest] == [3]


def test_whoever_would_change_something_is_told_405() -> None:
    assert READ_ONLY[0] == READ_ONLY[1]["error_code"] == 405


def incompatible() -> Iterator[Any]:
    money = {"type": "bytes", "logicalType": "decimal", "precision": 19, "scale": 4}
    wider = {**money, "scale": 5}
    lines = {"type": "array", "items": record(optional("amount", money), name="Line")}
    other = {"type": "array", "items": record(optional("amount", wider), name="Line")}
    yield pytest.param(record(field("id"), field("city")), "city: new and without a default", id="required")
    yield pytest.param(record(field("id", "long")), "id: another type", id="retyped")
    yield pytest.param(record(optional("id")), "id: another default", id="made nullable")
    yield pytest.param(record(field("id"), name="Client"), "the record: another type, name", id="renamed")
    yield pytest.param(
        [optional("n", money), optional("n", wider)], "n: another type, name, scale", id="scale"
    )
    yield pytest.param(
        [optional("n", lines), optional("n", other)], "n.amount: another type", id="inside an array"
    )
    yield pytest.param([optional("n"), optional("n", "long")], "n: another type", id="inside a union")


@pytest.mark.parametrize(("case", "told"), [*incompatible()])
def test_a_change_that_some_reader_could_not_follow_is_found(case: Any, told: str) -> None:
    old, new = (record(one) for one in case) if isinstance(case, list) else (OLD, case)

    faults = [*schemas.unreadable(old, new), *schemas.unreadable(new, old)]

    assert any(fault.startswith(told) for fault in faults), faults


def test_a_new_nullable_field_is_read_by_old_and_new() -> None:
    assert [*schemas.unreadable(OLD, NEW), *schemas.unreadable(NEW, OLD)] == []


def test_what_counts_as_readable_is_read_by_fastavro(tmp_path: Path) -> None:
    path = tmp_path / "record"
    for writer, reader in ((OLD, NEW), (NEW, OLD)):
        with path.open("wb") as out:
            fastavro.schemaless_writer(out, deepcopy(writer), {"id": "7", "city": "Bodø"})
        with path.open("rb") as written:
            read = fastavro.schemaless_reader(written, deepcopy(writer), deepcopy(reader))

        assert read["id"] == "7"  # type: ignore[index, call-overload]


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (field("a", doc=""), "x.a: no doc"),
        (field("a", pii="secret"), "x.a: a string without a class"),
        (optional("a", pii=None), "x.a: a string without a class"),
        (field("a", ["string", "null"]), "x.a: a union other than"),
        (field("a", ["null", "string", "long"]), "x.a: a union other than"),
        (field("a", ["null", "string"]), "x.a: nullable without default null"),
        (field("a", "double"), "x.a: a type that consumers cannot all read"),
        (field("a", "int"), "x.a: a type that"),
        (field("a", {"type": "enum", "name": "E", "symbols": ["A"]}), "x.a: a type that"),
        (field("a", {"type": "array", "items": "string"}), "x.a: a type that"),
        (field("a", {"type": "array", "items": record(field("b", doc=""))}), "x.a.b: no doc"),
    ],
)
def test_the_lint_finds_what_the_contract_forbids(bad: dict[str, Any], told: str) -> None:
    assert [fault for fault in schemas.lint("x", record(bad)) if fault.startswith(told)]


def test_the_lint_passes_what_the_contract_allows() -> None:
    enum = {"type": "enum", "name": "Op", "symbols": ["UPSERT"]}

    assert [*schemas.lint("x", record(field("id"), optional("n", "long"), field("meta_op", enum)))] == []


def test_freezing_twice_adds_nothing_and_a_changed_form_gets_the_next_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(release: str) -> dict[str, str]:
        files = schemas.freeze(tmp_path, release)
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return files

    first = write("0.1.0")
    again = write("0.1.0")
    changed = schemas.made()
    changed["customer"]["fields"].append(optional("added_later"))
    monkeypatch.setattr(schemas, "made", lambda: changed)
    later = write("0.2.0")

    assert schemas.check(tmp_path) == []
    assert first["ids.json"] == again["ids.json"]
    assert set(later) - set(again) == {"released/0.2.0/customer.2.avsc"}
    assert later["ids.json"].startswith(first["ids.json"][:-3])
    assert Registry.load(tmp_path).writer("customer")[0] == len(schemas.made())


def test_a_check_names_what_is_stale_moved_or_incompatible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in schemas.freeze(tmp_path, "0.1.0").items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    changed = schemas.made()
    changed["customer"]["fields"].append(field("required_later"))
    changed["supplier"]["fields"].pop()
    monkeypatch.setattr(schemas, "made", lambda: changed)
    stale = schemas.check(tmp_path)
    for name, text in schemas.freeze(tmp_path, "0.2.0").items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    broken = schemas.check(tmp_path)
    rows = json.loads((tmp_path / "ids.json").read_text())
    (tmp_path / "ids.json").write_text(json.dumps(rows[:3] + rows[4:]))
    moved = schemas.check(tmp_path)

    assert "customer.avsc: stale; run docs/generate.py" in stale
    assert "customer: its newest form has no id; run docs/generate.py" in stale
    assert any("cannot read version 1: required_later" in fault for fault in broken)
    assert any(fault.startswith("supplier.extras: removed without") for fault in broken)
    assert any("id 4 is missing" in fault for fault in moved)
