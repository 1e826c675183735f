"""The generated parts of the Helm chart: its topic table, settings, schema of values, and README.

docs/generate.py writes them. The values and what they mean stand in helm/connector/values.yaml alone;
what the connector itself accepts stands in its settings and its table of topics alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path
from typing import Any

import dashboard
import pages
import yaml

from connector.cli.samples import VISMA_COMPANY
from connector.runtime.configuration import json_schema
from connector.runtime.desk import topics_under
from connector.runtime.kafka_properties import OWNED
from connector.runtime.settings import IngressSettings, TopicSettings, WorkerSettings
from connector.topics import CONFIGS

CHART = Path(__file__).parent.parent / "helm" / "connector"
HEAD = "# Made by docs/generate.py; change the code it is made from.\n"
WIDTH = 110

GROUPS = {"topics": TopicSettings, "ingress": IngressSettings, "worker": WorkerSettings}
DECIDED = {"ingress": ("host", "port"), "worker": ("client_id", "static_membership", "state", "state_dir")}
"""Settings the chart makes itself: ports its Services and probes know, names and disks its pods have."""

_SEES = ["Describe", "DescribeConfigs"]
RIGHTS = {
    "ingress": [
        ("raw.", "prefix", ["Write", *_SEES]),
        ("quarantine", "literal", ["Write", *_SEES]),
    ],
    "worker": [
        ("raw.", "prefix", ["Read", "Write", *_SEES]),
        ("changelog.", "prefix", ["Read", "Write", *_SEES]),
        ("events", "literal", ["Read", "Write", *_SEES]),
        ("identity", "literal", ["Read", "Write", *_SEES]),
        ("quarantine", "literal", ["Write", *_SEES]),
    ],
}
"""What each role may do with topics; those of group and transactional id are in the template."""

_PEERS = {
    "type": "array",
    "items": {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {key: {"type": "object"} for key in ("podSelector", "namespaceSelector", "ipBlock")},
    },
}
_NAMED = {"type": "array", "items": {"type": "object", "required": ["name"]}}
_TEXTS = {"type": "array", "items": {"type": "string", "minLength": 1}}
_MAP = {"type": "object", "additionalProperties": {"type": "string"}}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65_535}
_SECONDS = {"type": "integer", "minimum": 1, "maximum": 3600}
_FREE = {"type": "object"}


def _one_of(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


def alerts() -> list[str]:
    """Name the alerts of the chart."""
    return [one["alert"] for one in yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["alerts"]]


RULES: Mapping[str, dict[str, Any]] = {
    "common*": _MAP,
    "*.annotations": _MAP,
    "*.podAnnotations": _MAP,
    "*.podLabels": _MAP,
    "*.nodeSelector": _MAP,
    "podMonitor.labels": _MAP,
    "prometheusRule.labels": _MAP,
    "prometheusRule.alertLabels": _MAP,
    "prometheusRule.selector": {"type": "string", "pattern": "^[^{}]*$"},
    "prometheusRule.runbooks": {"type": "string", "minLength": 1},
    "prometheusRule.disabled": {"type": "array", "items": _one_of(*alerts())},
    "prometheusRule.thresholds.silenceHours": {"type": "integer", "minimum": 1, "maximum": 720},
    "prometheusRule.thresholds.oldSecretDays": {"type": "integer", "minimum": 1, "maximum": 90},
    "prometheusRule.thresholds.refusedPercent": {"type": "number", "minimum": 0, "maximum": 100},
    "prometheusRule.thresholds.*": {"type": "number", "minimum": 0},
    "dashboard.labels": _MAP,
    "podMonitor.interval": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"},
    "image.repository": {"type": "string", "minLength": 1},
    "image.digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    "image.pullPolicy": _one_of("IfNotPresent", "Always", "Never"),
    "image.pullSecrets": _NAMED,
    "kafka.securityProtocol": _one_of("", "sasl_ssl", "ssl", "sasl_plaintext", "plaintext"),
    "kafka.sasl.mechanism": _one_of("", "SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "OAUTHBEARER"),
    "kafka.provisioning": _one_of("none", "job", "strimzi"),
    "kafka.strimzi.apiVersion": _one_of("kafka.strimzi.io/v1", "kafka.strimzi.io/v1beta2"),
    "kafka.strimzi.users.authentication": _one_of("scram-sha-512", "tls"),
    "kafka.properties": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
    "registry.url": {"type": "string", "pattern": "^(https?://[^@?#]+)?$"},
    "registry.authentication": _one_of("", "basic", "token"),
    "registry.secretKey": {"type": "string", "minLength": 1},
    "secrets": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["name", "existingSecret"],
            "additionalProperties": False,
            "properties": {
                "name": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?$"},
                "existingSecret": {"type": "string", "minLength": 1},
            },
        },
    },
    "*.replicas": {"type": "integer", "minimum": 1},
    "*.minReplicas": {"type": "integer", "minimum": 1},
    "ingress.autoscaling.maxReplicas": {"type": "integer", "minimum": 1},
    "worker.keda.maxReplicas": {"type": "integer", "minimum": 0},
    "worker.keda.lagThreshold": {"type": "integer", "minimum": 1},
    "worker.keda.pollingIntervalS": _SECONDS,
    "*.targetCPUUtilizationPercentage": {"type": "integer", "minimum": 1, "maximum": 100},
    "*.maxUnavailable": {
        "anyOf": [
            {"type": "integer", "minimum": 1},
            {"type": "string", "pattern": "^([1-9][0-9]?|100)%$"},
        ]
    },
    "ingress.service.type": _one_of("ClusterIP", "NodePort", "LoadBalancer"),
    "ingress.service.port": _PORT,
    "*.resources": _FREE,
    "*.behavior": _FREE,
    "*.affinity": _FREE,
    "*.extraEnv": _NAMED,
    "*.extraVolumes": _NAMED,
    "*.extraVolumeMounts": _NAMED,
    "*ecurityContext": _FREE,
    "expose.ingress.limits": _one_of("nginx", "none"),
    "expose.ingress.hosts": _TEXTS,
    "expose.httpRoute.parentRefs": _NAMED,
    "expose.httpRoute.hostnames": _TEXTS,
    "networkPolicy.gateway": _PEERS,
    "networkPolicy.monitoring": _PEERS,
    "networkPolicy.registry": _PEERS,
    "networkPolicy.*.to": _PEERS,
    "networkPolicy.*.ports": {"type": "array", "items": _PORT},
    "test.tenant": {"type": "string", "minLength": 1, "maxLength": 200},
    "test.timeoutS": _SECONDS,
}
"""Path of a value, as a pattern -> its schema; the others have the type of their default."""


def files() -> dict[Path, str]:
    """Lay out every generated file of the chart."""
    return {
        CHART / "files" / "topics.yaml": _yaml(_topics()),
        CHART / "files" / "settings.yaml": _yaml(_settings()),
        CHART / "values.schema.json": json.dumps(schema(), indent=2, ensure_ascii=False) + "\n",
        CHART / "dashboards" / "erp-connector.json": dashboard.dashboard(),
        CHART / "README.md": readme(),
    }


def _yaml(told: object) -> str:
    return HEAD + yaml.safe_dump(told, sort_keys=False, width=WIDTH)


def _topics() -> dict[str, Any]:
    return {
        "topics": [
            {"name": topic.name.removeprefix("erp."), "kind": topic.kind}
            for topic in topics_under("erp").all()
        ],
        "configs": {kind: dict(config) for kind, config in CONFIGS.items()},
        "rights": {
            role: [
                {"name": name, "pattern": pattern, "operations": operations}
                for name, pattern, operations in rights
            ]
            for role, rights in RIGHTS.items()
        },
    }


def _settings() -> dict[str, Any]:
    return {
        "defaults": {name: group().model_dump(mode="json") for name, group in GROUPS.items()},
        "owned": sorted(OWNED),
        "test": {"company": VISMA_COMPANY},
    }


def schema() -> dict[str, Any]:
    """Describe the values: types of their defaults, the rules above, and the connector's own schema."""
    texts = described()
    own = json_schema()
    definitions = {name: _untitled(one) for name, one in own["$defs"].items()}
    closed = _object(yaml.safe_load(_values()), "", texts)
    closed["properties"]["config"] = {
        "type": "object",
        "description": texts["config"],
        "additionalProperties": False,
        "properties": {name: _untitled(own["properties"][name]) for name in (*GROUPS, "endpoints")},
    }
    closed["properties"]["global"] = {"type": "object", "description": "Left alone; a parent chart sets it."}
    for name, group in GROUPS.items():
        for decided in DECIDED.get(name, ()):
            definitions[group.__name__]["properties"].pop(decided, None)
    used = json.dumps(closed) + json.dumps(definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Values of erp-connector",
        **closed,
        "$defs": {name: one for name, one in definitions.items() if f"#/$defs/{name}" in used},
    }


