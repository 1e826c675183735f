"""The two spans there are: a callback from its proof to its answer, and a cycle's transaction.

They name counts and verdicts; no tenant, endpoint, key or body. Nobody waits for their export: what the
processor's queue cannot hold is dropped. Needs the extra `otel`; `connector.runtime.traces` says when.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from connector.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opentelemetry.trace import Span, SpanContext

    from connector.model import Callback, RawRecord
    from connector.runtime.answers import Answer
    from connector.runtime.batch import Cycle
    from connector.runtime.whole import Reply

MOST_LINKS: Final = 128
"""Of one transaction; also what the SDK keeps by default."""
FLUSH_S: Final = 3.0
"""Longest wait at the end for an exporter, which itself may try for ten seconds."""
_HEADER: Final = "traceparent"
_SAMPLED: Final = frozenset("13579bdf")
"""Last digits of a traceparent whose span is kept."""
_ENDS: Final = {"aborted": "aborted", "no_outcome": "unknown"}
"""Code of what a commit failed with -> what `connector_transactions_total` calls that end."""
_NOWHERE: Final = Context()
"""Holds no span: nothing of this process is ever a parent."""

_w3c: Final = TraceContextTextMapPropagator()


class Spans:
    """Makes spans and exports them as the standard variables say."""

    def __init__(self, role: str) -> None:
        """Begin to export; `role` is part of the service's name, unless the environment gives one."""
        named = {} if _named(os.environ) else {SERVICE_NAME: f"erp-connector-{role}"}
        self._provider: Final = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer: Final = self._provider.get_tracer("erp-connector", version("erp-connector"))

    def request(self, callback: Callback, reply: Reply) -> Reply:
        """Begin the span of an authentic callback, and write its context where its records take it from.

        Args:
            callback: A traceparent among its headers is one to be believed; it is continued.
            reply: Gets the answer, as before.

        Returns:
            What takes the answer in its place, and ends the span.
        """
        headers = callback.headers
        span = self._tracer.start_span(
            f"POST /hooks/{callback.source}",
            _w3c.extract({_HEADER: headers.pop(_HEADER, "")}, _NOWHERE),
            SpanKind.SERVER,
            {"connector.source": callback.source, "http.request.body.size": len(callback.body)},
        )
        context = span.get_span_context()
        headers[_HEADER] = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

        def answered(answer: Answer) -> None:
            try:
                reply(answer)
            finally:
                _answered(span, answer)

        return answered

    def met(self, cycle: Cycle, raws: Iterable[RawRecord]) -> None:
        """Note which callbacks a cycle's records came with; spans that are not kept cannot be linked."""
        links = cycle.traceparents
        for raw in raws:
            if len(links) == MOST_LINKS:
                return
            if raw.meta.traceparent[-1:] in _SAMPLED:
                links[raw.meta.traceparent] = None

    def carried(self, cycle: Cycle, tally: Mapping[tuple[str, str], int]) -> None:
        """Note what became of one source's records."""
        cycle.verdicts.update({label: number for (kind, label), number in tally.items() if kind == "verdict"})

    @contextmanager
    def transaction(self, cycle: Cycle) -> Iterator[None]:
        """Be the span of a cycle's commit, linked to the callbacks its records came with."""
        span = self._tracer.start_span(
            "transaction",
            _NOWHERE,
            SpanKind.CONSUMER,
            {"connector.records": cycle.records}
            | {f"connector.verdict.{name}": number for name, number in cycle.verdicts.items()},
            [Link(context) for text in cycle.traceparents if (context := _context(text)).is_valid],
        )
        end = "failed"
        try:
            yield
            end = "committed"
        except ConnectorError as failure:
            end = _ENDS.get(failure.code, end)
            raise
        finally:
            span.set_attribute("connector.end", end)
            if end != "committed":
                span.set_status(StatusCode.ERROR)
            span.end()

    def stop(self) -> None:
        """Send what is left; an exporter that does not come to an end dies with the process."""
        ending = threading.Thread(target=self._provider.shutdown, name="spans-end", daemon=True)
        ending.start()
        ending.join(FLUSH_S)


def _named(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("OTEL_SERVICE_NAME")) or f"{SERVICE_NAME}=" in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )


def _context(traceparent: str) -> SpanContext:
    """Read a traceparent; the context of one that is none is not valid."""
    return get_current_span(_w3c.extract({_HEADER: traceparent}, _NOWHERE)).get_span_context()


def _answered(span: Span, answer: Answer) -> None:
    status = int(answer.status)
    span.set_attributes({"http.response.status_code": status, "connector.records": answer.records})
    if status >= 500:  # noqa: PLR2004  the server's own fault, as HTTP has it
        span.set_status(StatusCode.ERROR)
    span.end()
