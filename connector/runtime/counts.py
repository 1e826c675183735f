"""What the worker counts; plain numbers on the way, metrics when they are asked for."""

from __future__ import annotations

from connector.runtime.telemetry import counter, gauge, histogram

EVENTS = counter("events_total", "Events by source and verdict.", "source", "verdict")
QUARANTINED = counter("quarantined_total", "Records the worker set aside.", "source", "reason")
CLOCK_SUSPECT = counter(
    "clock_suspect_events_total", "Events whose vendor time was not believed; receipt time used.", "source"
)
UNGUARDED = counter(
    "unguarded_events_total",
    "Events of unknown keys, older than deletes are remembered: a forgotten delete may be newer.",
    "source",
)
TOLERANCES = counter(
    "tolerances_total",
    "Tolerances that were used to read an event; docs/tolerances.md lists them.",
    "source",
    "tolerance",
)
UNKNOWN_FIELDS = counter(
    "unknown_fields_total", "Fields that no document of the vendor names; kept.", "source", "entity"
)
UNKNOWN_EVENTS = counter(
    "unknown_events_total", "Events whose name stands in no row of the vendor's table.", "source"
)
DEPRECATED = counter("deprecated_events_total", "Events whose end the vendor has announced.", "source")
UNRESOLVED = counter(
    "identity_change_unresolved_total", "New numbers whose old number was not known yet.", "source"
)
RESOLVED = counter(
    "identity_change_resolved_total", "Old numbers learnt after their new one; both were told.", "source"
)
FORWARDS = counter("forwards_total", "Effects sent to a second key.", "source")
TRANSACTIONS = counter("transactions_total", "Transactions by end.", "end")
COMMIT_SECONDS = histogram(
    "transaction_seconds",
    "From begin to commit of one cycle.",
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
CYCLE_RECORDS = histogram(
    "cycle_records", "Raw records in one cycle.", (1, 10, 50, 100, 250, 500, 1000, 2000, 5000)
)
KEYS = gauge("state_keys", "Keys held in memory, caches of released partitions included.")
PARTITIONS = gauge("partitions", "Raw partitions by standing.", "standing")
