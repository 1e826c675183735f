"""Topics, users, policies, scalers, ways in and hooks say what the connector needs, from its own tables."""

import re

import chart
import pytest
import yaml

from connector.runtime.admin import wanted_config
from connector.runtime.desk import topics_under

pytestmark = pytest.mark.chart


def rendered(name: str) -> list[chart.Object]:
    return chart.render(chart.COMBINATIONS[name])


# topics and users


@pytest.mark.parametrize(
    ("name", "prefix", "copies", "namespace"),
    [("strimzi", "erp", 3, "erp"), ("strimzi-old-and-tls", "Erp_2", 2, "kafka")],
)
def test_strimzi_makes_every_topic_as_the_connector_wants_it(name, prefix, copies, namespace):
    made = {one["spec"]["topicName"]: one for one in chart.of(rendered(name), "KafkaTopic")}
    table = {topic.name: topic for topic in topics_under(prefix).all()}

    assert made.keys() == table.keys()
    for topic, one in made.items():
        assert one["spec"]["config"] == wanted_config(table[topic], copies)
        assert (one["spec"]["partitions"], one["spec"]["replicas"]) == (12, copies)
        assert one["metadata"]["labels"]["strimzi.io/cluster"] == "main"
        assert one["metadata"]["namespace"] == namespace
        # uninstalling the release must not take the records with it
        assert one["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def acls(user: chart.Object) -> dict[tuple[str, str, str], set[str]]:
    return {
        (acl["resource"]["type"], acl["resource"]["name"], acl["resource"]["patternType"]): set(
            acl["operations"]
        )
        for acl in user["spec"]["authorization"]["acls"]
    }


def test_a_user_of_strimzi_may_do_what_its_role_does_and_nothing_else():
    objects = rendered("strimzi")
    sees = {"Describe", "DescribeConfigs"}

    assert acls(chart.one(objects, "KafkaUser", "-ingress")) == {
        ("topic", "erp.raw.", "prefix"): {"Write", *sees},
        ("topic", "erp.quarantine", "literal"): {"Write", *sees},
    }
    assert acls(chart.one(objects, "KafkaUser", "-worker")) == {
        ("topic", "erp.raw.", "prefix"): {"Read", "Write", *sees},
        ("topic", "erp.changelog.", "prefix"): {"Read", "Write", *sees},
        ("topic", "erp.events", "literal"): {"Read", "Write", *sees},
        ("topic", "erp.identity", "literal"): {"Read", "Write", *sees},
        ("topic", "erp.quarantine", "literal"): {"Write", *sees},
        ("group", "erp-worker", "literal"): {"Read", "Describe"},
        ("transactionalId", "erp-erp-worker-", "prefix"): {"Write", "Describe"},
    }


def test_rights_follow_the_prefix_and_the_group():
    rights = acls(chart.one(rendered("strimzi-old-and-tls"), "KafkaUser", "-worker"))

    assert ("group", "team-a", "literal") in rights
    assert ("transactionalId", "Erp_2-team-a-", "prefix") in rights
    assert ("topic", "Erp_2.changelog.", "prefix") in rights


@pytest.mark.parametrize("name", chart.COMBINATIONS)
def test_topics_are_made_by_one_way_or_by_none(name):
    objects = rendered(name)
    way = chart.COMBINATIONS[name]["kafka"].get("provisioning", "none")

    assert bool(chart.of(objects, "KafkaTopic")) == (way == "strimzi")
    assert bool(chart.of(objects, "Job")) == (way == "job")


def test_the_job_runs_before_the_release_and_brings_its_file_and_policy_with_it():
    objects = rendered("msk")
    job = chart.one(objects, "Job", "-topics")
    with_it = [chart.one(objects, kind, "-topics") for kind in ("ConfigMap", "NetworkPolicy")]

    weights = [int(one["metadata"]["annotations"]["helm.sh/hook-weight"]) for one in (*with_it, job)]
    assert weights[0] == weights[1] < weights[2]
    for one in (*with_it, job):
        assert one["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    spec = job["spec"]["template"]["spec"]
    assert spec["containers"][0]["args"] == ["topics", "apply"]
    assert "serviceAccountName" not in spec  # the release's own is not there yet
    secrets = {
        volume["name"]: volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume
    }
    assert secrets == {"kafka-sasl": "erp-kafka-topics"}


# who may talk to whom


def policies(name: str) -> dict[str, chart.Object]:
    return {
        one["metadata"]["name"].rpartition("-")[2]: one["spec"]
        for one in chart.of(rendered(name), "NetworkPolicy")
    }


def test_everything_is_denied_that_is_not_named():
    deny = policies("least")["deny"]

    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in deny
    assert "egress" not in deny
    assert "app.kubernetes.io/component" not in deny["podSelector"]["matchLabels"]


def test_only_the_gateway_posts_and_nobody_calls_a_worker():
    found = policies("least")

    assert found["ingress"]["ingress"] == [
        {
            "ports": [{"protocol": "TCP", "port": "http"}],
            "from": [{"namespaceSelector": {"matchLabels": {"role": "gateway"}}}],
        }
    ]
    assert "ingress" not in found["worker"]


def test_monitoring_and_consumers_reach_the_operations_port_alone():
    found = policies("hooks")
    peer = [{"podSelector": {"matchLabels": {"role": "peer"}}}]
    operations = [{"protocol": "TCP", "port": "operations"}]

    assert found["ingress"]["ingress"][1] == {"ports": operations, "from": peer}
    assert found["worker"]["ingress"] == [{"ports": operations, "from": peer * 2}]


def test_pods_reach_names_and_brokers_and_nothing_else():
    kube_system = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]

    for role in ("ingress", "worker"):
        names, brokers = policies("least")[role]["egress"]
        assert names == {
            "to": kube_system,
            "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
        }
        assert brokers == {"ports": [{"protocol": "TCP", "port": 9093}]}


def test_named_brokers_ports_and_further_rules_are_taken_over():
    _, brokers, more = policies("hooks")["worker"]["egress"]

    assert brokers["to"] == [{"podSelector": {"matchLabels": {"role": "peer"}}}]
    assert [port["port"] for port in brokers["ports"]] == [9092, 9094]
    assert more["ports"] == [{"port": 8443}]


@pytest.mark.parametrize(
    ("url", "port"),
    [("https://a.example.com/token", 443), ("http://a.example.com/token", 80), ("https://a:8443/t", 8443)],
)
def test_with_tokens_their_endpoint_is_reached_too(url, port):
    values = chart.merged(
        chart.COMBINATIONS["confluent-cloud"], {"kafka": {"sasl": {"oauth": {"tokenEndpoint": url}}}}
    )
    found = {one["metadata"]["name"]: one for one in chart.of(chart.render(values), "NetworkPolicy")}

    assert {"ports": [{"protocol": "TCP", "port": port}]} in found["rel-erp-connector-worker"]["spec"][
        "egress"
    ]


def test_the_test_pod_may_post():
    found = policies("everything-on")
    labels = found["test"]["podSelector"]["matchLabels"]

    assert {"podSelector": {"matchLabels": labels}} in found["ingress"]["ingress"][0]["from"]
    assert found["test"]["egress"][-1]["to"] == [{"podSelector": found["ingress"]["podSelector"]}]


# scaling on lag


def trigger(name: str) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """Give a trigger's metadata, and where each of its parameters comes from."""
    objects = rendered(name)
    (one,) = chart.one(objects, "ScaledObject")["spec"]["triggers"]
    places = {}
    for authentication in chart.of(objects, "TriggerAuthentication"):
        assert one["authenticationRef"]["name"] == authentication["metadata"]["name"]
        spec = authentication["spec"]
        for ref in (*spec.get("secretTargetRef", []), *spec.get("configMapTargetRef", [])):
            places[ref["parameter"]] = (ref["name"], ref["key"])
    return one["metadata"], places


def test_lag_is_read_over_all_topics_of_the_group():
    metadata, _ = trigger("redpanda")

    assert "topic" not in metadata
    assert metadata["consumerGroup"] == "erp-worker"
    assert metadata["offsetResetPolicy"] == "earliest"  # where a worker begins that has no offset
    assert trigger("oauth-and-keda")[0]["lagThreshold"] == "1000000"  # and not 1e+06


def test_lag_is_read_as_the_worker_reads():
    metadata, places = trigger("redpanda")
    assert (metadata["tls"], metadata["sasl"]) == ("enable", "scram_sha256")
    assert places == {
        "username": ("erp-kafka", "username"),
        "password": ("erp-kafka", "password"),
        "ca": ("redpanda-ca", "ca.crt"),
    }

    metadata, places = trigger("mutual-tls")
    assert "sasl" not in metadata
    assert places == {
        "ca": ("ca", "bundle.pem"),
        "cert": ("client-worker", "tls.crt"),
        "key": ("client-worker", "tls.key"),
        "keyPassword": ("client-worker", "password"),
    }

    metadata, places = trigger("oauth-and-keda")
    plain = "rel-erp-connector-worker-keda"
    assert metadata["sasl"] == "oauthbearer"
    assert places == {
        "password": ("erp-kafka", "client-secret"),
        **{
            name: (plain, name) for name in ("username", "oauthTokenEndpointUri", "scopes", "oauthExtensions")
        },
    }
    told = chart.one(rendered("oauth-and-keda"), "ConfigMap", "-keda")["data"]
    assert told["username"] == "erp-connector"

    assert trigger("plaintext-and-keda")[1] == {}
    assert trigger("plaintext-and-keda")[0]["tls"] == "disable"


# ways in


def test_a_gateway_waits_as_long_as_the_ingress_may_take_and_no_longer():
    route = chart.one(rendered("strimzi"), "HTTPRoute")
    slow = chart.one(rendered("slow-deadlines"), "Ingress")["metadata"]["annotations"]

    # head 5 s, body 10 s, answer 5 s
    assert route["spec"]["rules"][0]["timeouts"] == {"request": "20s", "backendRequest": "20s"}
    assert route["spec"]["rules"][0]["matches"] == [{"path": {"type": "PathPrefix", "value": "/hooks"}}]
    assert slow["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "70"
    assert slow["nginx.ingress.kubernetes.io/proxy-body-size"] == "4096"
    assert slow["nginx.ingress.kubernetes.io/proxy-request-buffering"] == "on"


def test_limits_for_nginx_are_left_out_on_request_and_can_be_overruled():
    alb = chart.one(rendered("msk"), "Ingress")["metadata"]["annotations"]
    own = {"nginx.ingress.kubernetes.io/proxy-body-size": "2m"}
    values = chart.merged(
        chart.BASE, {"expose": {"ingress": {"enabled": True, "hosts": ["a.b"], "annotations": own}}}
    )

    assert not [name for name in alb if "nginx" in name]
    assert own.items() <= chart.one(chart.render(values), "Ingress")["metadata"]["annotations"].items()


def test_only_callbacks_are_exposed():
    for name in chart.COMBINATIONS:
        for one in chart.of(rendered(name), "Ingress"):
            paths = [path["path"] for rule in one["spec"]["rules"] for path in rule["http"]["paths"]]
            assert set(paths) == {"/hooks"}
        for one in chart.of(rendered(name), "Service", "-ingress"):
            assert [port["name"] for port in one["spec"]["ports"]] == ["http"]


def test_metrics_are_scraped_where_they_are():
    monitor = chart.one(rendered("everything-on"), "PodMonitor")

    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["podMetricsEndpoints"] == [
        {"port": "operations", "path": "/metrics", "interval": "30s"}
    ]


# the test of the release


def test_the_test_has_an_endpoint_of_its_own_that_the_ingress_knows():
    objects = rendered("everything-on")
    seen = yaml.safe_load(chart.one(objects, "ConfigMap", "-ingress")["data"]["connector.yaml"])
    used = yaml.safe_load(chart.one(objects, "ConfigMap", "-test")["data"]["connector.yaml"])
    pod = chart.one(objects, "Pod", "-test")

    assert used["endpoints"] == [one for one in seen["endpoints"] if one["id"] == "helm-test"]
    assert used["endpoints"][0]["tenant"] == "helm-test"
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert re.search(r"-ingress:80$", pod["spec"]["containers"][0]["args"][0])
    assert (
        "hook-succeeded" not in pod["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
    )  # its log stays
