"""What the pods are allowed, told and given, and how many of them there are."""

import math
from typing import Any

import chart
import pytest
import yaml

from connector.runtime.settings import IngressSettings, WorkerSettings

pytestmark = pytest.mark.chart

ALL = pytest.mark.parametrize("name", chart.COMBINATIONS)


def rendered(name: str) -> list[chart.Object]:
    return chart.render(chart.COMBINATIONS[name])


def container(name: str, component: str) -> dict[str, Any]:
    (spec,) = [spec for part, _, spec in chart.pods(rendered(name)) if part == component]
    found: dict[str, Any] = spec["containers"][0]
    return found


@ALL
def test_every_pod_is_restricted(name):
    for component, _, spec in chart.pods(rendered(name)):
        assert spec["securityContext"]["runAsNonRoot"] is True, component
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["securityContext"].get("runAsUser", 10001) >= 10001
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys()
        for one in spec["containers"]:
            assert one["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert not any("hostPort" in port for port in one.get("ports", []))
        assert all({"configMap", "secret", "emptyDir"} & volume.keys() for volume in spec["volumes"])


@ALL
def test_no_pod_has_a_token_or_variables_of_other_services(name):
    objects = rendered(name)

    for _, _, spec in chart.pods(objects):
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
    assert all(one["automountServiceAccountToken"] is False for one in chart.of(objects, "ServiceAccount"))


@ALL
def test_every_container_has_requests_and_limits(name):
    for component, _, spec in chart.pods(rendered(name)):
        for bound in ("requests", "limits"):
            assert spec["containers"][0]["resources"][bound].keys() == {"cpu", "memory"}, component


@ALL
def test_what_is_mounted_is_there_and_secrets_are_whole_folders(name):
    for component, _, spec in chart.pods(rendered(name)):
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        mounts = spec["containers"][0]["volumeMounts"]
        assert {mount["name"] for mount in mounts} == volumes.keys(), component
        assert len({mount["mountPath"] for mount in mounts}) == len(mounts)
        for mount in mounts:
            if "secret" in volumes[mount["name"]]:
                assert "subPath" not in mount  # it would not follow the Secret: no rotation
                assert mount["readOnly"] is True
                assert volumes[mount["name"]]["secret"]["defaultMode"] == 0o440


@ALL
def test_only_the_ingress_sees_secrets_of_endpoints(name):
    mounted = {
        component: {mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
        for component, _, spec in chart.pods(rendered(name))
    }
    listed = {f"/run/secrets/{one['name']}" for one in chart.COMBINATIONS[name]["secrets"]}

    assert listed <= mounted["ingress"]
    assert all(not listed & paths for component, paths in mounted.items() if component != "ingress")


@ALL
def test_probes_ask_the_operations_port_and_only_readiness_asks_for_kafka(name):
    for component, _, spec in chart.pods(rendered(name)):
        if component not in ("ingress", "worker"):
            continue
        one = spec["containers"][0]
        assert {port["name"]: port["containerPort"] for port in one["ports"]}["operations"] == 9090
        for probe, path in (
            ("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz"),
        ):  # fmt: skip
            assert one[probe]["httpGet"] == {"path": path, "port": "operations"}


@ALL
def test_the_grace_period_covers_every_deadline(name):
    config = chart.COMBINATIONS[name]["config"]
    ingress = IngressSettings(**config.get("ingress", {}))
    worker = WorkerSettings(**config.get("worker", {}))
    grace = {
        component: spec.get("terminationGracePeriodSeconds")
        for component, _, spec in chart.pods(rendered(name))
    }

    assert grace["ingress"] == math.ceil(ingress.drain_delay_s + ingress.drain_timeout_s + 15)
    assert grace["worker"] == math.ceil(worker.transaction_timeout_ms / 1000 + worker.settle_timeout_s + 25)


def test_the_default_grace_periods_are_the_documented_ones():
    grace = {part: spec["terminationGracePeriodSeconds"] for part, _, spec in chart.pods(rendered("least"))}

    assert grace == {"ingress": 30, "worker": 45}


def test_a_worker_has_the_name_of_its_pod_and_keeps_its_partitions_while_it_restarts():
    env = {one["name"]: one for one in container("least", "worker")["env"]}

    assert env["CONNECTOR_WORKER__CLIENT_ID"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert env["CONNECTOR_WORKER__STATIC_MEMBERSHIP"]["value"] == "true"


def test_a_worker_with_a_disk_keeps_its_state_there_and_one_without_in_memory():
    values = {**chart.COMBINATIONS["least"], "worker": {"disk": {"enabled": True, "size": "3Gi"}}}
    on_disk = chart.one(chart.render(values), "StatefulSet")["spec"]
    pod = on_disk["template"]["spec"]["containers"][0]
    env = {one["name"]: one.get("value") for one in pod["env"]}
    (claim,) = on_disk["volumeClaimTemplates"]
    (mount,) = [one for one in pod["volumeMounts"] if one["name"] == claim["metadata"]["name"]]

    assert (env["CONNECTOR_WORKER__STATE"], env["CONNECTOR_WORKER__STATE_DIR"]) == (
        "rocksdb",
        mount["mountPath"],
    )
    assert claim["spec"]["resources"]["requests"]["storage"] == "3Gi"
    assert WorkerSettings(state=env["CONNECTOR_WORKER__STATE"], state_dir=mount["mountPath"])
    (ingress,) = [spec for part, _, spec in chart.pods(chart.render(values)) if part == "ingress"]
    assert "CONNECTOR_WORKER__STATE" not in str(ingress)

    in_memory = chart.one(rendered("least"), "StatefulSet")["spec"]
    assert "volumeClaimTemplates" not in in_memory
    assert "CONNECTOR_WORKER__STATE" not in str(in_memory)


def test_no_ingress_pod_ends_before_its_successor_is_ready():
    deployment = chart.one(rendered("least"), "Deployment")

    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def checksums(values: chart.Values) -> dict[str, str]:
    return {
        part: meta["annotations"]["checksum/config"]
        for part, meta, _ in chart.pods(chart.render(values))
        if part in ("ingress", "worker")
    }


@pytest.mark.parametrize(
    ("change", "rolled"),
    [
        ({"config": {"ingress": {"linger_ms": 3}}}, {"ingress"}),
        ({"config": {"worker": {"batch_records": 10}}}, {"worker"}),
        ({"config": {"topics": {"prefix": "other"}}}, {"ingress", "worker"}),
        ({"config": {"endpoints": []}, "test": {"enabled": True, "existingSecret": "t"}}, {"ingress"}),
        ({"kafka": {"bootstrapServers": "elsewhere:9093"}}, {"ingress", "worker"}),
        ({"digestKey": {"existingSecret": "key"}}, {"ingress", "worker"}),
        ({"ingress": {"replicas": 7}}, set()),
    ],
)
def test_a_changed_setting_rolls_the_pods_that_read_it_and_no_others(change, rolled):
    before, after = checksums(chart.BASE), checksums(chart.merged(chart.BASE, change))

    assert {part for part in before if before[part] != after[part]} == rolled


def test_hooks_for_what_a_platform_adds_reach_every_pod():
    for component in ("ingress", "worker"):
        ((meta, spec),) = [
            (meta, spec) for part, meta, spec in chart.pods(rendered("hooks")) if part == component
        ]
        one = spec["containers"][0]
        assert {"name": "CONNECTOR_OPERATIONS__HOST", "value": "::"} in one["env"]
        assert one["envFrom"] == [{"configMapRef": {"name": "more", "optional": True}}]
        assert {"name": "more", "mountPath": "/more"} in one["volumeMounts"]
        assert meta["annotations"]["pod"] == "yes"
        assert meta["annotations"]["owner"] == "integration"
        assert meta["labels"]["team"] == "erp"
        assert meta["labels"]["cost-centre"] == "42"
        assert spec["nodeSelector"] == {"disk": "ssd"}
        assert spec["priorityClassName"] == "high"
        assert spec["imagePullSecrets"] == [{"name": "pull"}]
        assert [one["topologyKey"] for one in spec["topologySpreadConstraints"]] == ["rack"]
        assert one["image"] == "erp-connector@sha256:" + "0" * 64


def test_pods_spread_over_zones_and_nodes_each_generation_by_itself():
    generation = {"ingress": ["pod-template-hash"], "worker": ["controller-revision-hash"]}

    for component, meta, spec in chart.pods(rendered("least")):
        spread = spec["topologySpreadConstraints"]
        assert [one["topologyKey"] for one in spread] == [
            "topology.kubernetes.io/zone", "kubernetes.io/hostname",
        ]  # fmt: skip
        for one in spread:
            assert one["labelSelector"]["matchLabels"].items() <= meta["labels"].items()
            assert one["matchLabelKeys"] == generation[component]


@ALL
def test_who_scales_a_role_alone_says_how_many_there_are(name):
    objects, values = rendered(name), chart.COMBINATIONS[name]
    by_cpu = values.get("ingress", {}).get("autoscaling", {}).get("enabled", True)
    by_lag = values.get("worker", {}).get("keda", {}).get("enabled", False)

    deployment, stateful = chart.one(objects, "Deployment"), chart.one(objects, "StatefulSet")
    scalers = chart.of(objects, "HorizontalPodAutoscaler")
    scaled = chart.of(objects, "ScaledObject")

    assert ("replicas" in deployment["spec"]) is not by_cpu
    assert len(scalers) == by_cpu
    assert all(one["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"] for one in scalers)
    assert ("replicas" in stateful["spec"]) is not by_lag
    assert len(scaled) == by_lag
    assert all(one["spec"]["scaleTargetRef"]["name"] == stateful["metadata"]["name"] for one in scaled)


@ALL
def test_a_budget_always_lets_a_node_be_drained(name):
    budgets = chart.of(rendered(name), "PodDisruptionBudget")

    assert len(budgets) == 2
    for budget in budgets:
        assert budget["spec"]["maxUnavailable"] not in (0, "0%")
        assert "minAvailable" not in budget["spec"]
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@ALL
def test_there_are_never_more_workers_than_partitions(name):
    objects = rendered(name)
    written = yaml.safe_load(chart.one(objects, "ConfigMap", "-worker")["data"]["connector.yaml"])
    partitions = written.get("topics", {}).get("partitions", 12)

    for scaled in chart.of(objects, "ScaledObject"):
        assert scaled["spec"]["minReplicaCount"] <= scaled["spec"]["maxReplicaCount"] <= partitions
    assert chart.one(objects, "StatefulSet")["spec"].get("replicas", 1) <= partitions
