"""The chart's alerts under promtool: a healthy release as series, and what a fault changes in it."""

import functools
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import chart

Labels = Mapping[str, str]
Values = Callable[[float], str]
Add = Callable[..., None]
Fault = tuple[str, Labels, str | None]
"""A metric, labels that choose among its series, and their values instead; None takes them away.
A `+` before the name adds a series."""
PROMTOOL: Final = chart.ROOT / ".tools" / "promtool"
MINUTES: Final = 100
"""A fault's series may end earlier; then Prometheus calls them stale after 5 minutes."""
EVALUATED_AT: Final = 75
INGRESSES: Final = ("ingress-a", "ingress-b")
WORKERS: Final = ("worker-0", "worker-1")
_TARGET: Final = {"namespace": chart.NAMESPACE, "app_kubernetes_io_instance": chart.RELEASE}
_SILENCES: Final = {"source": "visma-net", "endpoint_hash": "cafe"}


def flat(value: float, minutes: int = MINUTES) -> str:
    """A gauge that stays."""
    return f"{value}x{minutes}"


def rising(each_minute: float, minutes: int = MINUTES) -> str:
    """A counter that rises evenly."""
    return f"0+{each_minute}x{minutes}"


def healthy(long: int = MINUTES, step_s: int = 60) -> list[tuple[str, dict[str, str], str]]:
    """Lay out every series of a release to which nothing happens: two ingresses, two workers.

    Args:
        long: Steps.
        step_s: From one to the next, in seconds.
    """
    series: list[tuple[str, dict[str, str], str]] = []

    def flat(value: float) -> str:
        return f"{value}x{long}"

    def rising(each_step: float) -> str:
        return f"0+{each_step}x{long}"

    def add(pods: Sequence[str], name: str, values: str, **labels: str) -> None:
        series.extend((name, {**_TARGET, "pod": pod, **labels}, values) for pod in pods)

    _processes(add, flat)
    _door(add, flat, rising, step_s)
    _at_work(add, flat, rising)
    return series


def _processes(add: Add, flat: Values) -> None:
    both = (*INGRESSES, *WORKERS)
    add(both, "up", flat(1))
    add(both, "process_start_time_seconds", flat(0))
    add(both, "connector_guards_silence_seconds", flat(30))
    for guard in ("aging", "unwritable", "missing", "raw_retention", "settings"):
        add(both, "connector_guard_violations", flat(0), guard=guard, topic_kind="raw")
    for role, pods in (("ingress", INGRESSES), ("worker", WORKERS)):
        add(pods, "connector_ready", flat(1), role=role)
        add(pods, "connector_info", flat(1), role=role, version="0.1.0")
        add(pods, "connector_check_passes", flat(1), probe="live", check="loop")
        add(pods, "connector_check_passes", flat(1), probe="ready", check="kafka")


def _door(add: Add, flat: Values, rising: Values, step_s: int) -> None:
    add(INGRESSES, "connector_ingress_requests_total", rising(600), source="visma-net", answer="202")
    add(INGRESSES, "connector_ingress_requests_total", rising(30), source="none", answer="404")
    for answer in ("401", "404", "405", "413", "415", "429", "503"):
        add(INGRESSES, "connector_ingress_requests_total", flat(0), source="visma-net", answer=answer)
    for bound, share in (
        ("0.005", 500),
        ("0.01", 598),
        ("0.1", 600),
        ("1.0", 600),
        ("2.5", 600),
        ("+Inf", 600),
    ):
        add(INGRESSES, "connector_ingress_ack_seconds_bucket", rising(share), le=bound)
    add(INGRESSES, "connector_endpoint_last_callback_timestamp_seconds", rising(step_s), **_SILENCES)
    add(INGRESSES, "connector_auth_secret_used_total", rising(600), endpoint_hash="cafe", slot="0")
    add(INGRESSES, "connector_auth_secret_used_total", flat(0), endpoint_hash="cafe", slot="1")
    for reason in ("foreign_tenant", "unreadable"):
        add(INGRESSES, "connector_ingress_quarantined_total", flat(0), source="visma-net", reason=reason)
        add(WORKERS, "connector_quarantined_total", flat(0), source="visma-net", reason=reason)
    add(WORKERS, "connector_quarantined_total", flat(0), source="visma-net", reason="by_operator")


