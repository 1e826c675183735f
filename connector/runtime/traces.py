"""Whether spans are told by OpenTelemetry: the extra `otel`, and the standard OTEL_* variables.

What uses them asks `TRACER is not None` and nothing else. What they are stands in `connector.runtime.spans`,
which is imported only where they are wanted: without the variables a role knows nothing of OpenTelemetry.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from connector.runtime.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.runtime.spans import Spans

TRACER: Spans | None = None
"""Makes the spans of this process; None while none are wanted."""

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL: Final = "http/protobuf"


class Unable(Exception):
    """Spans are wanted, and cannot be told."""


def start(role: str) -> None:
    """Begin to tell spans, if the environment asks for it; a fault of it costs the traces, nothing else.

    Args:
        role: `ingress` or `worker`; part of the service's name, unless OTEL_SERVICE_NAME gives one.
    """
    global TRACER  # noqa: PLW0603  one for the process
    try:
        if wanted(os.environ):
            TRACER = _spans(role)
            log.info("telling traces")
    except Unable as refusal:
        log.warning("no traces", extra={"why": str(refusal)})
    except Exception as error:  # noqa: BLE001  a wrong OTEL_* variable must not keep callbacks out
        log.warning("no traces", extra={"why": "an OTEL_* variable is wrong"}, exc_info=error)


def stop() -> None:
    """Send what is left, for a few seconds at most."""
    global TRACER
    if TRACER is not None:
        ending, TRACER = TRACER, None
        ending.stop()


def wanted(environ: Mapping[str, str]) -> bool:
    """Say whether the environment asks for traces.

    Raises:
        Unable: It does, in a way that is not there.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if exporter == "none" or not (exporter or any(environ.get(name) for name in _ENDPOINTS)):
        return False
    if exporter not in {"", "otlp"}:
        raise Unable("OTEL_TRACES_EXPORTER: otlp and none are there")
    protocol = next((text for name in _PROTOCOLS if (text := environ.get(name))), _PROTOCOL)
    if protocol != _PROTOCOL:
        raise Unable(f"OTEL_EXPORTER_OTLP_PROTOCOL: {_PROTOCOL} alone is there, usually on port 4318")
    return True


def _spans(role: str) -> Spans:
    try:
        from connector.runtime.spans import Spans  # noqa: PLC0415  an extra, and slow to import
    except ModuleNotFoundError as missing:
        raise Unable(f"the extra `otel` is not installed: {missing.name} is missing") from None
    return Spans(role)
