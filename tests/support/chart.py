"""The Helm chart, rendered: every combination of values once per session, as plain Kubernetes objects."""

import copy
import functools
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "helm" / "connector"
HELM: Final = ROOT / ".tools" / "helm"
CUSTOM: Final = ROOT / "tests" / "chart" / "crds"
EXAMPLES: Final = {path.stem: path for path in sorted((CHART / "examples").glob("*.yaml"))}
RELEASE: Final = "rel"
NAMESPACE: Final = "erp"
SECRET: Final = "0123456789abcdefghijklmnopqrstuv"

Values = dict[str, Any]
Object = dict[str, Any]


class RefusedValuesError(AssertionError):
    """Helm did not render; the text is what an operator reads."""


def helm(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run helm.

    Raises:
        AssertionError: It was not built yet.
    """
    assert HELM.exists(), "no .tools/helm: run `make tools`"
    return subprocess.run(
        [str(HELM), *arguments], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )


def render(values: Values) -> list[Object]:
    """Render the chart with these values.

    Raises:
        RefusedValuesError: The chart refuses them.
    """
    return copy.deepcopy(_rendered(json.dumps(values, sort_keys=True)))


@functools.cache
def _rendered(values: str) -> list[Object]:
    told = subprocess.run(
        [str(HELM), "template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--values", "-"],
        input=values,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if told.returncode:
        raise RefusedValuesError(told.stderr)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [one for one in yaml.load_all(told.stdout, loader) if one]


def merged(*parts: Mapping[str, Any]) -> Values:
    """Merge values as Helm does: maps by key, lists as a whole, null removes."""
    result: Values = {}
    for part in parts:
        for name, value in part.items():
            old = result.get(name)
            result[name] = (
                merged(old, value)
                if isinstance(old, dict) and isinstance(value, dict)
                else copy.deepcopy(value)
            )
    return result


def example(name: str) -> Values:
    """Read one of the example values."""
    read: Values = yaml.safe_load(EXAMPLES[name].read_text())
    return read


BASE: Final[Values] = {
    "kafka": {"bootstrapServers": "kafka-1:9093,kafka-2:9093", "securityProtocol": "ssl"},
    "config": {
        "endpoints": [
            {
                "source": "visma-net",
                "id": "8f1d2c4be07a95d6",
                "tenant": "nordic",
                "companies": ["1262489"],
                "authenticate": {"hmac": "x-vwd-signature-v1", "secrets": "file:/run/secrets/visma/current"},
            }
        ]
    },
    "secrets": [{"name": "visma", "existingSecret": "erp-visma"}],
    "networkPolicy": {"gateway": [{"namespaceSelector": {"matchLabels": {"role": "gateway"}}}]},
}
"""The least that works."""

DUETT: Final = {
    "source": "duett",
    "id": "3f6c0e6e5d5b4d3c",
    "tenant": "acme",
    "companies": ["file:/run/secrets/duett/company"],
    "authenticate": {"header": "Authorization", "secrets": ["file:/run/secrets/duett/current"]},
}

_PEER: Final = [{"podSelector": {"matchLabels": {"role": "peer"}}}]
_HOOKS: Final[Values] = {
    "extraEnv": [{"name": "CONNECTOR_OPERATIONS__HOST", "value": "::"}],
    "extraEnvFrom": [{"configMapRef": {"name": "more", "optional": True}}],
    "extraVolumes": [{"name": "more", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
    "podAnnotations": {"pod": "yes"},
    "podLabels": {"team": "erp"},
    "annotations": {"set": "yes"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "erp", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "priorityClassName": "high",
    "topologySpreadConstraints": [
        {"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
    ],
}
_BEHAVIOR: Final = {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}}}

COMBINATIONS: Final[dict[str, Values]] = {
    **{name: example(name) for name in EXAMPLES},
    "least": BASE,
    "mutual-tls": merged(
        BASE,
        {
            "kafka": {
                "ca": {"existingSecret": "ca", "key": "bundle.pem"},
                "certificate": {"existingSecret": "client", "passwordKey": "password"},
                "principals": {"worker": {"existingSecret": "client-worker"}},
            },
            "worker": {"keda": {"enabled": True, "maxReplicas": 6, **_BEHAVIOR}},
        },
    ),
    "oauth-and-keda": merged(
        example("confluent-cloud"), {"worker": {"keda": {"enabled": True, "lagThreshold": 1_000_000}}}
    ),
    "plaintext-and-keda": merged(example("plain"), {"worker": {"keda": {"enabled": True}}}),
    "registry": merged(
        BASE,
        {
            "kafka": {"provisioning": "job"},
            "registry": {
                "url": "https://registry.kafka:8081/apis/ccompat/v7",
                "authentication": "basic",
                "existingSecret": "registry-reader",
                "username": "reader",
                "ca": {"existingSecret": "registry-ca"},
                "registration": {"existingSecret": "registry-writer", "username": "writer"},
            },
            "test": {"enabled": True, "existingSecret": "erp-test"},
        },
    ),
    "strimzi-old-and-tls": merged(
        example("strimzi"),
        {
            "kafka": {
                "securityProtocol": "ssl",
                "sasl": {"mechanism": ""},
                "certificate": {"certificateKey": "user.crt", "privateKeyKey": "user.key"},
                "strimzi": {
                    "apiVersion": "kafka.strimzi.io/v1beta2",
                    "namespace": "kafka",
                    "users": {"authentication": "tls"},
                },
            },
            "config": {"topics": {"prefix": "Erp_2", "replication_factor": 2}, "worker": {"group": "team-a"}},
        },
    ),
    "hooks": merged(
        BASE,
        {
            "ingress": {**_HOOKS, "autoscaling": _BEHAVIOR, "service": {"annotations": {"svc": "yes"}}},
            "worker": _HOOKS,
            "commonLabels": {"cost-centre": "42"},
            "commonAnnotations": {"owner": "integration"},
            "image": {"digest": "sha256:" + "0" * 64, "pullSecrets": [{"name": "pull"}]},
            "networkPolicy": {
                "monitoring": _PEER,
                "registry": _PEER,
                "kafka": {"to": _PEER, "ports": [9092, 9094]},
                "extraEgress": [{"ports": [{"port": 8443}], "to": _PEER}],
            },
            "serviceAccount": {"annotations": {"role": "none"}},
        },
    ),
    "everything-on": merged(
        example("msk"),
        {
            "config": {"topics": {"partitions": 48}, "worker": {"transaction_timeout_ms": 60_000}},
            "expose": {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}},
            "test": {"enabled": True, "existingSecret": "erp-test"},
            "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "prometheusRule": {
                "enabled": True,
                "labels": {"release": "prometheus"},
                "alertLabels": {"team": "erp"},
                "disabled": ["ErpConnectorVersionsDiffer"],
                "thresholds": {"lagAgeS": 1_000_000},
            },
            "dashboard": {"enabled": True, "annotations": {"grafana_folder": "Integration"}},
            "networkPolicy": {"monitoring": _PEER},
            "worker": {"keda": {"enabled": True}},
        },
    ),
    "everything-off": merged(
        BASE,
        {
            "ingress": {"autoscaling": {"enabled": False}, "podDisruptionBudget": {"maxUnavailable": "25%"}},
            "networkPolicy": {"enabled": False, "gateway": []},
            "serviceAccount": {"create": False, "name": "given"},
            "podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None},
            "fullnameOverride": "x" * 60,
        },
    ),
    "slow-deadlines": merged(
        BASE,
        {
            "config": {
                "ingress": {
                    "drain_delay_s": 12.5,
                    "drain_timeout_s": 31,
                    "body_timeout_s": 60,
                    "max_body_bytes": 4096,
                },
                "worker": {"settle_timeout_s": 17.2, "transaction_timeout_ms": 45_500},
            },
            "expose": {"ingress": {"enabled": True, "hosts": ["a.example.com", "b.example.com"]}},
        },
    ),
}
"""What the tests render: the examples, and combinations that reach every branch of the templates."""


def of(objects: list[Object], kind: str, end: str = "") -> list[Object]:
    """Choose objects by kind and the end of their name."""
    return [one for one in objects if one["kind"] == kind and one["metadata"]["name"].endswith(end)]


def one(objects: list[Object], kind: str, end: str = "") -> Object:
    """Choose the one object of a kind whose name ends so."""
    found = of(objects, kind, end)
    assert len(found) == 1, f"{len(found)} {kind} named *{end}"
    return found[0]


def pods(objects: list[Object]) -> Iterator[tuple[str, Object, Object]]:
    """Give every pod: component, metadata and spec."""
    for thing in objects:
        if thing["kind"] in ("Deployment", "StatefulSet", "Job"):
            pod = thing["spec"]["template"]
        elif thing["kind"] == "Pod":
            pod = thing
        else:
            continue
        yield pod["metadata"]["labels"]["app.kubernetes.io/component"], pod["metadata"], pod["spec"]


def laid_out(
    objects: list[Object], component: str, folder: Path, secret: str = SECRET
) -> tuple[Path, dict[str, str]]:
    """Write a pod's files below a folder; give the configuration and the pod's variables."""
    ((meta, spec),) = [(meta, spec) for part, meta, spec in pods(objects) if part == component]
    (config,) = [
        one
        for one in of(objects, "ConfigMap")
        if one["metadata"]["name"] == spec["volumes"][0]["configMap"]["name"]
    ]
    text = config["data"]["connector.yaml"]
    for word in yaml.safe_dump(yaml.safe_load(text), default_flow_style=False).split():
        _, found, path = word.strip("'\"").partition("file:/run/secrets/")
        if found:
            place = folder / "run" / "secrets" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(secret)
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / f"{component}.yaml"
    written.write_text(text.replace("/run/secrets/", f"{folder}/run/secrets/"))
    env = {
        one["name"]: one.get("value", meta["labels"]["app.kubernetes.io/component"])
        for one in spec["containers"][0]["env"]
        if one["name"] != "CONNECTOR_CONFIG"
    }
    return written, env
