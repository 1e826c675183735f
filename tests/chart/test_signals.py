"""Alerts fire when they should and not before; dashboard and scrape fit them. promtool evaluates."""

import json
import re
from pathlib import Path
from typing import Any

import chart
import pytest
import yaml
from alert_cases import CASES, INGRESS, ONCE, QUARANTINED, SLOW, W0
from alerts import Fault, judge, promtool, rules

pytestmark = pytest.mark.chart

RULE = "prometheusRule"


def name(alert: str) -> str:
    return f"ErpConnector{alert}"


def test_every_alert_has_a_case() -> None:
    alerts = {rule["alert"] for rule in rules()["groups"][0]["rules"]}

    assert alerts == {name(one) for one in (*CASES, *SLOW)}


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_when_it_is_provoked_and_not_before(alert: str, tmp_path: Path) -> None:
    provoked, near = CASES[alert]

    assert judge(tmp_path, {"provoked": (provoked, {name(alert)}), "near": (near, set())}) == ""


@pytest.mark.parametrize("alert", SLOW)
def test_an_alert_of_days_fires_when_it_is_provoked_and_not_before(alert: str, tmp_path: Path) -> None:
    provoked, near = SLOW[alert]
    stages: dict[str, tuple[list[Fault], set[str]]] = {
        **{f"provoked {at}": (faults, {name(alert)}) for at, faults in enumerate(provoked)},
        **{f"near {at}": (faults, set()) for at, faults in enumerate(near)},
    }
    thresholds = {"silenceHours": 6, "oldSecretDays": 1}

    assert judge(tmp_path, stages, thresholds=thresholds, interval="10m", at="3d", long=440) == ""


def test_in_a_healthy_release_nothing_fires_and_the_same_is_told_of_workers_as_of_the_door(
    tmp_path: Path,
) -> None:
    at_work = [(QUARANTINED, {"reason": "foreign_tenant", **W0}, ONCE)]
    gone: list[Fault] = [("connector_ready", INGRESS, None)]
    stages: dict[str, tuple[list[Fault], set[str]]] = {
        "healthy": ([], set()),
        "found by a worker": (at_work, {name("ForeignTenant")}),
        "no pod at all": (gone, {name("NoIngressReady")}),
    }

    assert judge(tmp_path, stages) == ""


def test_the_judge_notices_an_alert_that_should_fire_and_does_not(tmp_path: Path) -> None:
    found = judge(tmp_path, {"silent": ([], {name("LagOld")}), "loud": (CASES["LagOld"][0], set())})

    assert found.count("FAILED") >= 1
    assert found.count("ErpConnectorLagOld") == 2


@pytest.mark.parametrize("combination", ["everything-on"])
def test_the_rules_are_right_for_promtool(combination: str, tmp_path: Path) -> None:
    objects = chart.render(chart.COMBINATIONS[combination])
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(chart.one(objects, "PrometheusRule")["spec"]))

    told = promtool("check", "rules", "--lint=all", "--lint-fatal", str(tmp_path / "rules.yaml"))

    assert told.returncode == 0, told.stderr


def test_every_expression_of_the_dashboard_is_right_for_promtool(tmp_path: Path) -> None:
    panels = dashboard()["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    rules_ = [
        {"record": f"panel:{at}", "expr": one.replace("$__rate_interval", "5m").replace("$", "")}
        for at, one in enumerate(asked)
    ]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules_}]}))

    told = promtool("check", "rules", str(tmp_path / "rules.yaml"))

    assert len(asked) > 40
    assert told.returncode == 0, told.stderr


def dashboard() -> Any:
    config = chart.one(chart.render(chart.COMBINATIONS["everything-on"]), "ConfigMap", "-dashboard")
    return json.loads(config["data"]["erp-connector.json"])


def rule(**values: Any) -> chart.Object:
    more = {"podMonitor": {"enabled": True}, "networkPolicy": {"monitoring": [{"podSelector": {}}]}}
    return chart.one(
        chart.render(chart.merged(chart.BASE, more, {RULE: {"enabled": True, **values}})), "PrometheusRule"
    )


