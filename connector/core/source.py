"""What a vendor must say about itself: how its body is cut, where a part lands, what it means.

A vendor is one module in `connector.sources` that ends in `SOURCE`, a `Source`. All its functions
are pure: bytes in, nouns out, and they refuse with `connector.errors.Unusable` only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import tzinfo
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, Self

import msgspec

from connector.core.pointers import Pointer, pointed
from connector.model import Callback, EntityKey, Fields, RawRecord, Reading

if TYPE_CHECKING:
    from connector.core.events import EventTable


class Part(msgspec.Struct, frozen=True, gc=False):
    """One vendor event inside a callback: an exact slice of its body."""

    body: bytes
    event: str = ""
    """Event name where the slice does not hold it."""
    event_id: str = ""
    """Event id where the slice does not hold it."""
    flags: tuple[str, ...] = ()
    """Tolerances used to read it."""
    why: str = ""
    """Set where the slice cannot be read on its own: it goes to quarantine, its neighbours do not."""
    read: object = None
    """What `split` read of the slice already, for `address`; None where nothing."""


class Address(msgspec.Struct, frozen=True, gc=False):
    """Where one part lands."""

    entity: str
    """Canonical entity; `system` for events without one."""
    id: str
    company: str | None = None
    """Company id inside the body; checked against the endpoint. None where the body has none."""
    flags: tuple[str, ...] = ()
    """Tolerances used to find it."""


class Shape(msgspec.Struct, frozen=True):
    """What this source keeps of one entity."""

    state_facet: str
    """The facet whose presence makes the entity exist again after a delete."""
    facets: Mapping[str, Mapping[str, str]]
    """Facet -> column -> the vendor's field (the text of `x-vendor-name`)."""
    sets: tuple[str, ...] = ()
    """Sets this source unites: `merged_from`, `allocations`, `phases`."""
    derived: Mapping[str, str] = {}
    """Column -> what it is derived from; filled by `Source.derive` from the key alone."""


class EventRow(msgspec.Struct, frozen=True):
    """One row of a vendor's event table; `row` is the id in the requirements (`VF-01`, `QE-14`)."""

    row: str
    name: str
    """As the vendor's document prints it."""
    token: str
    """Lower case, only a-z0-9: names are matched by token."""
    entity: str | None
    operation: Literal["upsert", "patch", "status", "delete", "merge", "rekey", "note"]
    rank: int
    aliases: tuple[str, ...] = ()
    deprecated_for: str = ""
    """Source whose events take its place, where the vendor announces its end."""
    tolerances: tuple[str, ...] = ()
    """What was bent to come from the name on the wire to this row."""


class Given(msgspec.Struct, frozen=True):
    """What an operator says of the bodies of one endpoint, where no document does."""

    zone: tzinfo | None = None
    """Of times that name none; None: as the source assumes."""
    aliases: Mapping[str, str] = {}
    """Event name as the vendor sends it -> name in the source's table."""
    pointers: Mapping[str, tuple[Pointer, ...]] = {}
    """Field, of `Source.pointers` -> where it stands, tried in order."""


class Source(msgspec.Struct, frozen=True):
    """One vendor dialect."""

    name: str
    title: str
    split: Callable[[Callback], Iterable[Part]]
    """Cut a body into parts, one per vendor event, without reading more than that needs."""
    address: Callable[[Part, Callback], tuple[Address, ...]]
    """Say where a part lands; two addresses where one item concerns two entities."""
    normalise: Callable[[RawRecord], Reading]
    """Read everything a raw record says."""
    derive: Callable[[EntityKey], Fields]
    """Columns that are part of the id (`number`, `order_type`)."""
    shapes: Mapping[str, Shape]
    """Canonical entity -> shape."""
    events: tuple[EventRow, ...]
    credentials: tuple[str, ...] = ()
    """Names of fields whose text is redacted before anything is produced, at any depth."""
    company_credential: str = ""
    """The field of the company id, where that is itself a credential (Duett's `clientKey`)."""
    zone_assumed: bool = False
    """Whether the vendor's times carry no zone and are read as UTC."""
    tune: Callable[[Given], Self] | None = None
    """Give the same dialect with what an operator says of an endpoint; None: it takes nothing."""
    pointers: tuple[str, ...] = ()
    """Fields whose place an operator may give, because the vendor publishes no body."""
    tuned: Mapping[str, Self] = {}
    """Endpoint id -> this dialect, as tuned for it; endpoints without options are not named."""

    def at(self, endpoint: str) -> Source:
        """Give the dialect of an endpoint; of one that is configured no more, the plain one."""
        return self.tuned.get(endpoint, self)


_NO_POINTERS: Final[Mapping[str, tuple[str, ...]]] = {}


def tunable(source: Source, table: EventTable, names: Mapping[str, tuple[str, ...]] = _NO_POINTERS) -> Source:
    """Give a source that takes what an operator says of an endpoint.

    Its functions take that as arguments, with the source's own as the default, so that an endpoint without
    options pays nothing: `address` and `normalise` take `events`, `normalise` takes `zone`, and both take
    `given`, the pointers laid out, where the source names fields for them.

    Args:
        source: As it reads endpoints of which nothing is said.
        table: Its events.
        names: Field whose place may be given -> names in lower case it is looked for under.
    """

    def tune(given: Given) -> Source:
        told: dict[str, object] = {"events": table.aliased(given.aliases)}
        if names:
            told["given"] = pointed(given.pointers, names)
        return msgspec.structs.replace(
            tuned,
            address=partial(address, **told),
            normalise=partial(normalise, **told, zone=given.zone),
        )

    address: Callable[..., tuple[Address, ...]] = source.address
    normalise: Callable[..., Reading] = source.normalise
    tuned = msgspec.structs.replace(source, tune=tune, pointers=tuple(names))
    return tuned
