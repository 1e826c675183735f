"""Whether Kafka is there and ready for us: producer id, topics, signs of life."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer

SIGN_OF_LIFE_S: Final = 5.0
"""A confirmed delivery or an answered look-up older than this says nothing any more."""
_QUIET_S: Final = 1.5
"""Without a delivery for this long we ask the brokers ourselves."""
_TOPICS_S: Final = 10.0
"""Topics are looked at this often even when deliveries show that Kafka lives."""
_PERIOD_S: Final = 0.5
_ASK_S: Final = 1.0

_log = logging.getLogger(__name__)


class Lookout:
    """Asks the brokers in a thread of its own, only when no delivery answers the question anyway.

    Args:
        client: The producer to ask through.
        needed: Topic -> partitions it must have; 0 where any number will do.
    """

    def __init__(self, client: Producer, needed: Mapping[str, int]) -> None:
        self._client = client
        self._needed = needed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lookout", daemon=True)
        self._faults: tuple[str, ...] | None = None
        """What is wrong with the topics; None before the first answer."""
        self._looked = 0.0
        self._answered = time.monotonic()
        self._delivered = 0.0
        self._failed = 0.0
        self.has_producer_id = False
        """Set once the idempotent producer got its id; the first delivery waits for it."""
        self.reachable = True
        """Whether any sign of life is recent; read on every request."""

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Stop asking; a question on its way may stay open for a second, and nobody waits for it."""
        self._stopped.set()

    def delivered(self, now: float) -> None:
        """Take a confirmed delivery as a sign of life; `now` is monotonic seconds."""
        self._delivered = now
        self.reachable = True

    def failed(self, now: float) -> None:
        """Remember a delivery that was not confirmed: for a while an answered look-up proves nothing."""
        self._failed = now

    def reasons(self, now: float) -> list[str]:
        """Say why callbacks should not be sent here now; empty when they should."""
        reasons = [] if self.has_producer_id else ["Kafka has not given a producer id yet"]
        if self._faults is None:
            reasons.append("topics not looked at yet")
        else:
            reasons += self._faults
        answered = self._answered if now - self._failed > SIGN_OF_LIFE_S else 0.0
        if now - max(self._delivered, answered) > SIGN_OF_LIFE_S:
            reasons.append(f"Kafka has confirmed nothing for {SIGN_OF_LIFE_S:.0f} s")
        return reasons

    def _watch(self) -> None:
        while not self._stopped.is_set():
            now = time.monotonic()
            quiet = now - max(self._delivered, self._answered) > _QUIET_S
            if quiet or self._faults is None or self._faults or now - self._looked > _TOPICS_S:
                self._look()
            alive = max(self._delivered, self._answered)
            reachable = time.monotonic() - alive <= SIGN_OF_LIFE_S
            if reachable != self.reachable:
                self.reachable = reachable
                _log.warning("Kafka is %s", "back" if reachable else "unreachable: callbacks get 503")
            self._stopped.wait(_PERIOD_S)

    def _look(self) -> None:
        """Look at each topic; the first that nobody answers for ends the round."""
        faults = []
        for name, partitions in self._needed.items():
            try:
                topic = self._client.list_topics(name, timeout=_ASK_S).topics[name]
            except KafkaException:
                return
            if topic.error is not None and topic.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                faults.append(f"topic {name} is missing: run `connector topics apply`")
            elif topic.error is not None:
                faults.append(f"topic {name}: {topic.error.name()}")
            elif partitions and len(topic.partitions) != partitions:
                faults.append(
                    f"topic {name} has {len(topic.partitions)} partitions, topics.partitions is {partitions}"
                )
        self._faults = tuple(faults)
        self._answered = self._looked = time.monotonic()
