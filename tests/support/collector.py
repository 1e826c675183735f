"""Where the tests have spans sent: a collector on loopback, OTLP over HTTP, or none but a list."""

import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult


class Kept(SpanExporter):
    """Stands where spans are sent, in the process that makes them."""

    told: tuple[ReadableSpan, ...] = ()

    def export(self, told: Sequence[ReadableSpan]) -> SpanExportResult:
        self.told = (*self.told, *told)
        return SpanExportResult.SUCCESS


class Told(NamedTuple):
    """One span; ids in hex, as a traceparent has them."""

    service: str
    name: str
    kind: int
    trace: str
    span: str
    parent: str
    links: list[tuple[str, str]]
    """Trace and span of each."""
    attributes: dict[str, Any]


class Collector:
    """A context manager; `url` is for OTEL_EXPORTER_OTLP_ENDPOINT."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        payloads = self.payloads

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                payloads.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def spans(self, name: str) -> list[Told]:
        """Give the spans that came so far whose name begins so."""
        return [
            _told(service(group.resource), span)
            for payload in list(self.payloads)
            for group in ExportTraceServiceRequest.FromString(payload).resource_spans
            for scope in group.scope_spans
            for span in scope.spans
            if span.name.startswith(name)
        ]


def service(resource: Any) -> str:
    """Give the name of the service that told a span."""
    return str(_plain(resource.attributes)["service.name"])


def _told(told_by: str, span: Any) -> Told:
    return Told(
        told_by,
        span.name,
        span.kind,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        [(one.trace_id.hex(), one.span_id.hex()) for one in span.links],
        _plain(span.attributes),
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
