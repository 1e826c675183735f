"""The committed schemas against the tables they are made from: freshness, lint, compatibility, the lock.

Every changelog topic is compacted, so its records are as old as any released schema: each pair of versions
must be readable by the other, in both directions (FULL_TRANSITIVE).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any, Final

import msgspec

from connector.core.schema import changelog_schema, event_schema, identity_schema, raw_meta_schema
from connector.entities import ARRAYS, ENTITIES
from connector.runtime.registry import LOCK, Locked, Registry, digest, read_lock
from connector.sources import SOURCES

Schema = Mapping[str, Any]
UNFRAMED: Final = "raw_meta"
"""Documentation of the header `meta`; never in front of a record, so it has no id."""
PII: Final = frozenset({"none", "person", "contact", "bank", "national_id"})
_PLAIN: Final[tuple[Any, ...]] = (
    "string",
    "long",
    "boolean",
    {"type": "bytes", "logicalType": "decimal", "precision": 19, "scale": 4},
    {"type": "bytes", "logicalType": "decimal", "precision": 28, "scale": 9},
    {"type": "int", "logicalType": "date"},
    {"type": "long", "logicalType": "timestamp-millis"},
)
_ENUM: Final = "meta_op"


def made() -> dict[str, dict[str, Any]]:
    """Make every schema from the tables: entities, `event`, `identity`, `raw_meta`."""
    entities = {name: changelog_schema(one, SOURCES.values(), ARRAYS) for name, one in ENTITIES.items()}
    return entities | {
        "event": event_schema(),
        "identity": identity_schema(),
        UNFRAMED: raw_meta_schema(),
    }


def pretty(schema: Schema) -> str:
    """Write a schema as it is committed."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def check(folder: Path) -> list[str]:
    """Find everything that is wrong with the committed schemas; an empty list is good.

    Raises:
        Misconfigured: The lock is missing or broken.
    """
    registry = Registry.load(folder)
    return [
        *_stale(folder, registry),
        *(fault for name, schema in made().items() if name != UNFRAMED for fault in lint(name, schema)),
        *_moved(registry),
        *_incompatible(registry),
    ]


def _stale(folder: Path, registry: Registry) -> Iterator[str]:
    for name, schema in made().items():
        file = folder / f"{name}.avsc"
        if not file.exists() or file.read_text() != pretty(schema):
            yield f"{name}.avsc: stale; run docs/generate.py"
        if name != UNFRAMED and (
            not registry.versions(name) or registry.versions(name)[-1].sha256 != digest(schema)
        ):
            yield f"{name}: its newest form has no id; run docs/generate.py"


def _moved(registry: Registry) -> Iterator[str]:
    names: dict[str, list[Locked]] = {}
    for at, one in enumerate(registry.locked, start=1):
        names.setdefault(one.name, []).append(one)
        if one.id != at:
            yield f"{LOCK}: id {at} is missing; ids are never removed"
            break
    for name, locked in names.items():
        if [one.version for one in locked] != list(range(1, len(locked) + 1)):
            yield f"{LOCK}: versions of {name} do not count up from 1 with its ids"


def _incompatible(registry: Registry) -> Iterator[str]:
    for name in sorted({one.name for one in registry.locked}):
        locked = registry.versions(name)
        for writer, reader in permutations(locked, 2):
            for fault in unreadable(registry.by_id(writer.id), registry.by_id(reader.id)):
                yield f"{name}: version {reader.version} cannot read version {writer.version}: {fault}"
        for older, newer in pairwise(locked):
            kept = {field["name"] for field in registry.by_id(newer.id)["fields"]}
            for field in registry.by_id(older.id)["fields"]:
                if field["name"] not in kept and not field.get("deprecated"):
                    yield f"{name}.{field['name']}: removed without having been marked deprecated before"


