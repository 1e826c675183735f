"""Faust agents, one per source: they carry, they do not decide.

One channel event is one batch. All judgement is in `flow.carry`. The agents catch nothing: an error is a
bug or a lost broker, the cycle stays uncommitted, the process ends, and the next one reads from the
committed offsets. (Faust's default supervisor would restart the agent *behind* the batch that failed.)
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import faust

from connector import flow
from connector.model import Quarantined, RawRecord
from connector.runtime import counts, wire
from connector.runtime.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from confluent_kafka import Message
    from faust.types import AgentT, ChannelT, StreamT

    from connector.core.source import Source
    from connector.flow import Desk
    from connector.runtime.outlet import Outlet
    from connector.runtime.state import State
    from connector.runtime.wire import KafkaRecord
    from connector.topics import Topics


_PLAIN: Final = {
    "clock": counts.CLOCK_SUSPECT,
    "unguarded": counts.UNGUARDED,
    "forwards": counts.FORWARDS,
}


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

    def carry(self, batch: Batch) -> list[KafkaRecord]:
        """Turn a batch into everything its cycle must write for this source."""
        laid: list[KafkaRecord] = []
        tally: Counter[tuple[str, str]] = Counter()
        for partition, messages in batch.messages.items():
            view = self._state.of(batch.source, partition).view(batch.cycle)
            raws = self._raws(messages, laid, tally)
            for one in list(flow.carry(raws, self._source, view, self._desk)):
                if isinstance(one, Quarantined):
                    self._quarantine(one, laid, tally)
                    continue
                tally["verdict", one.verdict] += 1
                if one.event.clock_suspect:
                    tally["clock", ""] += 1
                if one.unguarded:
                    tally["unguarded", ""] += 1
                if one.forwards:
                    tally["forwards", ""] += len(one.forwards)
                laid.extend(wire.from_outcome(self._topics, one))
        self._count(tally)
        return laid

    def _raws(
        self, messages: Iterable[Message], laid: list[KafkaRecord], tally: Counter[tuple[str, str]]
    ) -> Iterator[RawRecord]:
        """Read raw records; one that is none, or that an operator named, is set aside."""
        for message in messages:
            try:
                raw = wire.to_raw(message)
            except ValueError as error:
                self._quarantine(wire.unread(message, self._source.name, str(error)), laid, tally)
                continue
            if self._set_aside and wire.place_of(raw) in self._set_aside:
                self._quarantine(wire.by_operator(raw), laid, tally)
                continue
            yield raw

    def _quarantine(self, one: Quarantined, laid: list[KafkaRecord], tally: Counter[tuple[str, str]]) -> None:
        tally["reason", one.reason] += 1
        laid.append(wire.from_quarantined(self._topics, one))

    def _count(self, tally: Counter[tuple[str, str]]) -> None:
        source = self._source.name
        for (kind, label), number in tally.items():
            if kind == "verdict":
                counts.EVENTS.labels(source, label).inc(number)
            elif kind == "reason":
                counts.QUARANTINED.labels(source, label).inc(number)
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
