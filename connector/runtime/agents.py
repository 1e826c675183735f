"""Faust agents, one per source: they carry, they do not decide.

One channel event is one batch. All judgement is in `flow.carry`. No error is passed over: it is a bug or a
lost broker, the cycle stays uncommitted, the process ends, and the next one reads from the committed
offsets. A bug is given the name of the raw record it met, for `worker.quarantine`. (Faust's default
supervisor would restart the agent *behind* the batch that failed.)
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import faust

from connector import flow
from connector.core.tolerances import CLOCK_SUSPECT, NAMES, OTHER, ZONE_ASSUMED
from connector.errors import ConnectorError, Unusable
from connector.model import Outcome, Quarantined, RawRecord
from connector.runtime import counts, failpoints, traces, wire
from connector.runtime.batch import Batch
from connector.runtime.strangers import Strangers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from confluent_kafka import Message
    from faust.types import AgentT, ChannelT, StreamT

    from connector.core.source import Source
    from connector.flow import Desk
    from connector.runtime.outlet import Outlet
    from connector.runtime.state import State
    from connector.runtime.wire import KafkaRecord
    from connector.topics import Topics

AT_ONCE: Final = 64
"""Records that are carried from one end to the other before the next ones are looked at: they stay in the
processor's cache, and the garbage collector never meets them. All of a cycle at once cost 4 to 10 % more."""
_PLAIN: Final = {
    "clock": counts.CLOCK_SUSPECT,
    "unguarded": counts.UNGUARDED,
    "forwards": counts.FORWARDS,
    "unknown": counts.UNKNOWN_EVENTS,
    "deprecated": counts.DEPRECATED,
    "unresolved": counts.UNRESOLVED,
    "resolved": counts.RESOLVED,
}
_LABELLED: Final = {
    "verdict": counts.EVENTS,
    "reason": counts.QUARANTINED,
    "tolerance": counts.TOLERANCES,
    "fields": counts.UNKNOWN_FIELDS,
}


class Poison(ConnectorError):
    """A raw record that meets a bug: nothing is committed, and it would be met again."""

    code = "poison"


class Carrier:
    """What an agent does with one batch, without Faust."""

    def __init__(
        self, source: Source, topics: Topics, desk: Desk, state: State, set_aside: frozenset[str]
    ) -> None:
        """Take the stations of one source; `set_aside` names raw records an operator quarantines."""
        self._source = source
        self._topics = topics
        self._desk = desk
        self._state = state
        self._set_aside = set_aside
        self._strangers = Strangers(source.name)

    def carry(self, batch: Batch) -> list[KafkaRecord]:
        """Turn a batch into everything its cycle must write for this source."""
        failpoints.at("agent.begun")
        laid: list[KafkaRecord] = []
        tally: Counter[tuple[str, str]] = Counter()
        for partition, messages in batch.messages.items():
            view = self._state.of(batch.source, partition).view(batch.cycle)
            for first in range(0, len(messages), AT_ONCE):
                raws = list(self._raws(messages[first : first + AT_ONCE], laid, tally))
                if traces.TRACER is not None:
                    traces.TRACER.met(batch.cycle, raws)
                for one in self._carried(raws, view):
                    laid.extend(self._laid(one, tally))
        self._count(tally)
        if traces.TRACER is not None:
            traces.TRACER.carried(batch.cycle, tally)
        failpoints.at("agent.carried")
        return laid

    def _laid(self, one: Outcome | Quarantined, tally: Counter[tuple[str, str]]) -> Iterable[KafkaRecord]:
        """Count what became of a record; give what is written of it."""
        if isinstance(one, Quarantined):
            tally["reason", one.reason] += 1
            return (wire.from_quarantined(self._topics, one),)
        tally["verdict", one.verdict] += 1
        if one.unguarded:
            tally["unguarded", ""] += 1
        if one.forwards:
            tally["forwards", ""] += len(one.forwards)
        if one.event.meta.origin != "forward":
            self._tell(one, tally)
        elif one.renaming:
            tally[one.renaming, ""] += 1
        return wire.from_outcome(self._topics, one)

    def _carried(self, raws: Sequence[RawRecord], view: flow.View) -> list[Outcome | Quarantined]:
        """Let all of them through the stations before the first is laid out.

        Raises:
            Poison: One of them meets a bug.
        """
        carried: list[Outcome | Quarantined] = []
        try:
            for one in flow.carry(raws, self._source, view, self._desk):
                carried.append(one)  # noqa: PERF402  what came before the bug must be kept
        except (ConnectorError, OSError, MemoryError):
            raise
        except Exception as bug:
            place = wire.place_of(self._met(raws[len(carried) :]))
            raise Poison(
                f"{place}: {type(bug).__name__}, a bug of this version; to let the others pass,"
                f" name {place} in worker.quarantine"
            ) from bug
        return carried

    def _met(self, raws: Sequence[RawRecord]) -> RawRecord:
        """Say which record met the bug: one that cannot be normalised, else the first that was not joined."""
        for raw in raws:
            try:
                flow.normalise(raw, self._source, self._desk.privacy)
            except Unusable:
                continue
            except Exception:  # noqa: BLE001  the bug that is looked for
                return raw
        return raws[0]

    def _tell(self, one: Outcome, tally: Counter[tuple[str, str]]) -> None:
        """Note what was bent to read an event; of a forward its cause has told already."""
        event = one.event
        reading = event.reading
        for flag in event.flags:
            tally["tolerance", flag if flag in NAMES else OTHER] += 1
        if reading.zone_assumed:
            tally["tolerance", ZONE_ASSUMED] += 1
        if event.clock_suspect:
            tally["tolerance", CLOCK_SUSPECT] += 1
            tally["clock", ""] += 1
        if reading.unknown_fields:
            tally["fields", event.key.entity] += len(reading.unknown_fields)
        if reading.deprecated_for:
            tally["deprecated", ""] += 1
        if reading.unknown_event:
            tally["unknown", ""] += 1
            self._strangers.met(reading.unknown_event, one.verdict)

    def _raws(
        self, messages: Iterable[Message], laid: list[KafkaRecord], tally: Counter[tuple[str, str]]
    ) -> Iterator[RawRecord]:
        """Read raw records; one that is none, or that an operator named, is set aside."""
        for message in messages:
            try:
                raw = wire.to_raw(message)
            except ValueError as error:
                laid.extend(self._laid(wire.unread(message, self._source.name, str(error)), tally))
                continue
            if self._set_aside and wire.place_of(raw) in self._set_aside:
                laid.extend(self._laid(wire.by_operator(raw), tally))
                continue
            yield raw

    def _count(self, tally: Counter[tuple[str, str]]) -> None:
        source = self._source.name
        for (kind, label), number in tally.items():
            if kind in _LABELLED:
                _LABELLED[kind].labels(source, label).inc(number)
            else:
                _PLAIN[kind].labels(source).inc(number)


def add_agent(
    app: faust.App,
    carrier: Carrier,
    name: str,
    batches: ChannelT[Batch],
    outlet: Outlet,
) -> AgentT[Batch]:
    """Let one source's batches become the outputs of their cycles, in order."""

    @app.agent(batches, name=f"normalise-{name}")
    async def normalise(stream: StreamT[Batch]) -> None:
        async for batch in stream:
            if outlet.wants(batch.cycle):
                await outlet.put(batch, carrier.carry(batch))

    return normalise
