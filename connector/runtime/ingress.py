"""The door: a bare ASGI callable that answers 202 once every record of a callback is durable in Kafka.

Order of work: limits, route, body, authenticate over the raw bytes, tenant, cut, redact, produce, answer.
Nothing from a body is parsed or logged before it is authenticated.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any, Final

from connector import flow
from connector.core.authenticate import Authentic, Endpoint
from connector.core.privacy import Privacy
from connector.core.source import Source
from connector.errors import (
    NotAuthentic,
    NotDurable,
    NotPost,
    Refused,
    TooLong,
    TooMany,
)
from connector.model import Callback, Quarantined, RawRecord
from connector.runtime import failpoints, traces
from connector.runtime.admission import Admission, Flood
from connector.runtime.answers import Answer, accepted, refusal
from connector.runtime.delivery_id import DeliveryIds
from connector.runtime.head import check_kind, headers_of, path_of, paths_of
from connector.runtime.ingress_counts import NO_SOURCE, Counts
from connector.runtime.pieces import Gone, Receive, body_of, bounded
from connector.runtime.producer import DurableProducer
from connector.runtime.receipts import Receipt
from connector.runtime.settings import IngressSettings
from connector.runtime.whole import Reply
from connector.runtime.wire import laid_out
from connector.topics import Topics

ALIVE_S: Final = 5.0
"""A loop or poll thread that stood still for longer is dead."""

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log: Final = logging.getLogger(__name__)


def _untold(_: Answer) -> None:
    """Take the answer of a request that has no span."""


class Ingress:
    """The application of `connector serve`.

    Args:
        endpoints: (source, id) -> endpoint.
        sources: Name -> vendor dialect.
        topics: Names of the topics.
        privacy: Keyed hashes.
        settings: Limits and deadlines.
        kafka: librdkafka properties.
        partitions: How many each raw topic must have.
    """

    def __init__(  # noqa: PLR0913  what the door is made of
        self,
        endpoints: Mapping[tuple[str, str], Endpoint],
        sources: Mapping[str, Source],
        topics: Topics,
        privacy: Privacy,
        settings: IngressSettings,
        kafka: Mapping[str, str],
        partitions: int,
        *,
        rates: Mapping[tuple[str, str], float] | None = None,
    ) -> None:
        """`rates` holds requests per second of the endpoints that have their own."""
        self._sources = sources
        self._topics = topics
        self._privacy = privacy
        self.settings: Final = settings
        self.counts: Final = Counts(endpoints)
        self._admission: Final = Admission(endpoints, settings, self.counts, rates or {})
        self._ids = DeliveryIds()
        self._paths = paths_of(endpoints)
        self._credentials = frozenset(name for source in sources.values() for name in source.credentials)
        self.held = False
        """Set while Kafka is not known to be as it must be: callbacks get 503."""
        self.draining = False
        """Set at SIGTERM: not ready any more, and connections end with their next answer."""
        needed = {topics.raw[source]: partitions for source in sorted({key[0] for key in endpoints})}
        self.producer: Final = DurableProducer(kafka, settings, needed | {topics.quarantine: 0}, self.counts)

    def ready(self) -> tuple[bool, list[str]]:
        """Say whether callbacks should be sent here, and if not, why."""
        reasons = ["draining"] if self.draining else []
        if self.producer.broken is not None:
            reasons.append("the producer ended")
        reasons += self.producer.lookout.reasons(time.monotonic())
        return not reasons, reasons

    def alive(self) -> tuple[bool, list[str]]:
        """Say whether this process still works; Kafka being away is no fault of it."""
        reasons = self.producer.alive(time.monotonic(), ALIVE_S)
        return not reasons, reasons

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request that came in pieces or in any other unusual way."""
        if scope["type"] != "http":
            return
        self.counts.in_flight += 1
        path = path_of(scope.get("raw_path") or scope["path"].encode())
        client = scope.get("client")
        sender = client[0] if client else ""
        reply: Reply = _untold
        try:
            headers = headers_of(scope["headers"])
            endpoint, received_us = self._admit(scope["method"], path, headers, sender)
            body = await body_of(receive, self.settings, self.counts)
            read_at = time.monotonic()
            callback = self._callback(path, headers, body, received_us)
            authentic = self._admission.prove(callback, endpoint, sender, read_at)
            if traces.TRACER is not None:
                reply = traces.TRACER.request(callback, reply)
            taken = self._cut(authentic)
            records, quarantined = laid_out(self._topics, taken)
            receipt = await self.producer.send(callback.delivery_id, records, quarantined, read_at)
            self.counts.taken(path[0], taken, self._credentials)
            answer = accepted(receipt, close=self.draining)
        except Gone:
            return
        except Exception as error:  # noqa: BLE001  a bug must not lose a callback: nothing was acknowledged
            answer = self._refuse(error)
        finally:
            self.counts.in_flight -= 1
        self.counts.requests[self._label(path), answer.status] += 1
        reply(answer)
        await send(answer.start)
        await send(answer.body)

    def take(
        self,
        raw_path: bytes,
        raw_headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        sender: str,
        reply: Reply,
    ) -> None:
        """Answer a POST that came whole: at once, or when Kafka has confirmed its last record.

        Args:
            raw_path: Without query.
            raw_headers: Names in lower case.
            body: Complete.
            sender: Address of the other side.
            reply: Called once, in the loop's thread.
        """
        self.counts.in_flight += 1
        path = self._paths.get(raw_path) or path_of(raw_path)
        try:
            headers = headers_of(raw_headers)
            endpoint, received_us = self._admit("POST", path, headers, sender)
            bounded(body, self.settings)
            read_at = time.monotonic()
            callback = self._callback(path, headers, body, received_us)
            authentic = self._admission.prove(callback, endpoint, sender, read_at)
            if traces.TRACER is not None:
                reply = traces.TRACER.request(callback, reply)
            taken = self._cut(authentic)
            records, quarantined = laid_out(self._topics, taken)
            settle = partial(self._settle, path[0], taken, reply)
            self.producer.hand(callback.delivery_id, records, quarantined, read_at, settle)
        except Exception as error:  # noqa: BLE001  as above
            self._done(self._label(path), self._refuse(error), reply)

    def _settle(
        self,
        source: str,
        taken: Sequence[RawRecord | Quarantined],
        reply: Reply,
        outcome: Receipt | NotDurable,
    ) -> None:
        """Answer a callback whose fate is known."""
        if isinstance(outcome, NotDurable):
            answer = self._refuse(outcome)
        else:
            try:
                self.counts.taken(source, taken, self._credentials)
                answer = accepted(outcome, close=self.draining)
            except Exception as error:  # noqa: BLE001  as above
                answer = self._refuse(error)
        self._done(source, answer, reply)

    def _done(self, label: str, answer: Answer, reply: Reply) -> None:
        self.counts.in_flight -= 1
        self.counts.requests[label, answer.status] += 1
        reply(answer)

    def _label(self, path: tuple[str, str, str]) -> str:
        return path[0] if path[0] in self._sources else NO_SOURCE

    def _admit(
        self, method: str, path: tuple[str, str, str], headers: Mapping[str, str], sender: str
    ) -> tuple[Endpoint | None, int]:
        """Give the endpoint a request is for, and its time of arrival in µs; the body is not looked at.

        Raises:
            Refused: By its head alone.
        """
        self._check_head(method, headers)
        return self._admission.endpoint(path, sender), time.time_ns() // 1000

    def _callback(
        self, path: tuple[str, str, str], headers: dict[str, str], body: bytes, received_us: int
    ) -> Callback:
        source, name, token = path
        if not self.settings.trust_traceparent:
            headers.pop("traceparent", None)
        return Callback(source, name, headers, body, received_us, self._ids.at(received_us), token)

    def _cut(self, authentic: Authentic) -> list[RawRecord | Quarantined]:
        """Cut a proved callback into records."""
        failpoints.at("door.authenticated")
        source = self._sources[authentic.callback.source]
        taken = flow.receive(authentic, source, self._privacy, max_records=self.settings.max_records)
        failpoints.at("door.cut")
        return taken

    def _check_head(self, method: str, headers: Mapping[str, str]) -> None:
        """Refuse what needs no look at the body."""
        if method != "POST":
            raise NotPost
        check_kind(headers)
        if int(headers.get("content-length", "0")) > self.settings.max_body_bytes:
            raise TooLong
        if self.counts.in_flight > self.settings.max_in_flight:
            raise NotDurable("in_flight")
        if self.held or not self.producer.lookout.reachable:
            raise NotDurable("unreachable")

    def _refuse(self, error: Exception) -> Answer:
        """Give the answer to a request that is not accepted.

        Of a bug only the place is told; neither the error's text nor the body, they may hold anything.
        """
        kind = type(error)
        if not isinstance(error, Refused):
            self.counts.unacked["bug"] += 1
            where = "".join(traceback.format_tb(error.__traceback__))
            _log.error("a bug, answered with 503: %s\n%s", kind.__name__, where)
            return refusal(NotDurable, close=self.draining)
        if isinstance(error, NotDurable):
            self.counts.unacked[str(error)] += 1
        if isinstance(error, Flood):
            return refusal(TooMany, close=True)
        return refusal(type(error), close=self.draining or kind in _CLOSED_BEHIND)


_CLOSED_BEHIND: Final = frozenset({NotAuthentic, TooLong})
