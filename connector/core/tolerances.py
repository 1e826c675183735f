"""Every tolerance of the readers, by name: the closed list.

A tolerance is a reading that goes beyond what a vendor's documents print, or a choice between two forms they
print themselves. Each one that is used stands as a flag on the event and is counted: nothing is bent in
silence. A new tolerance is a constant, a line in `TOLERANCES`, and a case that shows it; docs/tolerances.md
is made from the list.
"""

from __future__ import annotations

from typing import Final

import msgspec

BOM: Final = "bom"
REPAIRED: Final = "repaired"
LIST: Final = "list"
SINGLE: Final = "single"
UNWRAPPED: Final = "unwrapped"
NAME_CASE: Final = "name_case"
FIELD_ALIAS: Final = "field_alias"
FIELD_ASSUMED: Final = "field_assumed"
FIELD_TWICE: Final = "field_twice"
DATA_OBJECT: Final = "data_object"
ID_TEXT: Final = "id_text"
ID_FALLBACK: Final = "id_fallback"
LOCATION_FORM: Final = "location_form"
EVENT_ID_MADE: Final = "event_id_made"
GUID_CASE: Final = "guid_case"
FROM_HEADER: Final = "from_header"
EVENT_ALIAS: Final = "event_alias"
EVENT_BY_RULE: Final = "event_by_rule"
ALIAS_GIVEN: Final = "alias_given"
POINTER_GIVEN: Final = "pointer_given"
TIME_FORM: Final = "time_form"
TIME_CUT: Final = "time_cut"
BOOLEAN_TEXT: Final = "boolean_text"
NOT_CONVERTED: Final = "not_converted"
ZONE_ASSUMED: Final = "zone_assumed"
ZONE_GIVEN: Final = "zone_given"
ZONE_CHANGE: Final = "zone_change"
CLOCK_SUSPECT: Final = "clock_suspect"


class Tolerance(msgspec.Struct, frozen=True):
    """One line of the list."""

    name: str
    """Flag and metric label."""
    meaning: str
    sources: tuple[str, ...] = ()
    """Sources that use it; empty means all."""
    usual: bool = False
    """Whether the vendors' own documents need it, or the operator asked for it, so that it stands on many
    events and alarms nobody."""
    column: str = ""
    """The column of `erp.events` that says it; empty where it stands among `flags`."""


_VISMA: Final = ("visma-net", "visma-sales", "visma-journal")
_UNPUBLISHED: Final = ("visma-sales", "visma-journal")

