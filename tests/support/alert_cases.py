"""What provokes each alert of the chart, and what comes near and must not."""

from alerts import Fault, flat, rising

INGRESS, WORKER = {"role": "ingress"}, {"role": "worker"}
A, W0, W1 = {"pod": "ingress-a"}, {"pod": "worker-0"}, {"pod": "worker-1"}
REQUESTS, BUCKETS = "connector_ingress_requests_total", "connector_ingress_ack_seconds_bucket"
QUARANTINED, DOOR = "connector_quarantined_total", "connector_ingress_quarantined_total"
GUARD = "connector_guard_violations"
ONCE = "0x55 1x50"
"""A counter that moved once, 20 minutes before it is looked at."""
LONG_AGO = "0x5 1x100"


def answered(status: str, each_minute: float) -> list[Fault]:
    return [(REQUESTS, {"answer": status, "source": "visma-net", **A}, rising(each_minute))]


def slow(of_600: float) -> list[Fault]:
    """So many of 600 callbacks take longer than a second."""
    return [
        (BUCKETS, {"le": bound}, rising(min(quick, 600 - of_600)))
        for bound, quick in (("0.005", 500), ("0.01", 598), ("0.1", 600), ("1.0", 600))
    ]


CASES: dict[str, tuple[list[Fault], list[Fault]]] = {
    # alert -> what provokes it, and what comes near and must not
    "CallbacksRefused": (answered("503", 20), answered("503", 5)),
    "NoIngressReady": (
        [("connector_ready", INGRESS, flat(0))],
        [("connector_ready", {**INGRESS, **A}, flat(0))],
    ),
    "AckSlow": (slow(12), slow(3)),
    "AuthFailures": (answered("401", 6), answered("401", 4)),
    "CallbacksTurnedAway": (answered("413", 0.5), answered("413", 0.25)),
    "NoWorkerReady": (
        [("connector_ready", WORKER, flat(0))],
        [("connector_ready", {**WORKER, **W0}, flat(0))],
    ),
    "LagOld": (
        [("connector_lag_age_seconds", {}, flat(400))],
        [("connector_lag_age_seconds", {}, flat(250))],
    ),
    "WorkerNotProgressing": (
        [("connector_lag_records", {}, flat(7)), ("connector_events_total", {}, flat(9000))],
        [("connector_lag_records", {}, flat(7)), ("connector_events_total", W0, flat(9000))],
    ),
    "PartitionsUnread": (
        [("connector_partitions", {"standing": "live", **W1}, flat(29))],
        [("connector_partitions", {"standing": "live", **W1}, "30x65 0x5 30x40")],
    ),
    "RebuildSlow": (
        [("connector_rebuild_seconds", W0, flat(1000))],
        [("connector_rebuild_seconds", {}, flat(800))],
    ),
    "TransactionsAborting": (
        [("connector_transactions_total", {"end": "aborted", **W0}, rising(1))],
        [("connector_transactions_total", {"end": "aborted", **W0}, rising(0.3))],
    ),
    "TransactionHung": (
        [("connector_transaction_open_seconds", W1, flat(70))],
        [("connector_transaction_open_seconds", W1, flat(50))],
    ),
    "ForeignTenant": (
        [(DOOR, {"reason": "foreign_tenant", **A}, ONCE)],
        [(DOOR, {"reason": "foreign_tenant", **A}, LONG_AGO), (DOOR, {"reason": "unreadable", **A}, ONCE)],
    ),
    "QuarantineGrowing": (
        [
            (DOOR, {"reason": "unreadable", **A}, rising(0.1)),
            (QUARANTINED, {"reason": "unreadable", **W0}, rising(0.1)),
        ],
        [
            (DOOR, {"reason": "unreadable", **A}, rising(0.1)),
            (QUARANTINED, {"reason": "by_operator"}, rising(5)),
        ],
    ),
    "ClockSuspect": (
        [("connector_clock_suspect_events_total", W0, rising(0.3))],
        [("connector_clock_suspect_events_total", W0, rising(0.1))],
    ),
    "UnknownEvents": (
        [("connector_unknown_events_total", W0, ONCE)],
        [("connector_unknown_events_total", W0, flat(3))],
    ),
    "DataAtRisk": (
        [(GUARD, {"guard": "aging", **W0}, flat(1))],
        [(GUARD, {"guard": "aging", **W0}, "0x74 1x30")],
    ),
    "GuardViolated": (
        [(GUARD, {"guard": "raw_retention", **W0}, flat(2))],
        [(GUARD, {"guard": "raw_retention", **W0}, "0x72 1x30")],
    ),
    "KafkaSilent": (
        [("connector_guards_silence_seconds", A, flat(400))],
        [("connector_guards_silence_seconds", {}, flat(200))],
    ),
    "CheckFailing": (
        [("connector_check_passes", {"probe": "live", **W0}, flat(0))],
        [("connector_check_passes", {"probe": "ready", **W0}, flat(0))],
    ),
    "CrashLoop": (
        [("process_start_time_seconds", W0, "0x53 1x4 2x4 3x4 4x40")],
        [("process_start_time_seconds", {}, "0x53 1x4 2x4 3x40")],
    ),
    "Down": ([("up", A, flat(0))], [("up", A, "1x72 0x3 1x30")]),
    "RegistryRefusing": (
        [("connector_registry_requests_total", {"answer": "404", **W0}, rising(2))],
        [("connector_registry_requests_total", {"answer": "404", **W0}, rising(1))],
    ),
    "VersionsDiffer": (
        [("+connector_info", {"pod": "worker-2", "role": "worker", "version": "0.2.0"}, flat(1))],
        [("+connector_info", {"pod": "worker-2", "role": "worker", "version": "0.2.0"}, "_x44 1x60")],
    ),
}
LAST, SECRET = "connector_endpoint_last_callback_timestamp_seconds", "connector_auth_secret_used_total"
NEW = {"pod": "ingress-a", "source": "duett", "endpoint_hash": "beef"}
SLOW: dict[str, tuple[list[list[Fault]], list[list[Fault]]]] = {
    # in steps of 10 minutes; looked at after 3 days, with thresholds of 6 hours and 1 day
    "EndpointSilent": (
        [
            [(LAST, {}, "0+600x330 198000x110")],
            [(LAST, {}, "0+600x330 0x110")],  # and the pods began anew
        ],
        [
            [(LAST, {}, "0+600x402 241200x20 0x20")],  # 5 hours ago, before the pods began anew
            [(LAST, A, "0+600x330 198000x110")],  # the other pod is called
            [("+" + LAST, NEW, "_x415 0x30")],  # an endpoint that is new, and not called yet
            [("+" + LAST, NEW, "0x425")],  # one that is not in the settings any more
        ],
    ),
    "OldSecretUsed": (
        [[(SECRET, {"slot": "1", **A}, rising(10, 440))]],
        [
            [(SECRET, {"slot": "1", **A}, "0+10x280 2800x200")],  # not since yesterday
            [(SECRET, {"slot": "1", **A}, "0x300 0+10x150")],  # only since yesterday
        ],
    ),
}
