"""How far the workers are behind, in records and in seconds: a look of its own, beside the group.

Every worker looks at every raw partition of the group and not at its own ones alone: of a partition without
an owner nobody else would tell. Nothing is added to the way of a record. Between two looks, and while Kafka
is away, the age goes on growing: what was unread still is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec
from confluent_kafka import KafkaException

from connector.core.facts import Place
from connector.errors import ConnectorError
from connector.runtime.desk import topics_under
from connector.runtime.facts import Look
from connector.runtime.metrics import WORKER, gauge
from connector.runtime.samples import oldest_unread
from connector.runtime.settings import Settings
from connector.runtime.telemetry import log

PERIOD_S = 20.0
"""From one look to the next."""

RECORDS: Final = gauge(
    "lag_records",
    "records",
    "Raw records of a source that the group has not worked off, in offsets: marks of transactions among them"
    " count. Every worker tells of the whole group: take the greatest, not the sum.",
    "source",
    roles=WORKER,
)
AGE: Final = gauge(
    "lag_age_seconds",
    "seconds",
    "Since Kafka took the oldest raw record of a source that the group has not worked off; 0 without one."
    " Every worker tells of the whole group: take the greatest.",
    "source",
    roles=WORKER,
)
SILENCE: Final = gauge(
    "lag_silence_seconds", "seconds", "Since a worker could last look at the lag.", roles=WORKER
)


class Behind(msgspec.Struct, frozen=True):
    """What one source's raw records have to wait for."""

    records: int = 0
    oldest_ms: int | None = None
    """Timestamp of the oldest one."""


class Lag:
    """The look of one worker, in a thread of its own; `start` begins it."""

    def __init__(self, settings: Settings) -> None:
        """Know nothing yet."""
        self._settings: Final = settings
        topics = topics_under(settings.topics.prefix, settings.topics.versions)
        self._source_of: Final = topics.source_of
        self._partitions: Final = settings.topics.partitions
        self._stopped: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._watch, name="lag", daemon=True)
        self._told: Mapping[str, Behind] = {}
        self._looked_s = time.monotonic()

    def start(self) -> None:
        """Look now and then."""
        for source in self._source_of.values():
            RECORDS.labels(source).set_function(partial(self.records, source))
            AGE.labels(source).set_function(partial(self.age_s, source))
        SILENCE.set_function(lambda: time.monotonic() - self._looked_s)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; a question on its way is not waited for."""
        self._stopped.set()

    def records(self, source: str) -> int:
        """Say how many raw records of a source are unread."""
        return self._behind(source).records

    def age_s(self, source: str) -> float:
        """Say for how long the oldest unread raw record of a source has been in Kafka; 0: none is."""
        oldest_ms = self._behind(source).oldest_ms
        return 0.0 if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1000)

    def _behind(self, source: str) -> Behind:
        return self._told.get(source, Behind())

    def _watch(self) -> None:
        while not self._stopped.is_set():
            try:
                self._told = self._look()
                self._looked_s = time.monotonic()
            except (ConnectorError, KafkaException):
                pass  # the guards tell of an absent Kafka; here `SILENCE` grows
            except Exception:  # noqa: BLE001  a look that dies in silence would tell of no lag for ever
                log.exception("the lag could not be looked at")
            self._stopped.wait(PERIOD_S)

    def _look(self) -> dict[str, Behind]:
        """Compare what is committed with what is there; in this order, or a moving worker looks ahead.

        Raises:
            Unanswered, KafkaException: No broker answered.
        """
        look = Look(self._settings)
        asked = [(topic, one) for topic in self._source_of for one in range(self._partitions)]
        committed = look.committed(asked)
        if committed is None:  # the guards say which right is missing
            return {}
        starts, ends = look.starts(asked), look.ends(asked)
        places = [
            Place(*place, max(committed.get(place, 0), starts[place]), starts[place], ends[place])
            for place in asked
            if place in starts and place in ends
        ]
        behind = [one for one in places if one.committed < one.end]
        oldest = look.with_reader(lambda reader: oldest_unread(reader, behind)) if behind else {}
        return self._summed(behind, oldest)

    def _summed(self, behind: list[Place], oldest: Mapping[tuple[str, int], int | None]) -> dict[str, Behind]:
        """Add up the partitions of each source, without those where only marks of transactions are unread.

        A partition whose leader did not answer counts with its records, and keeps the age of its source.
        """
        told: dict[str, Behind] = {}
        for one in behind:
            place = one.topic, one.partition
            source = self._source_of[one.topic]
            stamp = oldest.get(place, self._behind(source).oldest_ms)
            if place in oldest and stamp is None:
                continue
            so_far = told.get(source, Behind())
            stamps = [at for at in (so_far.oldest_ms, stamp) if at is not None]
            told[source] = Behind(so_far.records + one.end - one.committed, min(stamps, default=None))
        return told