def _untitled(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: _untitled(one) for name, one in told.items() if name not in ("title", "default")}
    return [_untitled(one) for one in told] if isinstance(told, list) else told


def _object(values: Mapping[str, Any], above: str, texts: Mapping[str, str]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _value(value, f"{above}{name}", texts) for name, value in values.items()},
    }


def _value(value: Any, path: str, texts: Mapping[str, str]) -> dict[str, Any]:
    text = {"description": texts[path]} if path in texts else {}
    for pattern, rule in RULES.items():
        if fnmatchcase(path, pattern):
            return {**rule, **text}
    if isinstance(value, dict) and value:
        return {**_object(value, f"{path}.", texts), **text}
    kinds = {dict: "object", list: "array", bool: "boolean", int: "integer", str: "string"}
    return {"type": kinds[type(value)], **text}


def _values() -> str:
    return (CHART / "values.yaml").read_text()


def described() -> dict[str, str]:
    """Read the comment above each value.

    Raises:
        SystemExit: A value has none.
    """
    lines = _values().splitlines()
    texts = {}
    for path, node, line in _keys(yaml.compose(_values()), ""):
        above = takewhile(lambda text: text.startswith("#"), map(str.strip, reversed(lines[:line])))
        if comment := " ".join(reversed([text.removeprefix("#").strip() for text in above])):
            texts[path] = comment
        elif not (isinstance(node, yaml.MappingNode) and node.value):
            raise SystemExit(f"helm/connector/values.yaml: {path} has no comment above it")
    return texts


