"""Everything an operator asks first when something is wrong, asked in one go; changes nothing.

Rows come in the order of the data's way. A row that is `bad` breaks a promise or stops a role; `warn` can
wait until the morning. What cannot be looked at is a `warn` that says so, never a silent `ok`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

import msgspec
from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # not re-exported (2.16)
    ConsumerGroupDescription,
)

from connector.core.avro import FRAME_BYTES
from connector.core.facts import GUARDS, OF_PLACES, Facts, Finding, grouped
from connector.core.guards import REMEDY, judge, others
from connector.errors import ConnectorError, Misconfigured
from connector.runtime.admin import REACH_S
from connector.runtime.configuration import warnings
from connector.runtime.facts import Look, wanted
from connector.runtime.registered import known_schemas
from connector.runtime.registry import Registry, folder
from connector.runtime.remembered import Remembered
from connector.runtime.samples import newest_frames
from connector.runtime.settings import Settings

Verdict = Literal["ok", "warn", "bad"]
_NOT_ASKED: Final = "not looked at: "


class Check(msgspec.Struct, frozen=True):
    """One row: what was looked at, and what to do."""

    check: str
    verdict: Verdict
    found: str
    remedy: str = ""


def worst(checks: Iterable[Check]) -> Verdict:
    """Give the verdict over all."""
    verdicts = {one.verdict for one in checks}
    return "bad" if "bad" in verdicts else "warn" if "warn" in verdicts else "ok"


def examine(settings: Settings) -> list[Check]:
    """Look at everything; takes some seconds.

    Raises:
        Misconfigured: librdkafka refuses a property.
    """
    checks = [*_configuration(settings), _lock(), *_external(settings)]
    look = Look(settings)
    try:
        checks.append(_brokers(look))
        table = wanted(settings, "work")
        facts = look.facts(table, {}, group=True)
        known = Remembered(settings, table).read(look)
    except ConnectorError as silence:
        setting, _, why = str(silence).partition(": ")
        told, _, remedy = why.rpartition("; ")
        checks.append(Check("brokers", "bad", told or why, f"{setting}: {remedy}" if told else setting))
        checks.append(Check("topics, group, schemas", "warn", f"{_NOT_ASKED}no broker answers"))
        return checks
    checks += _guards(settings, msgspec.structs.replace(facts, known=known))
    checks += _asked("group", lambda: _group(settings, look, facts))
    checks += _asked("schema ids", lambda: _frames(settings, look, facts))
    return checks


def _asked(check: str, ask: Callable[[], Iterable[Check]]) -> list[Check]:
    """Ask one more thing; of what cannot be asked, say why."""
    try:
        return list(ask())
    except (ConnectorError, KafkaException) as failure:
        why = str(failure) if isinstance(failure, ConnectorError) else failure.args[0].str()
        return [
            Check(check, "warn", f"{_NOT_ASKED}{why}", "see the rights of this principal, and the brokers")
        ]


def _configuration(settings: Settings) -> Iterator[Check]:
    told = (
        f"prefix {settings.topics.prefix}, {settings.topics.partitions} partitions,"
        f" group {settings.group}, {len(settings.endpoints)} endpoint(s)"
    )
    doubts = list(warnings(settings))
    if doubts:
        more = f"; {len(doubts)} warning(s), the first: {doubts[0]}"
        yield Check("configuration", "warn", told + more, "run: connector config check")
    else:
        yield Check("configuration", "ok", told)


def _lock() -> Check:
    try:
        registry = Registry.load(folder())
    except Misconfigured as broken:
        told, _, remedy = str(broken).rpartition("; ")
        return Check("schema lock", "bad", told, remedy)
    return Check("schema lock", "ok", f"{len(registry.locked)} ids in schemas/ids.json")


def _external(settings: Settings) -> Iterator[Check]:
    if settings.registry.url is None:
        return
    try:
        registry = known_schemas(settings)
    except ConnectorError as refused:
        told, _, remedy = str(refused).rpartition("; ")
        yield Check("schema registry", "bad", told or remedy, remedy if told else "")
    else:
        yield Check("schema registry", "ok", f"{len(registry.locked)} schemas at {settings.registry.url}")


def _brokers(look: Look) -> Check:
    metadata = look.brokers.metadata()
    return Check("brokers", "ok", f"{len(metadata.brokers)} broker(s), cluster {metadata.cluster_id}")


def _guards(settings: Settings, facts: Facts) -> Iterator[Check]:
    table = wanted(settings, "work")
    findings = judge(table, facts)
    for guard, promise in GUARDS.items():
        mine = [one for one in findings if one.guard == guard]
        if not mine:
            yield _content(guard, promise, facts)
        for one, more in grouped(mine):
            yield _row(one, more)
    if unseen := [one.name for one in table if one.name not in facts.topics]:
        told = f"{_NOT_ASKED}{unseen[0]}{_more(len(unseen))}"
        yield Check("guard missing", "warn", told, "allow this principal Describe on topics")
    if different := others(table, facts):
        topic, setting = different[0]
        told = f"{setting} of {topic}{_more(len(different))} is not as in docs/topics.md"
        yield Check("other settings", "warn", told, f"see: connector topics plan; {REMEDY}")
    else:
        yield Check("other settings", "ok", "as in docs/topics.md")


def _content(guard: str, promise: str, facts: Facts) -> Check:
    """Tell a guard that found nothing, and how much it looked at: of nothing everything is true."""
    name = f"guard {guard}"
    if guard == "recreated":
        return Check(name, "ok", f"{promise} ({len(facts.known)} topics remembered)")
    if guard not in OF_PLACES:
        there = sum(one is not None for one in facts.topics.values())
        return Check(name, "ok" if there else "warn", f"{promise} ({there} topics)")
    if facts.places is None:
        return Check(
            name, "warn", f"{_NOT_ASKED}the group's offsets", "allow this principal Read on the group"
        )
    return Check(name, "ok", f"{promise} ({len(facts.places)} partitions with an offset)")


def _row(one: Finding, more: int) -> Check:
    told = f"{one.where}{_more(more + 1)}: found {one.found}, wanted {one.wanted}"
    return Check(f"guard {one.guard}", "warn" if one.grade == "warn" else "bad", told, one.remedy)


def _more(count: int) -> str:
    return f" and {count - 1} more" if count > 1 else ""


def _group(settings: Settings, look: Look, facts: Facts) -> Iterator[Check]:
    asked = look.brokers.client.describe_consumer_groups([settings.group], request_timeout=REACH_S)
    described: ConsumerGroupDescription = asked[settings.group].result(2 * REACH_S)
    state = str(described.state.name).lower()
    owned = {
        (one.topic, one.partition)
        for member in described.members
        for one in member.assignment.topic_partitions
    }
    raw = {
        one.name: found.partitions
        for one in wanted(settings, "work")
        if one.kind == "raw" and (found := facts.topics.get(one.name)) is not None
    }
    told = f"{settings.group}: {state}, {len(described.members)} worker(s)"
    idle = sum(not member.assignment.topic_partitions for member in described.members)
    told += f", {len(owned)} of {sum(raw.values())} raw partitions owned"
    if not described.members:
        yield Check("group", "warn", told, "nothing is worked off: run connector work")
    elif described.state != ConsumerGroupState.STABLE:
        yield Check("group", "warn", told, "it is meeting; look again in a minute")
    elif len(owned) < sum(raw.values()):
        yield Check(
            "group", "bad", told, "somebody else is in this group, or the workers lack Read on a topic"
        )
    else:
        yield Check("group", "ok", f"{told}, {idle} worker(s) to spare" if idle else told)
    yield from _lag(look, raw, working=bool(described.members))


def _lag(look: Look, raw: dict[str, int], *, working: bool) -> Iterator[Check]:
    """Say what is not worked off, by topic; offsets, so that marks of transactions count as well."""
    places = [(topic, one) for topic, count in raw.items() for one in range(count)]
    committed, starts, ends = look.committed(places), look.starts(places), look.ends(places)
    if committed is None:
        yield Check(
            "lag", "warn", f"{_NOT_ASKED}the group's offsets", "allow this principal Read on the group"
        )
        return
    for topic, count in raw.items():
        mine = [(topic, one) for one in range(count)]
        behind = {
            place: ends[place] - committed.get(place, starts.get(place, ends[place]))
            for place in mine
            if place in ends
        }
        late = {place: lag for place, lag in behind.items() if lag > 0}
        silent = count - len(behind)
        total = sum(late.values())
        told = f"{total} offset(s) behind in {len(late)} of {count} partitions" if late else "nothing left"
        if silent:
            told += f"; {silent} partition(s) do not answer"
        bad = not working and total > 0
        remedy = "run connector work" if bad else "look at the brokers that are away" if silent else ""
        yield Check(f"lag {topic}", "warn" if bad or silent else "ok", told, remedy)


def _frames(settings: Settings, look: Look, facts: Facts) -> Iterator[Check]:
    """Look whether this version can read what was written last: a newer one may have been here."""
    known = known_schemas(settings).codecs().frames
    places = [
        (one.name, partition)
        for one in wanted(settings, "work")
        if one.kind in ("changelog", "identity") and (found := facts.topics.get(one.name)) is not None
        for partition in range(found.partitions)
    ]
    starts, ends = look.starts(places), look.ends(places)
    filled = {place: at for place, at in starts.items() if at < ends.get(place, 0)}
    seen = look.with_reader(lambda reader: newest_frames(reader, filled, ends)) if filled else {}
    strange = sorted(
        place for place, frames in seen.items() if any(one[:FRAME_BYTES] not in known for one in frames)
    )
    if strange:
        topic, partition = strange[0]
        told = (
            f"{topic}/{partition}{_more(len(strange))}: the newest records have an id that is not in the lock"
        )
        yield Check("schema ids", "bad", told, "a newer version wrote them: upgrade this one")
    elif len(seen) < len(filled):
        told = f"{len(filled) - len(seen)} of {len(filled)} changelog partitions could not be read in time"
        yield Check("schema ids", "warn", told, "a transaction may be open, or brokers are slow: look again")
    else:
        yield Check(
            "schema ids", "ok", f"newest records of {len(filled)} changelog partitions are of known ids"
        )
