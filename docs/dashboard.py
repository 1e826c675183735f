"""The Grafana dashboard of the chart: the panels of files/dashboard.yaml as Grafana wants them.

Written by docs/generate.py, never by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import yaml

PANELS = Path(__file__).parent.parent / "helm" / "connector" / "files" / "dashboard.yaml"
MATCHERS = 'namespace="$namespace",app_kubernetes_io_instance="$release"'
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT = 8, 8
"""Of a panel, on Grafana's grid of 24 columns."""


def dashboard() -> str:
    """Lay out helm/connector/dashboards/erp-connector.json."""
    told = {
        "title": "erp-connector",
        "uid": "erp-connector",
        "tags": ["erp-connector", "kafka"],
        "description": "Callbacks in, changelogs out. What each metric means: docs/metrics.md.",
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": list(_variables())},
        "panels": list(_panels()),
    }
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def _variables() -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    for name, query in (
        ("namespace", "label_values(connector_info, namespace)"),
        ("release", 'label_values(connector_info{namespace="$namespace"}, app_kubernetes_io_instance)'),
    ):
        yield {
            "name": name,
            "label": name.capitalize(),
            "type": "query",
            "datasource": _SOURCE,
            "query": {"query": query, "refId": name},
            "refresh": 2,
            "sort": 1,
        }


def _panels() -> Iterator[dict[str, Any]]:
    numbers, y = count(1), 0
    for row, panels in yaml.safe_load(PANELS.read_text())["rows"].items():
        yield {
            "id": next(numbers),
            "type": "row",
            "title": row,
            "collapsed": False,
            "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
            "panels": [],
        }
        y += 1
        for at, panel in enumerate(panels):
            across, down = at % 3, at // 3
            place = {"x": across * _WIDTH, "y": y + down * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
            yield _panel(next(numbers), panel, place)
        y += -(-len(panels) // 3) * _HEIGHT


def _panel(number: int, panel: Mapping[str, Any], place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.get("type", "timeseries"),
        "title": panel["title"],
        "description": panel["about"],
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel["unit"], "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": _SOURCE,
                "expr": one["expr"].replace("{$", "{" + MATCHERS),
                "legendFormat": one["legend"],
                "range": True,
            }
            for at, one in enumerate(panel["asked"])
        ],
    }
