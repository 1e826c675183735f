"""What the Visma sources note in a reading beside what it says of the entity: origin, action, tolerances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from connector.core.convert import Fill
from connector.core.tolerances import FIELD_ALIAS, NAME_CASE, distinct
from connector.core.visma import Envelope, text_of
from connector.entities.fields import Entity
from connector.model import EntityKey, Fields, Reading

HINTS: Final = frozenset({"CREATED", "UPDATED", "DELETED", "INSERTED"})
"""Values of `action` that only repeat the event; anything else is the name of a button (A-11)."""

_NO_TABLE: Final[Mapping[str, str]] = {}
"""Binds nothing. One object: conversion remembers every table it has seen."""


def tell_forms(
    reading: Reading,
    one: Envelope,
    printed: frozenset[str],
    known: frozenset[str],
    wrappers: Iterable[str] = (),
) -> None:
    """Note in a reading what was bent for it, and the fields that nobody names.

    Args:
        reading: Everything else was told already.
        one: What was read.
        printed: Names as printed; empty where the vendor prints none.
        known: Names in lower case that are read, or known to be told elsewhere.
        wrappers: Names of objects whose fields count as the body's.
    """
    if one.pointed is not None:
        known |= one.pointed.named
    if not printed.issuperset(one.sent):
        odd = [name for name, value in one.sent.items() if name not in printed and value is not None]
        unknown = [name for name in odd if name.lower() not in known]
        if printed and len(odd) > len(unknown):
            one.used.append(NAME_CASE)
        for layer in one.inner(wrappers)[1:]:
            unknown += [name for name, value in layer.items() if name not in known and value is not None]
        reading.unknown_fields = tuple(unknown)
    if one.used:
        reading.tolerances = distinct(one.used)


def tell_origin(reading: Reading, one: Envelope) -> None:
    """Note in a reading who made the change, and in which of the vendor's tenants."""
    reading.origin_client = one.text("apiclientid")
    reading.origin_user = one.text("userid")
    connect = one.text("connectid")
    reading.origin_connect = None if connect is None else one.lower(connect)
    tenant = one.text("tenantid") or one.header("tenant-id")
    reading.vendor_tenant = None if tenant is None else one.lower(tenant)
    if isinstance(found := one.folded.get("isscheduler"), bool):
        reading.by_scheduler = found
    elif isinstance(found := one.folded.get("ischeduler"), bool):
        reading.by_scheduler = found
        one.used.append(FIELD_ALIAS)


def tell_action(reading: Reading, one: Envelope, *names: str) -> None:
    """Note the button that was used; a mere repetition of the event stays an attribute."""
    names = names or ("action",)
    action = one.text(*names)
    if action is not None and action.upper() not in HINTS:
        reading.action_name = action
        reading.attributes = {
            name: value for name, value in reading.attributes.items() if name.lower() not in names
        }


def without_id(rest: Mapping[str, object], key: EntityKey, names: Iterable[str]) -> dict[str, object]:
    """Leave out fields that only repeat the id or one of its parts."""
    names, said = frozenset(names), {key.id, *key.id.split("/")}
    return {
        name: value for name, value in rest.items() if name.lower() not in names or text_of(value) not in said
    }


def unplaced(entity: Entity, said: Mapping[str, object]) -> Fields:
    """Give the fields of a facet that keeps what has no column."""
    return Fill(entity).take(said, _NO_TABLE).fields