def test_the_rule_says_whose_it_is_and_where_to_read_on() -> None:
    made = rule(
        labels={"release": "prometheus"}, alertLabels={"team": "erp"}, runbooks="https://wiki/runbooks"
    )

    assert made["metadata"]["labels"]["release"] == "prometheus"
    for one in made["spec"]["groups"][0]["rules"]:
        assert one["labels"] == {
            "severity": one["labels"]["severity"], "namespace": "erp", "release": "rel", "team": "erp",
        }  # fmt: skip
        assert one["annotations"]["runbook_url"] == f"https://wiki/runbooks#{one['alert'].lower()}"
        assert not re.search("<[a-zA-Z]", one["expr"] + one["annotations"]["description"]), (
            "a value is missing"
        )
        assert one["expr"].count('app_kubernetes_io_instance="rel"') >= 1


def test_thresholds_selectors_and_alerts_follow_the_values() -> None:
    made = rule(thresholds={"lagAgeS": 77}, selector='job="erp"', disabled=[name("Down"), name("AckSlow")])
    found = {one["alert"]: one["expr"] for one in made["spec"]["groups"][0]["rules"]}

    assert found[name("LagOld")] == 'max by (source) (connector_lag_age_seconds{job="erp"}) > 77'
    assert not {name("Down"), name("AckSlow")} & found.keys()
    assert name("CrashLoop") in found


def test_without_being_asked_for_nothing_of_it_is_made() -> None:
    objects = chart.render(chart.BASE)

    assert not chart.of(objects, "PrometheusRule")
    assert not chart.of(objects, "PodMonitor")
    assert not chart.of(objects, "ConfigMap", "-dashboard")


def test_the_dashboard_is_the_one_in_the_folder_and_is_found_by_the_sidecar() -> None:
    config = chart.one(chart.render(chart.COMBINATIONS["everything-on"]), "ConfigMap", "-dashboard")

    assert dashboard() == json.loads((chart.CHART / "dashboards" / "erp-connector.json").read_text())
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["metadata"]["annotations"]["grafana_folder"] == "Integration"
    assert [one["name"] for one in dashboard()["templating"]["list"]] == [
        "datasource",
        "namespace",
        "release",
    ]


def test_the_scrape_gives_the_labels_that_alerts_and_dashboard_choose_by() -> None:
    objects = chart.render(chart.COMBINATIONS["everything-on"])
    spec = chart.one(objects, "PodMonitor")["spec"]
    given = {f"{label.replace('.', '_').replace('/', '_')}" for label in spec["podTargetLabels"]}
    chosen = {
        component
        for component, meta, pod in chart.pods(objects)
        if spec["selector"]["matchLabels"].items() <= meta["labels"].items()
        and component in spec["selector"]["matchExpressions"][0]["values"]
        and "operations" in {port["name"] for port in pod["containers"][0].get("ports", ())}
    }

    assert "app_kubernetes_io_instance" in given
    assert chosen == {"ingress", "worker"}


BAD = [
    ("a misspelt threshold", {"thresholds": {"lagAge": 3}}, "additional properties 'lagAge' not allowed"),
    ("text for a threshold", {"thresholds": {"lagAgeS": "5m"}}, "at '/prometheusRule/thresholds/lagAgeS'"),
    (
        "part of an hour",
        {"thresholds": {"silenceHours": 1.5}},
        "at '/prometheusRule/thresholds/silenceHours'",
    ),
    (
        "an unknown alert",
        {"disabled": ["ErpConnectorDwon"]},
        "at '/prometheusRule/disabled/0': value must be one of",
    ),
    ("a selector in braces", {"selector": '{job="erp"}'}, "at '/prometheusRule/selector'"),
]


@pytest.mark.parametrize(("values", "message"), [pytest.param(*bad[1:], id=bad[0]) for bad in BAD])
def test_bad_values_are_refused_in_clear_words(values: chart.Values, message: str) -> None:
    with pytest.raises(chart.RefusedValuesError, match=re.escape(message)):
        rule(**values)


def test_a_scrape_that_cannot_be_is_refused_with_its_remedy() -> None:
    with pytest.raises(chart.RefusedValuesError, match=r"networkPolicy\.monitoring: missing"):
        chart.render(chart.merged(chart.BASE, {"podMonitor": {"enabled": True}}))
    with pytest.raises(chart.RefusedValuesError, match=r"prometheusRule\.enabled: needs podMonitor\.enabled"):
        chart.render(chart.merged(chart.BASE, {RULE: {"enabled": True}}))
