"""Bodies that leave no doubt: one object of texts, each name once, nothing but quotes escaped.

A serialiser that puts its model as JSON text into an envelope writes nearly every body so. Then one reading
and one sum prove what otherwise takes a second reading and a walk: that no name stands twice, that no letter
is hidden behind an escape, that nothing stands between the members. Any other body is read the general way.
"""

from __future__ import annotations

from typing import Final

import msgspec

_texts: Final = msgspec.json.Decoder(dict[str, str])
_BESIDE: Final = 6
r"""Characters of a member besides name and text: four quotes, a colon, and a comma or the last brace."""


class Flat(msgspec.Struct, gc=False):
    """A body without doubt; made by `flat` and nowhere else."""

    members: dict[str, str]
    """Name -> text, in their order. Both stand in the body as they are here, but for a backslash before each
    quote; neither holds a backslash."""
    bounded: bool = False
    """Whether upper bounds of what the body may cost were enough: then they are for each of its texts."""


def flat(body: bytes) -> Flat | None:
    r"""Read an envelope of texts; None where anything is unusual, whatever it is.

    JSON of the members found is at least as long as they are, with a backslash before each quote and six
    characters for each member. A body of just that length holds nothing else: a second member of a name, a
    blank, or any other escape, a backslash inside a text too, would make it longer.

    Example:
        >>> flat(b'{"a":"1","data":"{\\"id\\":2}"}').members
        {'a': '1', 'data': '{"id":2}'}
        >>> flat(b'{"a":"1","a":"2"}')
    """
    try:
        members = _texts.decode(body)
        length = len(body) if body.isascii() else len(body.decode())
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    everything = "".join([*members, *members.values()])
    shortest = 1 + _BESIDE * len(members) + len(everything) + everything.count('"')
    return Flat(members) if length == shortest else None
