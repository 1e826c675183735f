"""The topic ids the workers have seen, remembered in Kafka across restarts.

A changelog that was deleted and made anew is empty, and a worker that starts on it would take that for the
truth. The ids stand as metadata of offsets that belong to a group of their own. Kafka drops the offsets of a
topic together with the topic (measured), so they hang on several topics and live as long as one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from connector.core.facts import Wanted
from connector.core.guards import KEYED
from connector.errors import Misconfigured
from connector.runtime.admin import REACH_S
from connector.runtime.facts import Look, Unanswered, wanted
from connector.runtime.settings import Settings
from connector.runtime.telemetry import log

_ids: Final = msgspec.json.Decoder(dict[str, str])


def group_of(settings: Settings) -> str:
    """Name the group whose offsets carry the ids."""
    return f"{settings.group}-topics"


class Remembered:
    """Reads and writes the ids.

    Args:
        settings: The settings.
        table: All topics of the worker.
    """

    def __init__(self, settings: Settings, table: list[Wanted]) -> None:
        """Ask nothing yet."""
        self._group: Final = group_of(settings)
        self._below: Final = f"{settings.topics.prefix}."
        self.keyed: Final = frozenset(one.name for one in table if one.kind in KEYED)
        self._anchors: Final = [(one.name, 0) for one in table if one.kind in ("raw", "events", "identity")]
        self._complained = False

    def read(self, look: Look) -> dict[str, str]:
        """Give topic -> id; empty at the very first start, and where we may not look.

        Raises:
            Unanswered: No broker answered in time.
        """
        told = look.offsets_of(self._group, self._anchors)
        if told is None:
            self._complain("no right to read it")
        known: dict[str, str] = {}
        for one in told or ():
            try:
                known |= _ids.decode(one.metadata or "{}")
            except msgspec.DecodeError:
                continue  # not written by us
        return {f"{self._below}{name}": topic_id for name, topic_id in known.items()}

    def write(self, look: Look, known: Mapping[str, str]) -> None:
        """Remember ids of the topics that hold states or lead to them; who may not, says so once."""
        ids = {
            name.removeprefix(self._below): topic_id
            for name, topic_id in sorted(known.items())
            if name in self.keyed
        }
        text = msgspec.json.encode(ids).decode()
        try:
            # At the end of the log, lest anybody's lag monitor calls it late.
            ends = look.ends(self._anchors)
            offsets = [TopicPartition(*place, at, text) for place, at in ends.items()]
            if not offsets:
                return
            asked: Any = look.brokers.client.alter_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(self._group, offsets)], request_timeout=REACH_S
            )
            told = asked[self._group].result(2 * REACH_S).topic_partitions
            faults = [one.error.str() for one in told if one.error is not None]
            refused = faults[0] if len(faults) == len(told) else None
        except KafkaException as failure:
            refused = str(failure.args[0].str())
        except (Unanswered, TimeoutError):
            return  # next time
        if refused is not None:
            self._complain(refused)

    def _complain(self, why: str) -> None:
        if not self._complained:
            log.warning(
                "topic ids are not remembered across restarts: allow Read on the group",
                extra={"group": self._group, "why": why},
            )
        self._complained = True


def accept(settings: Settings) -> list[tuple[str, str, str]]:
    """Remember the topics as they are now.

    Returns:
        (topic, id it had, id it has) of those that were made anew.

    Raises:
        Misconfigured: No broker answers, or the ids cannot be written.
    """
    table = wanted(settings, "work")
    look, remembered = Look(settings), Remembered(settings, table)
    try:
        topics = look.facts(table, {}, group=False).topics
        before = remembered.read(look)
    except Unanswered as silence:
        raise Misconfigured(str(silence)) from None
    now = {name: found.id for name, found in topics.items() if found is not None}
    remembered.write(look, now)
    if (after := remembered.read(look)) != {name: now[name] for name in remembered.keyed if name in now}:
        raise Misconfigured(
            f"group {group_of(settings)}: the ids could not be written"
            f" ({len(after)} of {len(now)} stand there); allow Read on this group and its topics"
        )
    return [(name, before[name], now[name]) for name in now if before.get(name, now[name]) != now[name]]
