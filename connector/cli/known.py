"""What `connector explain` knows beforehand: a file of states, for people to read and edit.

The form is in docs/explain.md. A refusal names the file, the field and the remedy, never a value: what is
known of a customer is personal data. Written files can be read by their owner alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from connector.cli.known_values import Fault, members, shown, value, whole
from connector.core import identity
from connector.core.join import REKEY, canonical, well_formed
from connector.core.times import from_iso, to_rfc3339
from connector.entities import ENTITIES
from connector.entities.fields import Kind
from connector.errors import Misconfigured
from connector.model import NEVER, EntityKey, Facet, Known, State
from connector.sources import SOURCES

FORMAT: Final = "erp-connector state"
VERSION: Final = 1
_IDENTITY_SET: Final = "seen"


def read(path: Path) -> dict[str, Known]:
    """Read a state file: key -> what is known of it.

    Raises:
        Misconfigured: No such file, or not of the form.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise Misconfigured(
            f"{path}: {error.strerror}; --save-state writes such a file, and the first callback needs none"
        ) from None
    except UnicodeDecodeError:
        raise Misconfigured(f"{path}: not UTF-8; name a file that --save-state wrote") from None
    try:
        return _file(_json(text))
    except Fault as fault:
        raise Misconfigured(f"{path}: {fault}") from None


def write(path: Path, known: Mapping[str, Known]) -> None:
    """Write a state file in place of the one that is there; only its owner may read it.

    Raises:
        Misconfigured: It cannot be written.
    """
    told = {
        "format": FORMAT,
        "version": VERSION,
        "keys": {key: _told(key, known[key]) for key in sorted(known)},
    }
    text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
        beside.replace(path)
    except OSError as error:
        raise Misconfigured(f"{path}: {error.strerror}; name a file in a folder you may write to") from None


def _told(key: str, known: Known) -> dict[str, Any]:
    state = known.state
    kinds = _kinds(EntityKey.parse(key).entity)
    told: dict[str, Any] = {"timestamp_ms": known.timestamp_ms}
    if state.deleted != NEVER:
        told["deleted"] = _clock(state.deleted)
    if state.facets:
        told["facets"] = {
            name: {
                **_clock(facet.version),
                "rank": facet.rank,
                "fields": {column: shown(kinds.get(column), one) for column, one in facet.fields.items()},
            }
            for name, facet in sorted(state.facets.items())
        }
    for (name, element), version in sorted(state.sets.items()):
        told.setdefault("sets", {}).setdefault(name, {})[element] = _clock(version)
    return told


def _clock(version: int) -> dict[str, Any]:
    try:
        return {"version": version, "time": to_rfc3339(version)}
    except ValueError:
        return {"version": version}


def _kinds(entity: str) -> dict[str, Kind]:
    fields = ENTITIES[entity].fields if entity in ENTITIES else ()
    return {field.name: field.kind for field in fields}


