"""Is Kafka as our promises need it? Facts in, findings out; nothing here asks anybody.

Each guard watches what an operator, a tool or a mishap can change behind our back. Who collects the facts,
and what becomes of a finding, is the runtime's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from connector.core.facts import GRADES, Facts, Finding, Found, Grade, Place, Wanted

REMEDY: Final = "run: connector topics apply"
FIXED: Final = "the count is fixed for life: set topics.partitions to it, or use another topics.prefix"
NEAR: Final = 0.75
"""An unread record older than this share of its topic's retention is about to be deleted."""
KEYED: Final = ("raw", "changelog", "identity")
"""Kinds of topics that hold states, or lead to them: partitions of one number hold the same keys."""
_THREE: Final = 3
"""From three copies on two must confirm a write."""
_HOUR_MS: Final = 3_600_000
_FOR_EVER: Final = 2**63
_BROKERS: Final = "look at the brokers that are away"
_AGAIN: Final = "let the group read raw again from the oldest offset; then run: connector topics accept"
_LOST: Final = {
    "raw": "what stood in it unread is lost: recover it from the vendor, then run: connector topics accept",
    "changelog": f"the states it held are gone: restore it, or {_AGAIN}",
    "identity": f"the re-keys it held are gone: restore it, or {_AGAIN}",
    "events": "the history it held is gone; nothing else depends on it",
    "quarantine": "what waited in it is gone; nothing else depends on it",
}


def judge(wanted: Sequence[Wanted], facts: Facts) -> list[Finding]:
    """Find everything that is not as it must be; the worst comes first."""
    counts = {found.partitions for found in facts.topics.values() if found is not None}
    raw = [one for one in wanted if one.kind == "raw"]
    promised_ms = max((_number(one.config, "retention.ms") for one in raw), default=0)
    held_ms = max((_retention_ms(facts.topics.get(one.name)) for one in raw), default=0)
    findings: list[Finding] = []
    for one in wanted:
        if one.name not in facts.topics:
            continue
        found = facts.topics[one.name]
        if found is None:
            told = f"one of {one.partitions} partitions"
            findings.append(_finding("missing", "stop", one, "no such topic", told, REMEDY))
            continue
        findings += _same(one, found, facts.known.get(one.name), counts)
        findings += _led(one, found)
        if found.config is None:
            remedy = "allow this principal DescribeConfigs on topics"
            findings.append(_finding("settings", "warn", one, "no right to read its settings", "one", remedy))
            continue
        findings += _kept(one, found.config, promised_ms, held_ms)
        findings += _written(one, found, found.config)
    for place in facts.places or ():
        findings += _read(place, facts)
    return sorted(findings, key=lambda finding: GRADES.index(finding.grade))


def _finding(guard: str, grade: Grade, one: Wanted, *told: str) -> Finding:
    found, wanted, remedy = told
    return Finding(guard, grade, one.kind, one.name, found, wanted, remedy)


def _setting(guard: str, grade: Grade, one: Wanted, config: Mapping[str, str], name: str) -> Finding:
    return _finding(guard, grade, one, f"{name} {config.get(name, 'unset')}", one.config[name], REMEDY)


def _same(one: Wanted, found: Found, known: str | None, counts: set[int]) -> Iterator[Finding]:
    """Is it still the same topic, and laid out like the others?"""
    grade: Grade = "stop" if one.kind in KEYED else "warn"
    if known is not None and found.id != known:
        told = f"topic id {found.id}: it was deleted and made anew"
        yield _finding("recreated", grade, one, told, f"{known}, as before", _LOST[one.kind])
    if found.partitions != one.partitions:
        differ = "; a count that was raised cannot be lowered" if len(counts) > 1 else ""
        told = f"{found.partitions} partitions"
        yield _finding("partitions", grade, one, told, str(one.partitions), f"{FIXED}{differ}")


def _led(one: Wanted, found: Found) -> Iterator[Finding]:
    if found.leaderless:
        told = f"{found.leaderless} partition(s) without a leader"
        yield _finding("unwritable", "warn", one, told, "one for each", _BROKERS)