TOLERANCES: Final = (
    Tolerance(BOM, "A byte order mark before the body was left out."),
    Tolerance(
        REPAIRED,
        "No JSON until the one allowed repair: a comma set between a text and the next name, or taken away"
        " before a closing bracket. The bytes that are stored are those that came.",
        ("duett",),
    ),
    Tolerance(
        LIST,
        "The notifications came in a list. Visma.net prints a list for its legacy envelope and one object for"
        " the others; the other vendors print one object or nothing.",
        ("duett", *_VISMA),
        usual=True,
    ),
    Tolerance(SINGLE, "One item stood where the vendor sends a list of items.", ("quickfile",)),
    Tolerance(UNWRAPPED, "The item stood outside the wrapper `PayLoad`.", ("quickfile",)),
    Tolerance(NAME_CASE, "A field's name came in a case that is printed nowhere."),
    Tolerance(
        FIELD_ALIAS,
        "A field was read under its second name: `ischeduler`, `eventName`, `eventType`,"
        " `subscriptionObject`, `MergedId`, `MasterId`, another name of the time.",
        usual=True,
    ),
    Tolerance(
        FIELD_ASSUMED,
        "The id was found under a name that is assumed, since the vendor publishes no body.",
        _UNPUBLISHED,
        usual=True,
    ),
    Tolerance(
        FIELD_TWICE,
        "Two fields of a model feed one column, such as two names that differ in case: the first one counts,"
        " the other is kept in `extras`.",
        ("duett", "quickfile"),
    ),
    Tolerance(DATA_OBJECT, "`data` was an object, not the text of one.", ("duett",)),
    Tolerance(ID_TEXT, "An id that is printed as a number came as text.", ("duett", "quickfile")),
    Tolerance(
        ID_FALLBACK,
        "An id, or the company, was not where it is looked for first: `resourceId` or a later location for"
        " the path, `TenantId` for the company number, `Id` for `PaymentId`, `Authentication` for `Hookid`.",
        ("quickfile", *_VISMA),
    ),
    Tolerance(
        LOCATION_FORM,
        "The location was in none of the printed forms: without a version, with a query, a fragment or"
        " an empty part, or below a path that is not known.",
        ("visma-net", "visma-sales"),
    ),
    Tolerance(
        EVENT_ID_MADE,
        "No notification id or `HookId` was sent; one was made from the bytes.",
        ("quickfile", *_VISMA),
    ),
    Tolerance(
        GUID_CASE,
        "A GUID came with capital letters and is kept in lower case. Visma prints both.",
        ("quickfile", *_VISMA),
        usual=True,
    ),
    Tolerance(
        FROM_HEADER,
        "Event name, event id, company or time was taken from a header `x-vwd-*`, which no signature covers,"
        " because the body says nothing.",
        _VISMA,
        usual=True,
    ),
    Tolerance(EVENT_ALIAS, "The event came under another name than the vendor's table prints."),
    Tolerance(
        EVENT_BY_RULE,
        "The event stands in no table; a known word for the entity and a known verb at the end of its name"
        " were taken at their word.",
    ),
    Tolerance(
        ALIAS_GIVEN,
        "The event came under a name that `reading.aliases` of its endpoint gives.",
        usual=True,
    ),
    Tolerance(
        POINTER_GIVEN,
        "A field was read where `reading.pointers` of its endpoint says.",
        _UNPUBLISHED,
        usual=True,
    ),
    Tolerance(
        TIME_FORM,
        "The event time was spelt otherwise: blanks around it, a blank or `t` for `T`, a comma for the point,"
        " `z` for `Z`, an offset without its colon, ticks with a sign.",
    ),
    Tolerance(TIME_CUT, "The event time had more than seven decimals; what is below 100 ns was cut off."),
    Tolerance(BOOLEAN_TEXT, "`Deleted` was text instead of true or false.", ("quickfile",)),
    Tolerance(
        NOT_CONVERTED,
        "A value did not fit its column; the column is empty and the value stands in `extras`, unless it is"
        " of a class that may not. The header `x-erp-warn` of the changelog record names the fields.",
        ("duett", "quickfile"),
    ),
    Tolerance(
        ZONE_ASSUMED,
        "The event time had no zone and was read as UTC.",
        usual=True,
        column="meta_zone_assumed",
    ),
    Tolerance(
        ZONE_GIVEN,
        "The event time had no zone and was read in the one that `reading.zone` of its endpoint gives.",
        usual=True,
    ),
    Tolerance(
        ZONE_CHANGE,
        "By that zone the event time came twice or not at all, because clocks changed: the first of the two"
        " counts, or the time counted on from before the change.",
        usual=True,
    ),
    Tolerance(
        CLOCK_SUSPECT,
        "The event time was missing, unreadable, before 2000, or more than 10 minutes ahead of the receipt;"
        " the time of receipt counts.",
        column="meta_clock_suspect",
    ),
)
"""In the order of a callback's way; also the order of docs/tolerances.md."""

NAMES: Final = frozenset(one.name for one in TOLERANCES)
OTHER: Final = "other"
"""Label of a flag that is not in the list: a raw record of another version, or of another program."""


def distinct(*used: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Unite flags, each once, in the order they were used."""
    return tuple(dict.fromkeys(flag for flags in used for flag in flags))