def _at_work(add: Add, flat: Values, rising: Values) -> None:
    add(WORKERS, "connector_lag_records", flat(0), source="visma-net")
    add(WORKERS, "connector_lag_age_seconds", flat(0), source="visma-net")
    add(WORKERS, "connector_events_total", rising(600), source="visma-net", verdict="applied")
    for standing, number in (("all", 60), ("owned", 30), ("live", 30)):
        add(WORKERS, "connector_partitions", flat(number), standing=standing)
    add(WORKERS, "connector_rebuild_seconds", flat(0))
    add(WORKERS, "connector_transactions_total", rising(60), end="committed")
    for end in ("aborted", "unknown"):
        add(WORKERS, "connector_transactions_total", flat(0), end=end)
    add(WORKERS, "connector_transaction_open_seconds", flat(0.1))
    add(WORKERS, "connector_clock_suspect_events_total", flat(0), source="visma-net")
    add(WORKERS, "connector_unknown_events_total", flat(0), source="visma-net")
    add(WORKERS, "connector_registry_requests_total", rising(1), answer="200")
    add(WORKERS, "connector_registry_requests_total", flat(0), answer="404")


def struck(
    faults: Sequence[Fault], long: int = MINUTES, step_s: int = 60
) -> list[tuple[str, dict[str, str], str]]:
    """Lay out a release to which something happens.

    Raises:
        AssertionError: A fault changes no series of the healthy one.
    """
    series = healthy(long, step_s)
    for name, chosen, values in faults:
        if name.startswith("+") and values is not None:
            series.append((name[1:], {**_TARGET, **chosen}, values))
            continue
        hit = [one for one in series if one[0] == name and chosen.items() <= one[1].items()]
        assert hit, f"no series {name} {dict(chosen)}"
        series = [one for one in series if one not in hit]
        if values is not None:
            series += [(name, labels, values) for name, labels, _ in hit]
    return series


@functools.cache
def rules(thresholds: tuple[tuple[str, float], ...] = ()) -> dict[str, Any]:
    """Render the chart's rules, all of them."""
    values = chart.merged(
        chart.BASE,
        {
            "podMonitor": {"enabled": True},
            "prometheusRule": {"enabled": True, "thresholds": dict(thresholds)},
            "networkPolicy": {"monitoring": [{"podSelector": {}}]},
        },
    )
    groups: dict[str, Any] = {"groups": chart.one(chart.render(values), "PrometheusRule")["spec"]["groups"]}
    return groups


def promtool(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run promtool.

    Raises:
        AssertionError: There is none.
    """
    found = str(PROMTOOL) if PROMTOOL.exists() else shutil.which("promtool")
    assert found, "no promtool: run `make tools`; it says what to do where it finds none"
    return subprocess.run([found, *arguments], capture_output=True, text=True, timeout=120, check=False)


def judge(folder: Path, stages: Mapping[str, tuple[Sequence[Fault], set[str]]], **more: Any) -> str:
    """Say what promtool finds wrong: of each stage, the faults and exactly the alerts that must fire.

    Args:
        folder: For promtool's files.
        stages: Name -> faults, names of alerts.
        more: `thresholds`; `interval` of the series and of evaluation; `long`, their number; `at`, when it is
            looked.
    """
    long = more.get("long", MINUTES)
    at, interval = more.get("at", f"{EVALUATED_AT}m"), more.get("interval", "1m")
    thresholds = tuple(sorted(more.get("thresholds", {}).items()))
    (folder / "rules.yaml").write_text(json.dumps(rules(thresholds)))  # JSON is YAML, and quicker
    tests = [
        {
            "name": name,
            "interval": interval,
            "input_series": [
                {"series": f"{metric}{{{_told(labels)}}}", "values": values}
                for metric, labels, values in struck(faults, long, 60 * int(interval.removesuffix("m")))
            ],
            "promql_expr_test": [
                {
                    "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": at,
                    "exp_samples": [
                        {"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(expected)
                    ],
                }
            ],
        }
        for name, (faults, expected) in stages.items()
    ]
    told = {"rule_files": ["rules.yaml"], "evaluation_interval": interval, "tests": tests}
    (folder / "tests.yaml").write_text(json.dumps(told))
    ended = promtool("test", "rules", str(folder / "tests.yaml"))
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr


def _told(labels: Labels) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels.items())
