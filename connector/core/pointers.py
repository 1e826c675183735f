"""JSON pointers (RFC 6901) that an operator gives for bodies whose form no document tells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec

Pointer: TypeAlias = tuple[str, ...]
"""The reference tokens, unescaped."""

_escape: Final = re.compile(r"~(?![01])").search
_index: Final = re.compile(r"0|[1-9][0-9]{0,5}").fullmatch


def pointer(text: str) -> Pointer:
    """Read a pointer.

    Raises:
        ValueError: Not one, or the empty one, which means a whole body and no field of it.

    Example:
        >>> pointer("/order/a~1b/0/m~0n")
        ('order', 'a/b', '0', 'm~n')
    """
    if not text.startswith("/"):
        raise ValueError("a JSON pointer begins with /, such as /order/number")
    if _escape(text):
        raise ValueError("in a JSON pointer ~ is written ~0, and / inside a name ~1")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in text[1:].split("/"))


def at(document: Any, way: Pointer) -> Any:
    """Give the value a pointer leads to; None where it leads nowhere."""
    for token in way:
        if isinstance(document, dict):
            document = document.get(token)
        elif isinstance(document, list) and _index(token) and int(token) < len(document):
            document = document[int(token)]
        else:
            return None
    return document


class Pointed(msgspec.Struct, frozen=True):
    """Pointers of one endpoint, laid out for the bodies of its source."""

    ways: tuple[tuple[str, tuple[Pointer, ...]], ...]
    """Name a value is read under, in lower case, and the pointers to it in the order they are tried."""
    replaced: frozenset[str]
    """Names in lower case that are not looked for any more: a pointer has taken their place."""
    named: frozenset[str]
    """Every name in a pointer, in lower case: whoever writes one knows these fields."""
    outer: frozenset[str]
    """Of these the fields that stand in the body itself and are told elsewhere in the record."""


def pointed(
    pointers: Mapping[str, tuple[Pointer, ...]], names: Mapping[str, tuple[str, ...]]
) -> Pointed | None:
    """Lay out pointers; None where there are none.

    Args:
        pointers: Field -> pointers to it.
        names: Field -> names in lower case it is looked for under; a pointer takes the place of all.

    Raises:
        KeyError: The source declares no such field.
    """
    if not pointers:
        return None
    every = [way for ways in pointers.values() for way in ways]
    return Pointed(
        ways=tuple((names[field][0], ways) for field, ways in pointers.items()),
        replaced=frozenset(name for field in pointers for name in names[field]),
        named=frozenset(token.lower() for way in every for token in way),
        outer=frozenset(way[0].lower() for way in every if len(way) == 1),
    )
