"""docs/tolerances.md: the closed list of tolerances. Written by docs/generate.py, never by hand."""

from __future__ import annotations

from pages import HEAD, table

from connector.core.history import UNGUARDED
from connector.core.tolerances import OTHER, TOLERANCES, Tolerance
from connector.sources import SOURCES

INTRO = """# Tolerances

The readers take more than the vendors' documents print, so that a change of letter case or a blank loses
no event. Nothing is bent in silence: every tolerance that is used is a flag on the event and is counted,
once per event.

- **On the event**: `attributes.flags` of its record in `erp.events`; two have a column of their own.
  What the door used already stands in the raw record's header `meta`, too.
- **In the metrics** of the worker: `connector_tolerances_total{source,tolerance}`.
- **Before it happens**: `connector explain` lists the flags of any body ([explain.md](explain.md)).

*Usual* ones are needed by the vendors' own documents, which contradict themselves or leave out a zone:
they stand on many events and alarm nobody; so do those of [reading options](reading-options.md), which the
operator asked for. Any other one that begins to count says that a vendor has
changed something: look at one event, and at [its source's page](sources/duett.md).

## The list

"""

REST = """
`connector_tolerances_total` has one more label, `{other}`: a flag that is not in the list, from a raw
record that another version has written. Among `flags` stands one more word, `{unguarded}`, which is no
tolerance: the key was unknown and the event older than deletes are remembered
([guarantees.md](guarantees.md#not-promised)).

An effect that is forwarded to a second key (a merge, a new number) repeats `meta_zone_assumed` and
`meta_clock_suspect` of the event behind it, and no other flag: they stand on that event, and are counted
there.

## What else is counted

{counted}

## What is no tolerance

Read as documented, so neither flagged nor counted:

- Event names are compared by their letters and digits alone: `Customer_Updated`, `customer_updated` and
  `CUSTOMER UPDATED` are one name. That is the rule of the table.
- Names of fields in any case that a document prints for that envelope: `NotificationId` and
  `notificationId` of Visma.net, `Hookid` and `HookId` of QuickFile, PascalCase in Duett's deletes.
- Ticks as a number or as text; seven decimals; an offset other than `Z`; a percent-escape in a location.
- Numbers as text in a column that is a number (`creditLimit` is printed so), and ids as text in a column
  of text: conversion keeps every digit or says `not_converted`.
- `null` for absent; 0 for "no id" in QuickFile; a location's host and prefix.
- A NUL in a text, written as its JSON escape: that is how a column is written, whatever came.

Refused instead of bent: two names of one envelope that differ in case only, a company that is not the
endpoint's, what names no entity ([quarantine.md](quarantine.md#reasons)). Inside a model a name that
stands twice in the very same case cannot be noticed: the last one counts.
"""

COUNTED = (
    (
        "a field that no document names",
        "unknown_fields_total{source,entity}",
        "kept in `extras` or `attributes`; null is the same as absent",
    ),
    (
        "an event name in no row of the vendor's table",
        "unknown_events_total{source}",
        (
            "one warning in the log per name and process, in its compared form (a-z, 0-9); history only,"
            " unless flagged `event_by_rule`"
        ),
    ),
    (
        "a new number whose old one is not known yet",
        "identity_change_unresolved_total{source}",
        (
            "`connector_identity_change_resolved_total{source}` counts old numbers that were learnt later:"
            " from then on the two point to each other"
        ),
    ),
)
DEPRECATED = "connector_deprecated_events_total{source}"


def tolerances() -> str:
    """Lay out docs/tolerances.md."""
    rows = [
        (f"`{one.name}`", _sources(one), "usual" if one.usual else "", _meaning(one)) for one in TOLERANCES
    ]
    ending = [
        f"{source.title}: {', '.join(row.name for row in source.events if row.deprecated_for)};"
        f" subscribe to [{SOURCES[name].title}](sources/{name}.md) instead"
        for source in SOURCES.values()
        for name in sorted({row.deprecated_for for row in source.events if row.deprecated_for})
    ]
    counted = [(what, f"`connector_{counter}`", text) for what, counter, text in COUNTED]
    counted.insert(2, ("an event whose end the vendor has announced", f"`{DEPRECATED}`", "; ".join(ending)))
    rest = REST.format(
        other=OTHER, unguarded=UNGUARDED, counted=table(("what", "counter", "and"), counted).rstrip()
    )
    return HEAD + INTRO + table(("flag", "sources", "", "what was done"), rows) + rest


def _sources(one: Tolerance) -> str:
    return ", ".join(one.sources) or "all"


def _meaning(one: Tolerance) -> str:
    return f"{one.meaning} Column `{one.column}`." if one.column else one.meaning
