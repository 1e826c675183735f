"""QuickFile's body -> items: several event names, each with its items, in a wrapper or without one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

from connector.core.read import decode, elements, fold, members, tidy
from connector.core.source import Part
from connector.core.tolerances import (
    EVENT_ID_MADE,
    GUID_CASE,
    ID_FALLBACK,
    NAME_CASE,
    SINGLE,
    UNWRAPPED,
)
from connector.model import Callback
from connector.sources.quickfile.table import BESIDE, NAME, PRINTED_BESIDE

_LONGEST: Final = 100
"""Characters kept of an event name or id of a POST; all known ones are shorter than 40."""


def split(callback: Callback) -> Iterator[Part]:
    """Cut out every item of every event name, with or without the wrapper."""
    body, bom = tidy(callback.body)
    outer = members(body, NAME)
    folded = fold(outer, NAME)
    inner: dict[str, bytes] = {}
    if (wrapped := folded.get("payload")) not in (None, b"null"):
        inner = members(wrapped, f"{NAME}.PayLoad")
    used = [*bom]
    hook = _hook(folded, fold(inner, f"{NAME}.PayLoad"), used)
    if hook is None:
        used.append(EVENT_ID_MADE)
        hook = hashlib.sha256(body).hexdigest()[:32]
    if any(name not in PRINTED_BESIDE and name.lower() in BESIDE for name in (*inner, *outer)):
        used.append(NAME_CASE)
    for events, place in ((inner, ()), (outer, (UNWRAPPED,))):
        for name, value in events.items():
            if name.lower() in BESIDE or value[:1] not in (b"[", b"{"):
                continue
            flags = (*used, *place, *((SINGLE,) if value[:1] == b"{" else ()))
            for index, item in enumerate(elements(value, f"{NAME}.{name}")):
                why = "" if item[:1] == b"{" else "not an object"
                # Both travel with every item: one endless name would multiply the body.
                event = name[:_LONGEST]
                yield Part(item, event, f"{hook[:_LONGEST]}:{event}:{index}", flags, why)


def _hook(outer: Mapping[str, bytes], inner: Mapping[str, bytes], used: list[str]) -> str | None:
    """Find the id of the POST: beside the wrapper, in it, or in an `Authentication` object."""
    first = inner or outer
    for envelope in (outer, inner):
        places = [envelope]
        if (proof := envelope.get("authentication", b"")).startswith(b"{"):
            places.append(fold(members(proof, f"{NAME}.Authentication"), f"{NAME}.Authentication"))
        for place in places:
            hook = decode(place["hookid"], f"{NAME}.HookId") if "hookid" in place else None
            if not isinstance(hook, str) or not (sent := hook.strip()):
                continue
            if place is not first:
                used.append(ID_FALLBACK)
            if (found := sent.lower()) != sent:
                used.append(GUID_CASE)
            return found
    return None