def _keys(mapping: Any, above: str) -> Iterator[tuple[str, yaml.Node, int]]:
    for key, node in mapping.value:
        path = f"{above}{key.value}"
        yield path, node, key.start_mark.line
        if isinstance(node, yaml.MappingNode) and not any(fnmatchcase(path, one) for one in RULES):
            yield from _keys(node, f"{path}.")


def readme() -> str:
    """Lay out the chart's README: how to install it, and every value."""
    texts, values = described(), yaml.safe_load(_values())
    intro = (CHART / "files" / "readme.md").read_text()
    parts = [pages.HEAD, intro]
    for name, value in values.items():
        group = isinstance(value, dict) and any(path.startswith(f"{name}.") for path in texts)
        paths = [path for path in texts if path == name or path.startswith(f"{name}.")]
        rows = [
            (f"`{path}`", _default(values, path), texts[path]) for path in paths if path != name or not group
        ]
        if group:
            parts.append(f"\n### {name}\n\n" + (f"{texts[name]}\n\n" if name in texts else ""))
        else:
            parts.append(f"\n### {name}\n\n")
        parts.append(pages.table(("value", "default", "meaning"), rows))
    return "".join(parts)


def _default(values: Any, path: str) -> str:
    for name in path.split("."):
        values = values[name]
    if isinstance(values, dict) and values and not any(fnmatchcase(path, one) for one in RULES):
        return ""
    return f"`{json.dumps(values)}`"