def _kept(one: Wanted, config: Mapping[str, str], promised_ms: int, held_ms: int) -> Iterator[Finding]:
    """Does everything stay for as long as it must?

    Args:
        one: The topic.
        config: Its settings.
        promised_ms: How long raw records must stay.
        held_ms: How long they do.
    """
    if config.get("cleanup.policy") != one.config["cleanup.policy"]:
        yield _setting("cleanup", "refuse", one, config, "cleanup.policy")
    elif one.config["cleanup.policy"] == "compact":
        memory_ms = _number(config, "delete.retention.ms")
        if memory_ms <= max(promised_ms, held_ms):
            yield _finding(
                "delete_retention",
                "refuse" if memory_ms <= promised_ms else "warn",
                one,
                f"delete.retention.ms {memory_ms} ({_span(memory_ms)})",
                f"more than raw records stay ({_span(max(promised_ms, held_ms))}):"
                " a replay could revive what was deleted",
                REMEDY
                if memory_ms < _number(one.config, "delete.retention.ms")
                else "lower raw's retention.ms",
            )
    if one.kind == "raw":
        if 0 <= _number(config, "retention.ms", -1) < _number(one.config, "retention.ms"):
            yield _setting("raw_retention", "warn", one, config, "retention.ms")
        if _number(config, "retention.bytes", -1) >= 0:
            told = f"retention.bytes {config['retention.bytes']}"
            remedy = "unset it: a burst of callbacks would push out what is unread"
            yield _finding("raw_retention", "warn", one, told, "-1, no limit", remedy)


def _written(one: Wanted, found: Found, config: Mapping[str, str]) -> Iterator[Finding]:
    """Does a write fit, and is it as safe as promised?"""
    if _number(config, "max.message.bytes") < _number(one.config, "max.message.bytes"):
        yield _setting("max_message_bytes", "warn", one, config, "max.message.bytes")
    must = 2 if min(one.copies, found.copies) >= _THREE else 1
    confirm = _number(config, "min.insync.replicas", 1)
    if confirm < must:
        told = f"min.insync.replicas {confirm} of {found.copies} copies"
        yield _finding("min_insync_replicas", "warn", one, told, str(must), REMEDY)
    if found.in_sync < confirm:
        told = f"a partition with {found.in_sync} of {found.copies} copies in sync"
        yield _finding("unwritable", "warn", one, told, f"{confirm} (min.insync.replicas)", _BROKERS)
    if config.get("unclean.leader.election.enable") == "true":
        yield _setting("unclean_election", "warn", one, config, "unclean.leader.election.enable")


def _read(place: Place, facts: Facts) -> Iterator[Finding]:
    """Is what the group has yet to read still there, and for how long?"""
    where, told = f"{place.topic}/{place.partition}", f"committed offset {place.committed}"
    remedy = (
        "recover what was lost from the vendor; then, with all workers stopped, kafka-consumer-groups.sh"
        f" --bootstrap-server BROKER --group {facts.group} --topic {place.topic}:{place.partition}"
        " --reset-offsets --to-earliest --execute"
    )
    if place.committed > place.end:
        wanted = f"at most {place.end}, the end of the log: the topic has lost records"
        yield Finding("offsets", "stop", "raw", where, told, wanted, remedy)
    elif place.clean_to < place.start > place.committed:
        wanted = f"at least {place.start}, the oldest record: those before it were deleted unread"
        yield Finding("overtaken", "stop", "raw", where, told, wanted, remedy)
    elif place.oldest_ms is not None:
        kept_ms = _retention_ms(facts.topics.get(place.topic))
        age_ms = facts.now_ms - place.oldest_ms
        if kept_ms and age_ms > NEAR * kept_ms:
            told = f"an unread record {_span(age_ms)} old"
            remedy = "start or add workers, or raise the topic's retention.ms until they have caught up"
            yield Finding("aging", "warn", "raw", where, told, f"it read before {_span(kept_ms)}", remedy)


def others(wanted: Sequence[Wanted], facts: Facts) -> list[tuple[str, str]]:
    """List (topic, setting) of what differs from the table without a guard that minds."""
    return [
        (one.name, name)
        for one in wanted
        if (found := facts.topics.get(one.name)) is not None and found.config is not None
        for name, text in one.config.items()
        if name not in _WATCHED and not same(found.config.get(name, ""), text)
    ]


_WATCHED: Final = frozenset(
    {
        "cleanup.policy",
        "delete.retention.ms",
        "max.message.bytes",
        "min.insync.replicas",
        "unclean.leader.election.enable",
    }
)


def same(has: str, wants: str) -> bool:
    """Compare two settings: `0.30` is `0.3`."""
    try:
        return float(has) == float(wants)
    except ValueError:
        return has == wants


def _number(config: Mapping[str, str], name: str, default: int = 0) -> int:
    try:
        return int(config[name])
    except (KeyError, ValueError):
        return default


def _retention_ms(found: Found | None) -> int:
    """Give how long a topic's records stay; 0 where nobody knows."""
    if found is None or found.config is None:
        return 0
    kept_ms = _number(found.config, "retention.ms")
    return kept_ms if kept_ms >= 0 else _FOR_EVER


def _span(span_ms: int) -> str:
    if span_ms >= _FOR_EVER:
        return "for ever"
    days = span_ms / (24 * _HOUR_MS)
    return f"{days:.1f} d" if days >= 2 else f"{span_ms / _HOUR_MS:.1f} h"  # noqa: PLR2004
