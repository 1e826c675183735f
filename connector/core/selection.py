"""Which raw records an operator means: by vendor, tenant, entity, time of receipt, or place."""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

import msgspec

from connector.model import Position, RawRecord

LeftOut: TypeAlias = Literal["forward", "erase", "copy"]
_SPAN: Final = re.compile(r"([A-Za-z0-9._-]{1,249})/(\d{1,9})/(\d{1,18})(?:-(\d{1,18}))?").fullmatch


class Span(msgspec.Struct, frozen=True):
    """Offsets of one partition, both ends included."""

    topic: str
    partition: int
    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Span:
        """Read `topic/partition/offset` or `topic/partition/first-last`.

        Raises:
            ValueError: Neither of them, or the last offset is before the first.

        Example:
            >>> Span.parse("erp.raw.duett/7/1042-1050").last
            1050
        """
        hit = _SPAN(text)
        if hit is None:
            raise ValueError("neither topic/partition/offset nor topic/partition/first-last")
        first = int(hit[3])
        last = first if hit[4] is None else int(hit[4])
        if last < first:
            raise ValueError("the last offset is before the first")
        return cls(hit[1], int(hit[2]), first, last)

    def has(self, at: Position | None) -> bool:
        """Say whether a record stands in it."""
        return (
            at is not None
            and (at.topic, at.partition) == (self.topic, self.partition)
            and self.first <= at.offset <= self.last
        )


class Selection(msgspec.Struct, frozen=True):
    """What is asked for; an empty field means any."""

    sources: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    since_us: int = 0
    """Received at or after, microseconds since 1970-01-01 UTC."""
    until_us: int | None = None
    """Received before."""
    spans: tuple[Span, ...] = ()
    copies: bool = False
    """Also what an earlier replay wrote."""

    def has(self, raw: RawRecord) -> bool:
        """Say whether a raw record is asked for."""
        key, received = raw.key, raw.meta.received_us
        return (
            (not self.sources or key.source in self.sources)
            and (not self.tenants or key.tenant in self.tenants)
            and (not self.entities or key.entity in self.entities)
            and received >= self.since_us
            and (self.until_us is None or received < self.until_us)
            and (not self.spans or any(span.has(raw.position) for span in self.spans))
        )

    def left_out(self, raw: RawRecord) -> LeftOut | None:
        """Say why a record that is asked for is not written again; None if it is.

        The record a forward comes from sends it anew. An erasure outlasts everything received before it.
        A copy stands beside its original, and copies of copies would double with every replay.
        """
        if raw.meta.origin in ("forward", "erase"):
            return raw.meta.origin
        if raw.meta.origin == "replay" and not self.copies:
            return "copy"
        return None


def copied(raw: RawRecord) -> RawRecord:
    """Give the record that is written again: everything as it was but its origin.

    Time of receipt, delivery id and endpoint are the first ones, so clamped times and tenants come out the
    same.
    """
    return RawRecord(raw.key, raw.body, msgspec.structs.replace(raw.meta, origin="replay"), raw.position)
