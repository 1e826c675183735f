"""The connector itself takes every file the chart writes, with the variables and Secrets of the pod."""

from pathlib import Path

import chart
import pytest

from connector.runtime.configuration import load
from connector.runtime.credentials import digest_key, endpoints
from connector.runtime.settings import Settings

pytestmark = pytest.mark.chart

SECRET = chart.SECRET


def accepted(name: str, component: str, folder: Path, patch: pytest.MonkeyPatch) -> Settings:
    path, env = chart.laid_out(chart.render(chart.COMBINATIONS[name]), component, folder)
    for variable, text in env.items():
        patch.setenv(variable, text)
    return load(path)


@pytest.mark.parametrize("name", chart.COMBINATIONS)
def test_the_ingress_takes_its_file_and_finds_its_secrets(name, tmp_path, monkeypatch):
    settings = accepted(name, "ingress", tmp_path, monkeypatch)
    asked = chart.COMBINATIONS[name]

    known = endpoints(settings)

    digest_key(settings)
    assert {one["id"] for one in asked["config"]["endpoints"]} <= {at for _, at in known}
    assert settings.kafka["bootstrap.servers"] == asked["kafka"]["bootstrapServers"]
    assert settings.ingress.port == 8080
    assert settings.operations.port == 9090


@pytest.mark.parametrize("name", chart.COMBINATIONS)
def test_the_worker_takes_its_file_and_knows_no_endpoint(name, tmp_path, monkeypatch):
    settings = accepted(name, "worker", tmp_path, monkeypatch)

    digest_key(settings)
    assert settings.endpoints == ()
    assert settings.client_id == "worker"
    assert settings.worker.static_membership is True


def test_the_worker_knows_an_endpoint_that_has_reading_options(tmp_path, monkeypatch):
    (first, *others) = chart.BASE["config"]["endpoints"]
    values = {"config": {"endpoints": [{**first, "reading": {"zone": "Europe/Oslo"}}, *others]}}
    path, env = chart.laid_out(chart.render(chart.merged(chart.BASE, values)), "worker", tmp_path)
    for variable, text in env.items():
        monkeypatch.setenv(variable, text)

    (known,) = load(path).endpoints

    assert (known.id, known.reading.zone) == (first["id"], "Europe/Oslo")


def test_the_job_takes_its_file(tmp_path, monkeypatch):
    settings = accepted("msk", "topics", tmp_path, monkeypatch)

    assert settings.kafka["sasl.password"] == SECRET


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (
            "redpanda",
            {
                "security.protocol": "sasl_ssl",
                "sasl.mechanism": "SCRAM-SHA-256",
                "sasl.username": SECRET,
                "sasl.password": SECRET,
                "ssl.ca.location": "{run}/kafka-ca/ca.crt",
            },
        ),
        ("strimzi", {"sasl.username": "erp-worker", "sasl.password": SECRET}),
        (
            "confluent-cloud",
            {
                "sasl.mechanism": "OAUTHBEARER",
                "sasl.oauthbearer.method": "oidc",
                "sasl.oauthbearer.client.id": "erp-connector",
                "sasl.oauthbearer.client.secret": SECRET,
                "sasl.oauthbearer.token.endpoint.url": "https://login.example.com/oauth2/token",
                "sasl.oauthbearer.scope": "kafka",
                "sasl.oauthbearer.extensions": "logicalCluster=lkc-00000,identityPoolId=pool-0000",
            },
        ),
        (
            "mutual-tls",
            {
                "security.protocol": "ssl",
                "ssl.certificate.location": "{run}/kafka-certificate/tls.crt",
                "ssl.key.location": "{run}/kafka-certificate/tls.key",
                "ssl.key.password": SECRET,
            },
        ),
    ],
)
def test_ways_to_prove_oneself_to_kafka(name, wanted, tmp_path, monkeypatch):
    settings = accepted(name, "worker", tmp_path, monkeypatch)
    run = f"{tmp_path}/run/secrets"

    for setting, text in wanted.items():
        assert settings.kafka[setting] == text.format(run=run), setting


def test_librdkafka_takes_every_property(tmp_path, monkeypatch):
    from confluent_kafka import Producer

    for name in ("redpanda", "confluent-cloud", "plain"):
        settings = accepted(name, "worker", tmp_path, monkeypatch)
        Producer({key: text for key, text in settings.kafka.items() if key != "ssl.ca.location"})
