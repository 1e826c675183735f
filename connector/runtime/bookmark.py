"""How far a replay has come, in a file: what was confirmed is not written again after an interruption."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from connector.core.selection import Selection
from connector.errors import Misconfigured


class Part(msgspec.Struct):
    """A piece of one raw partition."""

    topic: str
    partition: int
    next: int
    """First offset not yet done."""
    end: int
    """First offset that is not read."""


class Bookmark(msgspec.Struct):
    """What a replay was asked for, and what is left of it."""

    prefix: str
    selection: Selection
    parts: list[Part]
    written: int = 0

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return all(part.next >= part.end for part in self.parts)


_read: Final = msgspec.json.Decoder(Bookmark)


def load(path: Path, prefix: str, selection: Selection) -> Bookmark | None:
    """Read a bookmark; None where the file is not there yet.

    Args:
        path: Of the file.
        prefix: Of the topics.
        selection: What is asked for; if that is everything, what the bookmark was begun with.

    Raises:
        Misconfigured: It is none, or of another replay.
    """
    try:
        found = _read.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Misconfigured(f"{path}: {error.strerror}; name a file that can be written") from None
    except msgspec.MsgspecError:
        raise Misconfigured(f"{path}: not a bookmark of a replay; name another file") from None
    if found.prefix != prefix or selection not in (Selection(), found.selection):
        raise Misconfigured(
            f"{path}: belongs to a replay of something else; go on with it by --yes --resume alone, "
            "or name another file"
        )
    return found


def save(path: Path, bookmark: Bookmark) -> None:
    """Write a bookmark; a crash leaves the old one or the new one.

    Raises:
        Misconfigured: The file cannot be written.
    """
    beside = path.with_name(path.name + ".new")
    try:
        with beside.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(bookmark), indent=1))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise Misconfigured(f"{path}: {error.strerror}; name a file that can be written") from None