def lint(where: str, schema: Schema) -> Iterator[str]:
    """Find what breaks the rules of docs/consuming.md in one record schema."""
    if not schema.get("doc"):
        yield f"{where}: no doc"
    for field in schema["fields"]:
        yield from _lint_field(f"{where}.{field['name']}", field)


def _lint_field(where: str, field: Schema) -> Iterator[str]:
    if not field.get("doc"):
        yield f"{where}: no doc"
    avro = field["type"]
    if isinstance(avro, list):
        if len(avro) != 2 or avro[0] != "null":  # noqa: PLR2004  null and one other
            yield f'{where}: a union other than ["null", T]'
            return
        if field.get("default", ...) is not None:
            yield f"{where}: nullable without default null"
        avro = avro[1]
    if avro == "string" and field.get("pii") not in PII:
        yield f"{where}: a string without a class of personal data"
    if avro in _PLAIN:
        return
    kind = avro.get("type") if isinstance(avro, dict) else None
    if kind == "array" and isinstance(avro["items"], dict) and avro["items"].get("type") == "record":
        yield from lint(where, avro["items"])
    elif kind != "enum" or field["name"] != _ENUM:
        yield f"{where}: a type that consumers cannot all read"


def unreadable(writer: Any, reader: Any, where: str = "") -> Iterator[str]:
    """Say why records of one schema cannot be read with the other, by Avro's schema resolution.

    Stricter than Avro: logical types, scales and the defaults of shared fields must be equal, since a
    reader that trusts its own schema would shift the point.
    """
    if isinstance(writer, list) or isinstance(reader, list):
        if not (isinstance(writer, list) and isinstance(reader, list) and len(writer) == len(reader)):
            yield f"{where or 'the record'}: another union"
            return
        for one, other in zip(writer, reader, strict=True):
            yield from unreadable(one, other, where)
        return
    if isinstance(writer, str) or isinstance(reader, str):
        if writer != reader:
            yield f"{where}: another type"
        return
    kinds = ("type", "name", "namespace", "logicalType", "precision", "scale", "symbols")
    if any(writer.get(kind) != reader.get(kind) for kind in kinds):
        yield f"{where or 'the record'}: another type, name, scale or symbols"
    elif writer["type"] == "array":
        yield from unreadable(writer["items"], reader["items"], where)
    elif writer["type"] == "record":
        yield from _unreadable_fields(writer["fields"], reader["fields"], where)


def _unreadable_fields(writer: Iterable[Schema], reader: Iterable[Schema], where: str) -> Iterator[str]:
    written = {field["name"]: field for field in writer}
    for field in reader:
        name = f"{where}.{field['name']}".lstrip(".")
        if (other := written.get(field["name"])) is None:
            if "default" not in field:
                yield f"{name}: new and without a default"
            continue
        if other.get("default", ...) != field.get("default", ...):
            yield f"{name}: another default"
        yield from unreadable(other["type"], field["type"], name)


def freeze(folder: Path, release: str) -> dict[str, str]:
    """Lay out what the folder must hold: file name -> text; new forms get the next ids.

    Args:
        folder: Where the lock is; an empty folder starts at id 1.
        release: The product's version; frozen copies go to `released/<release>/`.
    """
    locked = read_lock(folder) if (folder / LOCK).exists() else []
    files = {f"{name}.avsc": pretty(schema) for name, schema in made().items()}
    newest = {one.name: one for one in locked}
    for name, schema in made().items():
        if name == UNFRAMED or (name in newest and newest[name].sha256 == digest(schema)):
            continue
        version = newest[name].version + 1 if name in newest else 1
        copy = f"released/{release}/{name}.{version}.avsc"
        locked.append(Locked(len(locked) + 1, name, version, copy, digest(schema)))
        files[copy] = pretty(schema)
    rows = ",\n".join(f"  {msgspec.json.encode(one).decode()}" for one in locked)
    return files | {LOCK: f"[\n{rows}\n]\n"}
