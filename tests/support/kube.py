"""A real Kubernetes by kubectl and helm: a Kafka with SCRAM in one namespace, the product in another."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import chart
import yaml
from container import IMAGE as KAFKA_IMAGE

from connector.runtime.broker import CLUSTER_ID, node_properties

CONTEXT: Final = os.environ.get("CONNECTOR_TEST_KUBERNETES", "")
IMAGE: Final = os.environ.get("CONNECTOR_TEST_IMAGE") or f"erp-connector:{version('erp-connector')}"
PYTHON: Final = "/opt/connector/bin/python"
NAMESPACE: Final = "erp-connector-test"
BROKERS: Final = "erp-connector-test-kafka"
"""Namespace of Kafka; both namespaces are made by the tests, and go with them."""
RELEASE: Final = "erp"
FULLNAME: Final = f"{RELEASE}-erp-connector"
RESTRICTED: Final = "pod-security.kubernetes.io/enforce=restricted"
USER: Final = "erp-connector"


def run(*command: str, given: str | None = None, within_s: float = 120) -> str:
    """Run a command; give what it printed.

    Raises:
        AssertionError: It failed; the text is what it said.
    """
    told = subprocess.run(command, input=given, capture_output=True, text=True, timeout=within_s, check=False)
    assert told.returncode == 0, f"{' '.join(command[:6])}: {told.stdout[-2000:]}{told.stderr[-2000:]}"
    return told.stdout


def kubectl(*arguments: str, given: str | None = None, within_s: float = 120) -> str:
    """Run kubectl in the context that was named, and no other."""
    return run("kubectl", "--context", CONTEXT, *arguments, given=given, within_s=within_s)


def helm(*arguments: str, given: str | None = None, within_s: float = 300) -> str:
    """Run helm in the same context."""
    return run(str(chart.HELM), "--kube-context", CONTEXT, *arguments, given=given, within_s=within_s)


def make(namespace: str, *objects: chart.Object) -> None:
    """Apply objects."""
    everything = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    kubectl("-n", namespace, "apply", "-f", "-", given=json.dumps(everything))


def secret(name: str, **values: str) -> chart.Object:
    """Describe a Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}


def until(well: Callable[[], bool], seconds: float, told: Callable[[], str]) -> float:
    """Wait for a condition; give the seconds it took."""
    began = time.monotonic()
    while not well():
        assert time.monotonic() - began < seconds, told()
        time.sleep(1)
    return time.monotonic() - began


def kafka() -> list[chart.Object]:
    """Describe one broker: 9092 for whoever makes users, 9093 for clients with SCRAM."""
    name = f"kafka.{BROKERS}"
    properties = node_properties(1) | {
        "node.id": "1",
        "listeners": "OPEN://:9092,SCRAM://:9093,CONTROLLER://:9094",
        "advertised.listeners": f"OPEN://{name}:9092,SCRAM://{name}:9093",
        "listener.security.protocol.map": "OPEN:PLAINTEXT,SCRAM:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "OPEN",
        "controller.quorum.voters": "1@localhost:9094",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.scram.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
    }
    written = {
        "KAFKA_" + key.replace("-", "___").replace(".", "_").upper(): properties[key] for key in properties
    }
    labels = {"app": "kafka"}
    container = {
        "name": "kafka",
        "image": KAFKA_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "env": [
            {"name": key, "value": value} for key, value in {"CLUSTER_ID": CLUSTER_ID, **written}.items()
        ],
        "readinessProbe": {"tcpSocket": {"port": 9093}, "periodSeconds": 1},
        # without a request it would get next to no CPU beside pods that have one
        "resources": {"requests": {"cpu": "500m", "memory": "768Mi"}},
    }
    ports = [{"name": f"port-{port}", "port": port} for port in (9092, 9093)]
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "kafka", "labels": labels},
            "spec": {"containers": [container], "enableServiceLinks": False},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kafka"},
            # the broker calls itself by this name before it is ready
            "spec": {"selector": labels, "ports": ports, "publishNotReadyAddresses": True},
        },
    ]


def script(name: str, text: str, arguments: list[str], like: chart.Object) -> list[chart.Object]:
    """Describe a pod that runs a script in the product's image, with settings and secrets of another pod.

    Args:
        name: Of the pod, and of the file with the script.
        text: Python.
        arguments: Of the script.
        like: The pod of `helm test`, as rendered, and its ConfigMap: `{"pod": ..., "config": ...}`.
    """
    pod, config = like["pod"], like["config"]
    spec = json.loads(json.dumps(pod["spec"]))
    spec["containers"][0] |= {"command": [PYTHON, f"/etc/connector/{name}.py"], "args": arguments}
    spec["containers"][0]["resources"] = {"requests": {"cpu": "200m", "memory": "128Mi"}}
    for volume in spec["volumes"]:
        if volume["name"] == "config":
            volume["configMap"]["name"] = name
    data = {"connector.yaml": config["data"]["connector.yaml"], f"{name}.py": text}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": pod["metadata"]["labels"]},
            "spec": spec,
        },
    ]


def ended(name: str, within_s: float) -> str:
    """Wait until a pod has ended well; give its log."""

    def phase() -> str:
        return kubectl("-n", NAMESPACE, "get", "pod", name, "-o", "jsonpath={.status.phase}")

    until(lambda: phase() in ("Succeeded", "Failed"), within_s, lambda: log(name))
    assert phase() == "Succeeded", log(name)
    return log(name)


def log(name: str) -> str:
    """What a pod wrote, or why there is nothing."""
    try:
        return kubectl("-n", NAMESPACE, "logs", name, "--tail", "200")
    except AssertionError as error:
        return f"{error}\n{kubectl('-n', NAMESPACE, 'describe', 'pod', name)}"


def pods(component: str) -> list[dict[str, Any]]:
    """List the pods of a role."""
    label = f"app.kubernetes.io/component={component}"
    told: dict[str, list[dict[str, Any]]] = json.loads(
        kubectl("-n", NAMESPACE, "get", "pods", "-l", label, "-o", "json")
    )
    return told["items"]


def rendered(values: chart.Values) -> chart.Object:
    """Render pod and settings of `helm test`."""
    objects = [
        one
        for one in yaml.safe_load_all(
            helm("template", RELEASE, str(chart.CHART), "-n", NAMESPACE, "-f", "-", given=json.dumps(values))
        )
        if one and one["metadata"]["name"] == f"{FULLNAME}-test"
    ]
    by_kind = {one["kind"]: one for one in objects}
    return {"pod": by_kind["Pod"], "config": by_kind["ConfigMap"]}


def read(name: str) -> str:
    """Read a script that runs in a pod."""
    return Path(__file__).with_name(name).read_text()
