"""Alerts, dashboard, runbooks and pages name the metrics the code emits, and nothing else."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import yaml
from prometheus_client.core import CollectorRegistry
from promql import named
from rig import ENDPOINTS

from connector.core.facts import GUARDS
from connector.errors import REASONS
from connector.model import Outcome
from connector.runtime import counts, guards, ingress_counts, ingress_metrics, lag, metrics, operations
from connector.runtime.ingress_counts import Counts
from connector.runtime.metrics import LIST, METRICS
from connector.sources import SOURCES

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "connector"
LISTING = (counts, guards, ingress_metrics, lag, operations)
"""Read for the metrics they list."""
ALERTS: list[dict[str, Any]] = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["alerts"]
DASHBOARD = json.loads((CHART / "dashboards" / "erp-connector.json").read_text())
OF_TARGETS = {"namespace", "pod", "app_kubernetes_io_instance"}
"""Labels that the PodMonitor gives and that alerts and dashboard choose by."""
STANDARD = {
    "up": set[str](),
    "process_start_time_seconds": set[str](),
    "process_resident_memory_bytes": set[str](),
    "process_cpu_seconds_total": set[str](),
}
CLOSED = {
    "source": {*SOURCES, ingress_counts.NO_SOURCE},
    "guard": set(GUARDS),
    "reason": {*REASONS, *ingress_counts.UNACKED},
    "end": set(counts.ENDS),
    "standing": {"owned", "live", "all"},
    "role": set(get_args(metrics.Role)),
    "probe": {"live", "ready"},
}


def expressions() -> Iterator[tuple[str, str]]:
    for alert in ALERTS:
        yield alert["alert"], re.sub("<[a-zA-Z0-9]+>", "1", alert["expr"].replace("<selector>", 'pod="p"'))
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


every_expression = pytest.mark.parametrize(
    ("where", "expression"), [pytest.param(*one, id=f"{at}-{one[0]}") for at, one in enumerate(expressions())]
)


def labels_of(metric: str) -> set[str]:
    """Give the labels of a series, of which a histogram has three kinds.

    Raises:
        AssertionError: The code emits no such series.
    """
    base = re.sub("_(bucket|sum|count)$", "", metric)
    if base in LIST and LIST[base].kind == "histogram":
        assert metric != base, f"{metric}: a histogram's series end in _bucket, _sum or _count"
        return {*LIST[base].labels, "le"} if metric.endswith("_bucket") else set(LIST[base].labels)
    assert metric in LIST or metric in STANDARD, f"{metric}: the code emits no such series"
    return set(LIST[metric].labels) if metric in LIST else STANDARD[metric]


@every_expression
def test_an_expression_names_only_metrics_and_labels_that_the_code_emits(where: str, expression: str) -> None:
    told = named(expression)
    assert told.selectors, where
    known = {label for one in told.selectors for label in labels_of(one.metric)} | OF_TARGETS

    assert told.labels <= known, where
    for one in told.selectors:
        for label, _, _ in one.matchers:
            assert label in labels_of(one.metric) | OF_TARGETS, f"{where}: {one.metric} has no label {label}"


@every_expression
def test_an_expression_asks_only_for_values_that_a_label_may_have(where: str, expression: str) -> None:
    for one in named(expression).selectors:
        for label, operator, value in one.matchers:
            if label in CLOSED:
                asked = set(value.split("|")) if "~" in operator else {value}
                assert asked <= CLOSED[label], f"{where}: {label}{operator}{value}"


@every_expression
def test_every_selector_stays_within_one_release(where: str, expression: str) -> None:
    for one in named(expression).selectors:
        chosen = {label for label, _, _ in one.matchers}
        assert chosen & {"pod", "app_kubernetes_io_instance"}, f"{where}: {one.metric} of every release"


@every_expression
def test_counters_are_asked_for_their_increase_and_gauges_for_their_value(
    where: str, expression: str
) -> None:
    for part in re.findall(r"\b(rate|increase|changes|max_over_time)\((\w+)", expression):
        function, metric = part
        kind = LIST[metric].kind if metric in LIST else "gauge" if "seconds" in metric else ""
        base = re.sub("_(bucket|sum|count)$", "", metric)
        counted = kind == "counter" or metric.endswith("_total") or (base in LIST and base != metric)
        assert counted == (function in ("rate", "increase")), f"{where}: {function}({metric})"


def test_the_reader_of_expressions_notices_what_it_must() -> None:
    told = named('sum by (a, b) (rate(x_total{c="1",d=~"2|3"}[5m] offset 1d)) / on (e) group_left y > 1e3')

    assert [one.metric for one in told.selectors] == ["x_total", "y"]
    assert told.selectors[0].matchers == (("c", "=", "1"), ("d", "=~", "2|3"))
    assert told.labels == {"a", "b", "e"}
    with pytest.raises(AssertionError):
        labels_of("connector_no_such_total")
    with pytest.raises(AssertionError):
        labels_of("connector_ingress_ack_seconds")


def test_every_listed_metric_is_emitted_and_nothing_else() -> None:
    door = CollectorRegistry()
    told = Counts(ENDPOINTS)
    told.named = True
    door.register(told)
    families = [
        one for registry in (METRICS, door) for one in registry.collect() if one.name.startswith("connector_")
    ]
    emitted = {f"{one.name}_total" if one.type == "counter" else one.name: one.type for one in families}

    assert emitted == {name: one.kind for name, one in LIST.items()}


def test_the_page_reads_every_module_that_lists_a_metric() -> None:
    page = (ROOT / "docs" / "metrics_page.py").read_text()
    read = re.search(r"^LISTS = \((.*)\)$", page, re.MULTILINE)
    assert read is not None
    makers = {
        file.stem
        for file in (ROOT / "connector").rglob("*.py")
        for names in re.findall(r"from connector\.runtime\.metrics import \(?([^)\n]*)", file.read_text())
        if {"counter", "gauge", "histogram", "listed", "Read"} & set(re.split(r"[,\s]+", names))
    }

    assert set(read[1].split(", ")) == makers
    assert {one.__name__.rpartition(".")[2] for one in LISTING} == makers


def test_every_series_of_the_ingress_has_the_labels_of_the_list() -> None:
    told = Counts(ENDPOINTS)
    told.named = True
    told.requests["none", "404"] += 1
    told.doubts["quickfile", "body_signature"] += 1
    told.redacted["clientKey"] += 1
    told.last["duett", "d1"] = 0.0
    told.acked(0.1)

    for family in told.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert family.samples, name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(LIST[name].labels), name


def test_what_may_happen_is_shown_before_it_has_happened() -> None:
    door = CollectorRegistry()
    door.register(Counts(ENDPOINTS))
    counts.begin(["duett"])
    hashed = ingress_counts.hash_of("d1")

    for registry, name, labels in (
        (door, "ingress_requests_total", {"source": "duett", "answer": "503"}),
        (door, "ingress_quarantined_total", {"source": "duett", "reason": "foreign_tenant"}),
        (door, "auth_secret_used_total", {"endpoint_hash": hashed, "slot": "0"}),
        (door, "endpoint_last_callback_timestamp_seconds", {"source": "duett", "endpoint_hash": hashed}),
        (METRICS, "quarantined_total", {"source": "duett", "reason": "foreign_tenant"}),
        (METRICS, "clock_suspect_events_total", {"source": "duett"}),
        (METRICS, "unknown_events_total", {"source": "duett"}),
        (METRICS, "transactions_total", {"end": "aborted"}),
    ):
        assert registry.get_sample_value(f"connector_{name}", labels) is not None, name


def test_no_metric_tells_a_tenant_or_an_id_unless_it_was_switched_on() -> None:
    told = Counts(ENDPOINTS)
    told.last["duett", "d1"] = 0.0

    def values() -> set[str]:
        return {text for one in told.collect() for sample in one.samples for text in sample.labels.values()}

    secret = {one.id for one in ENDPOINTS.values()} | {one.tenant for one in ENDPOINTS.values()}
    assert not secret & values()
    told.named = True
    assert secret <= values()


def test_a_silence_is_counted_for_each_endpoint_from_its_last_callback_or_the_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 1000.0)
    told = Counts(ENDPOINTS)
    monkeypatch.setattr("time.monotonic", lambda: 1500.0)
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)
    told.last["duett", "d1"] = 1440.0
    door = CollectorRegistry()
    door.register(told)

    def value(name: str, source: str, id_: str) -> float | None:
        labels = {"source": source, "endpoint_hash": ingress_counts.hash_of(id_)}
        return door.get_sample_value(f"connector_endpoint_{name}", labels)

    assert value("silence_seconds", "duett", "d1") == 60.0
    assert value("last_callback_timestamp_seconds", "duett", "d1") == 1_699_999_940.0
    assert value("silence_seconds", "quickfile", "q1") == 500.0
    assert value("last_callback_timestamp_seconds", "quickfile", "q1") == 0.0


def test_the_verdicts_that_are_counted_are_those_there_are() -> None:
    assert get_args(get_type_hints(Outcome)["verdict"]) == counts.VERDICTS


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    page = (ROOT / "docs" / "runbooks.md").read_text()

    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == [one["alert"] for one in ALERTS]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda one: one["alert"])
def test_an_alert_says_cause_and_first_step(alert: dict[str, Any]) -> None:
    assert alert["severity"] in ("critical", "warning", "info")
    assert "First step: " in alert["description"]
    assert len(alert["description"].partition("First step")[0]) > 40
    assert len(alert["summary"]) < 120
    labels = set(re.findall(r"\$labels\.(\w+)", alert["summary"]))
    grouped = named(re.sub("<[a-zA-Z0-9]+>", "1", alert["expr"].replace("<selector>", 'pod="p"'))).labels
    assert labels <= grouped, "a label that the expression does not keep is empty in the text"


def test_every_panel_has_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
