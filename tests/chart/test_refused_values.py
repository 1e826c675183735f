"""Values that cannot work are refused before anything is installed, in words that say what to change."""

from typing import Any

import chart
import pytest

pytestmark = pytest.mark.chart

SCRAM = {"mechanism": "SCRAM-SHA-512", "existingSecret": "kafka"}


def endpoint(**changes: Any) -> chart.Values:
    base: dict[str, Any] = chart.BASE["config"]["endpoints"][0]
    return {"config": {"endpoints": [{**base, **changes}]}}


def proof(reference: str) -> chart.Values:
    return endpoint(authenticate={"hmac": "x-vwd-signature-v1", "secrets": [reference]})


BAD: list[tuple[str, chart.Values, str]] = [
    # what belongs together: the templates say it, each with its remedy
    ("no brokers", {"kafka": {"bootstrapServers": ""}}, "kafka.bootstrapServers: missing; write host:port"),
    ("no port", {"kafka": {"bootstrapServers": "a:9092,b"}}, "kafka.bootstrapServers: b is not host:port"),
    ("no protocol", {"kafka": {"securityProtocol": ""}}, "kafka.securityProtocol: missing; write sasl_ssl"),
    (
        "sasl without a mechanism",
        {"kafka": {"securityProtocol": "sasl_ssl"}},
        "kafka.sasl.mechanism: missing with sasl_ssl; write SCRAM-SHA-512",
    ),
    (
        "a mechanism without sasl",
        {"kafka": {"sasl": SCRAM}},
        "kafka.sasl.mechanism: has no effect with ssl; use sasl_ssl",
    ),
    (
        "no password",
        {"kafka": {"securityProtocol": "sasl_ssl", "sasl": {"mechanism": "PLAIN"}}},
        "kafka.sasl.existingSecret: missing, and kafka.principals.worker.existingSecret too",
    ),
    (
        "no password for the job",
        {
            "kafka": {
                "securityProtocol": "sasl_ssl",
                "provisioning": "job",
                "sasl": {"mechanism": "PLAIN"},
                "principals": {"ingress": {"existingSecret": "i"}, "worker": {"existingSecret": "w"}},
            }
        },
        "kafka.sasl.existingSecret: missing, and kafka.principals.topics.existingSecret too",
    ),
    (
        "tokens from nowhere",
        {"kafka": {"securityProtocol": "sasl_ssl", "sasl": {**SCRAM, "mechanism": "OAUTHBEARER"}}},
        "kafka.sasl.oauth.tokenEndpoint: missing with OAUTHBEARER",
    ),
    (
        "a certificate without TLS",
        {"kafka": {"securityProtocol": "plaintext", "certificate": {"existingSecret": "c"}}},
        "kafka.certificate.existingSecret: has no effect with plaintext",
    ),
    (
        "a CA without TLS",
        {"kafka": {"securityProtocol": "plaintext", "ca": {"existingSecret": "c"}}},
        "kafka.ca.existingSecret: has no effect with plaintext",
    ),
    (
        "a property of ours",
        {"kafka": {"properties": {"acks": "1"}}},
        "kafka.properties: acks is set by the connector itself; remove it",
    ),
    (
        "a password in clear",
        {"kafka": {"properties": {"sasl.password": "hunter2"}}},
        "kafka.properties: sasl.password holds a secret; put it into a Secret",
    ),
    (
        "no cluster for Strimzi",
        {"kafka": {"provisioning": "strimzi"}},
        "kafka.strimzi.cluster: missing with provisioning: strimzi",
    ),
    (
        "users without Strimzi",
        {"kafka": {"strimzi": {"users": {"create": True}}}},
        "kafka.strimzi.users.create: needs kafka.provisioning: strimzi",
    ),
    ("no endpoint", {"config": {"endpoints": []}}, "config.endpoints: none, so nobody could call"),
    (
        "a secret in a variable",
        proof("env:VISMA"),
        "config.endpoints[0].authenticate.secrets: a variable cannot be rotated without a restart",
    ),
    (
        "a secret in clear",
        proof("s3cret-s3cret-s3cret"),
        "config.endpoints[0].authenticate.secrets: a secret does not stand here itself",
    ),
    (
        "a secret in a folder nobody mounts",
        proof("file:/run/secrets/vizma/current"),
        "no such folder in file:/run/secrets/vizma/current; listed under secrets: visma",
    ),
    (
        "a company in a variable",
        endpoint(companies=["env:COMPANY"]),
        "config.endpoints[0].companies: a variable cannot be rotated",
    ),
    ("Duett without a key", {"config": {"endpoints": [chart.DUETT]}}, "digestKey.existingSecret: missing"),
    (
        "one folder twice",
        {"secrets": [{"name": "visma", "existingSecret": "a"}, {"name": "visma", "existingSecret": "b"}]},
        "secrets: visma stands there twice",
    ),
    (
        "a folder of the chart",
        {"secrets": [*chart.BASE["secrets"], {"name": "kafka-sasl", "existingSecret": "a"}]},
        "secrets: kafka-sasl is a folder of the chart's own",
    ),
    (
        "more workers than partitions",
        {"worker": {"replicas": 13}},
        "worker.replicas: 13 is more than config.topics.partitions, 12",
    ),
    (
        "more scaled workers than partitions",
        {"worker": {"keda": {"enabled": True, "maxReplicas": 13}}},
        "worker.keda.maxReplicas: 13 is more than config.topics.partitions, 12",
    ),
    (
        "fewest above most workers",
        {"worker": {"keda": {"enabled": True, "minReplicas": 5, "maxReplicas": 4}}},
        "worker.keda: minReplicas 5 is more than 4",
    ),
    (
        "fewest above most ingress pods",
        {"ingress": {"autoscaling": {"minReplicas": 11}}},
        "ingress.autoscaling: minReplicas 11 is more than maxReplicas 10",
    ),
    (
        "a policy nobody passes",
        {"networkPolicy": {"gateway": []}},
        "networkPolicy.gateway: nobody may post callbacks; name the gateway's namespace",
    ),
    ("an Ingress for no host", {"expose": {"ingress": {"enabled": True}}}, "expose.ingress.hosts: missing"),
    (
        "a route of no gateway",
        {"expose": {"httpRoute": {"enabled": True}}},
        "expose.httpRoute.parentRefs: missing; name the Gateway",
    ),
    ("a test without a secret", {"test": {"enabled": True}}, "test.existingSecret: missing"),
    # what a value may be: the schema says it
    (
        "a misspelt value",
        {"worker": {"replica": 3}},
        "at '/worker': additional properties 'replica' not allowed",
    ),
    (
        "a misspelt setting",
        {"config": {"ingress": {"drain_delay": 3}}},
        "at '/config/ingress': additional properties 'drain_delay' not allowed",
    ),
    (
        "a setting of the chart's",
        {"config": {"ingress": {"port": 1}}},
        "additional properties 'port' not allowed",
    ),
    ("a name of the chart's", {"config": {"worker": {"client_id": "w"}}}, "'client_id' not allowed"),
    ("kafka in config", {"config": {"kafka": {}}}, "at '/config': additional properties 'kafka' not allowed"),
    ("text for a number", {"worker": {"replicas": "3"}}, "at '/worker/replicas': got string, want integer"),
    ("no replica", {"ingress": {"replicas": 0}}, "at '/ingress/replicas': minimum: got 0, want 1"),
    (
        "too large a body",
        {"config": {"ingress": {"max_body_bytes": 2_000_000}}},
        "at '/config/ingress/max_body_bytes': maximum",
    ),
    ("an unknown protocol", {"kafka": {"securityProtocol": "SASL"}}, "at '/kafka/securityProtocol'"),
    ("an unknown mechanism", {"kafka": {"sasl": {"mechanism": "GSSAPI"}}}, "at '/kafka/sasl/mechanism'"),
    ("an unknown source", endpoint(source="xero"), "at '/config/endpoints/0/source': value must be one of"),
    ("no proof", endpoint(authenticate=None), "at '/config/endpoints/0/authenticate': got null, want object"),
    (
        "a budget that blocks every drain",
        {"worker": {"podDisruptionBudget": {"maxUnavailable": 0}}},
        "at '/worker/podDisruptionBudget/maxUnavailable'",
    ),
    (
        "no percentage",
        {"ingress": {"autoscaling": {"targetCPUUtilizationPercentage": 900}}},
        "got 900, want 100",
    ),
    ("half a digest", {"image": {"digest": "sha256:12"}}, "at '/image/digest'"),
    (
        "a peer with a misspelt field",
        {"networkPolicy": {"gateway": [{"namespace": "gateway"}]}},
        "at '/networkPolicy/gateway/0': additional properties 'namespace' not allowed",
    ),
    ("a secret without a name", {"secrets": [{"existingSecret": "a"}]}, "missing property 'name'"),
]


@pytest.mark.parametrize(("values", "message"), [pytest.param(*bad[1:], id=bad[0]) for bad in BAD])
def test_bad_values_are_refused_in_clear_words(values, message):
    with pytest.raises(chart.RefusedValuesError) as refusal:
        chart.render(chart.merged(chart.BASE, values))

    assert message in str(refusal.value)


def test_all_faults_are_told_at_once():
    with pytest.raises(chart.RefusedValuesError) as refusal:
        chart.render({})

    told = str(refusal.value)
    assert all(one in told for one in ("bootstrapServers", "securityProtocol", "endpoints", "gateway"))


def test_no_message_repeats_a_secret():
    values = chart.merged(
        chart.BASE, proof("s3cret-s3cret-s3cret"), {"kafka": {"properties": {"sasl.password": "hunter2"}}}
    )

    with pytest.raises(chart.RefusedValuesError) as refusal:
        chart.render(values)

    assert "s3cret-s3cret" not in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
