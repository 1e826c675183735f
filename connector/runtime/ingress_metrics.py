"""The metrics of the ingress, as they are listed; `connector.runtime.ingress_counts` fills them."""

from __future__ import annotations

from typing import Final

from connector.runtime.metrics import INGRESS, listed

REQUESTS: Final = listed(
    "counter",
    "ingress_requests_total",
    "requests",
    "Answers by status.",
    "source",
    "answer",
    roles=INGRESS,
)
RECORDS: Final = listed(
    "counter",
    "ingress_records_total",
    "records",
    "Raw records that Kafka has confirmed.",
    "source",
    roles=INGRESS,
)
QUARANTINED: Final = listed(
    "counter",
    "ingress_quarantined_total",
    "records",
    "Authentic, but unusable: what the ingress wrote to quarantine.",
    "source",
    "reason",
    roles=INGRESS,
)
EMPTY: Final = listed(
    "counter",
    "ingress_empty_total",
    "callbacks",
    "Authentic callbacks without an event.",
    "source",
    roles=INGRESS,
)
REDACTED: Final = listed(
    "counter",
    "ingress_redacted_total",
    "callbacks",
    "Callbacks in which a credential was redacted.",
    "field",
    roles=INGRESS,
)
NOT_ACKED: Final = listed(
    "counter",
    "ingress_unacked_total",
    "requests",
    "Answers 503 by what kept Kafka from confirming.",
    "reason",
    roles=INGRESS,
)
TOO_LATE: Final = listed(
    "counter",
    "ingress_late_total",
    "connections",
    "Connections closed because a part of the request did not come in time.",
    "part",
    roles=INGRESS,
)
SECRETS: Final = listed(
    "counter",
    "auth_secret_used_total",
    "callbacks",
    "Callbacks by the place, in the endpoint's list, of the secret that proved them; the first is 0.",
    "endpoint_hash",
    "slot",
    roles=INGRESS,
)
DOUBTS: Final = listed(
    "counter",
    "auth_doubts_total",
    "callbacks",
    "Callbacks that a scheme in mode `warn` did not prove.",
    "source",
    "scheme",
    roles=INGRESS,
)
IN_FLIGHT: Final = listed("gauge", "ingress_inflight", "requests", "Requests being worked on.", roles=INGRESS)
READING: Final = listed(
    "gauge", "ingress_reading_bytes", "bytes", "Bytes of bodies that are not complete yet.", roles=INGRESS
)
GAP: Final = listed(
    "gauge",
    "callback_gap_seconds",
    "seconds",
    "Silence since the last authentic callback of a source, as one process saw it; nothing before its first.",
    "source",
    roles=INGRESS,
)
SILENCE: Final = listed(
    "gauge",
    "endpoint_silence_seconds",
    "seconds",
    "Silence since the last authentic callback of an endpoint, as one process saw it; before the first one"
    " since that process began. The true silence is the least of all processes'.",
    "source",
    "endpoint_hash",
    roles=INGRESS,
)
LAST: Final = listed(
    "gauge",
    "endpoint_last_callback_timestamp_seconds",
    "seconds since 1970",
    "When the last authentic callback of an endpoint came; 0 if none came since the process began. The"
    " greatest over all processes and some days outlives restarts, which a silence does not.",
    "source",
    "endpoint_hash",
    roles=INGRESS,
)
ENDPOINT: Final = listed(
    "gauge",
    "endpoint_info",
    "1",
    "Id and tenant behind an `endpoint_hash`; only with `operations.endpoint_labels`.",
    "source",
    "endpoint_hash",
    "endpoint_id",
    "tenant",
    roles=INGRESS,
)
ACK_SECONDS: Final = listed(
    "histogram",
    "ingress_ack_seconds",
    "seconds",
    "From handing a callback's records to the producer until Kafka confirmed the last one.",
    roles=INGRESS,
)