def _json(text: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise Fault("the file", "an object names one member twice; keep one of them")
        return dict(pairs)

    def none(_: str) -> Any:
        raise Fault("the file", "a number with a fraction; write amounts as text, times as `time`")

    try:
        return json.loads(text, object_pairs_hook=once, parse_float=none, parse_constant=none)
    except RecursionError:
        raise Fault("the file", "nested too deeply; name a file that --save-state wrote") from None
    except json.JSONDecodeError as error:
        raise Fault(f"line {error.lineno}", "not JSON; name a file that --save-state wrote") from None
    except ValueError:
        raise Fault("the file", "a number of too many digits; write versions in ticks") from None


def _file(told: Any) -> dict[str, Known]:
    said = members(told, "the file", ("format", "version", "keys"))
    if said.get("format") != FORMAT:
        raise Fault("format", f'not "{FORMAT}"; name a file that --save-state wrote')
    if said.get("version") != VERSION:
        raise Fault("version", f"not {VERSION}, the only one this connector reads; save the state again")
    keys = said.get("keys")
    if not isinstance(keys, dict):
        raise Fault("keys", "missing, or no object; write an object of keys, perhaps an empty one")
    return {text: _known(_key(number, text), one) for number, (text, one) in enumerate(keys.items(), 1)}


def _key(number: int, text: str) -> EntityKey:
    where = f"keys[{number}]"
    try:
        key = EntityKey.parse(text)
    except ValueError:
        raise Fault(where, "no key of four segments; write source/tenant/entity/id") from None
    if EntityKey.of(key.source, key.tenant, key.entity, key.id).text != text:
        raise Fault(where, "not escaped as keys are; copy the key from what explain prints")
    if key.source not in SOURCES:
        raise Fault(where, f"no such source; known are {', '.join(SOURCES)}")
    if key.entity != identity.ENTITY and key.entity not in SOURCES[key.source].shapes:
        raise Fault(
            where, f"{key.source} keeps no such entity; known are {', '.join(SOURCES[key.source].shapes)}"
        )
    return key


def _known(key: EntityKey, told: Any) -> Known:
    where = key.text
    said = members(told, where, ("timestamp_ms", "deleted", "facets", "sets"))
    timestamp_ms = whole(said.get("timestamp_ms", 0), f"{where} timestamp_ms")
    deleted = _version(said["deleted"], f"{where} deleted") if "deleted" in said else NEVER
    facets = {
        name: _facet(key, name, one, f"{where} facets.{_safe(name)}")
        for name, one in _each(said.get("facets", {}), f"{where} facets")
    }
    sets = {}
    for name, elements in _each(said.get("sets", {}), f"{where} sets"):
        _check_set(key, name, where)
        for number, (element, one) in enumerate(_each(elements, f"{where} sets.{name}"), 1):
            sets[name, element] = _version(one, f"{where} sets.{name}[{number}]")
    state = State(deleted, facets, sets)
    if well_formed(state) != state:
        raise Fault(
            where, "holds what its own delete, or a newer GUID, has ended; take out what is not newer"
        )
    return Known(state, timestamp_ms)


def _each(told: Any, where: str) -> list[tuple[str, Any]]:
    if not isinstance(told, dict):
        raise Fault(where, "no object; write an object, or leave it out")
    return list(told.items())


def _safe(name: str) -> str:
    """Give a name a message may hold: ours are of a few characters, others could be anything."""
    return name if name.isascii() and name.replace("_", "").isalnum() and len(name) <= 32 else "?"  # noqa: PLR2004


def _check_set(key: EntityKey, name: str, where: str) -> None:
    known = (_IDENTITY_SET,) if key.entity == identity.ENTITY else SOURCES[key.source].shapes[key.entity].sets
    if name not in known:
        raise Fault(f"{where} sets", f"a set that is not kept; known are {', '.join(known) or 'none'}")


def _facet(key: EntityKey, name: str, told: Any, where: str) -> Facet:
    facets = {} if key.entity == identity.ENTITY else SOURCES[key.source].shapes[key.entity].facets
    plain = "rekey" if name.startswith(REKEY) else name
    if plain not in facets or (plain == "rekey") != name.startswith(REKEY):
        known = [REKEY + "<guid>" if one == "rekey" else one for one in facets]
        raise Fault(f"{key.text} facets", f"a facet that is not kept; known are {', '.join(known) or 'none'}")
    said = members(told, where, ("version", "time", "rank", "fields"))
    rank = whole(said.get("rank"), f"{where}.rank")
    kinds = {column: _kinds(key.entity)[column] for column in facets[plain]} | {"extras": Kind.STRING}
    fields = {}
    for column, one in _each(said.get("fields", {}), f"{where}.fields"):
        if column not in kinds:
            raise Fault(f"{where}.fields.{_safe(column)}", f"not of this facet; known are {', '.join(kinds)}")
        fields[column] = value(kinds[column], one, f"{where}.fields.{column}")
    if "extras" in fields:
        _extras(fields["extras"], f"{where}.fields.extras")
    return Facet(_version(said, where), rank, fields)


def _extras(text: str, where: str) -> None:
    try:
        told = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or canonical(told).decode() != text:
        raise Fault(where, "not the canonical JSON text of an object; copy it from a saved state")


def _version(told: Any, where: str) -> int:
    """Read `version`, or `time`, which says the same for people."""
    if not isinstance(told, dict):
        raise Fault(where, 'no object; write {"version": <ticks>} or {"time": "2025-11-01T12:00:00Z"}')
    time = None
    if "time" in told:
        try:
            time = from_iso(told["time"]) if isinstance(told["time"], str) else None
        except ValueError:
            time = None
        if time is None:
            raise Fault(
                f"{where}.time", "no ISO 8601 time with a zone; write one such as 2025-11-01T12:00:00Z"
            )
    if "version" not in told:
        if time is None:
            raise Fault(where, "neither version nor time; write one of them")
        return time
    version = whole(told["version"], f"{where}.version")
    if time not in (None, version):
        raise Fault(where, "version and time disagree; keep one of them")
    return version
