"""With an external schema registry: its job, who may reach it, and whose secret goes where."""

import chart
import pytest

from connector.runtime.configuration import load
from connector.runtime.registered import Remote
from connector.runtime.registry_settings import RegistrySettings

pytestmark = pytest.mark.chart

WITH = chart.COMBINATIONS["registry"]
URL = WITH["registry"]["url"]


def rendered(**registry: object) -> list[chart.Object]:
    return chart.render(chart.merged(WITH, {"registry": registry}))


def secrets(pod: chart.Object) -> dict[str, str]:
    return {one["name"]: one["secret"]["secretName"] for one in pod["volumes"] if "secret" in one}


def test_schemas_are_registered_before_the_release_under_a_right_of_their_own():
    objects = rendered()
    job = chart.one(objects, "Job", "-schemas")
    with_it = [chart.one(objects, kind, "-schemas") for kind in ("ConfigMap", "NetworkPolicy")]

    weights = [int(one["metadata"]["annotations"]["helm.sh/hook-weight"]) for one in (*with_it, job)]
    assert weights[0] == weights[1] < weights[2]
    for one in (*with_it, job):
        assert one["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    pod = job["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == ["schemas", "register", "--yes"]
    assert "serviceAccountName" not in pod  # the release's own is not there yet
    assert secrets(pod) == {"registry": "registry-writer", "registry-ca": "registry-ca"}


def test_workers_and_the_test_only_read_and_the_ingress_knows_nothing_of_it():
    objects = rendered()
    worker = chart.one(objects, "StatefulSet", "-worker")["spec"]["template"]["spec"]
    ingress = chart.one(objects, "Deployment", "-ingress")["spec"]["template"]["spec"]
    test = chart.one(objects, "Pod", "-test")["spec"]

    assert secrets(worker)["registry"] == secrets(test)["registry"] == "registry-reader"
    assert not {"registry", "registry-ca"} & secrets(ingress).keys()
    assert "registry" not in chart.one(objects, "ConfigMap", "-ingress")["data"]["connector.yaml"]


@pytest.mark.parametrize(
    ("component", "username"), [("worker", "reader"), ("schemas", "writer"), ("test", "reader")]
)
def test_the_connector_takes_the_settings_and_finds_the_secrets(component, username, tmp_path, monkeypatch):
    path, env = chart.laid_out(rendered(ca={"existingSecret": ""}), component, tmp_path)
    for variable, text in env.items():
        monkeypatch.setenv(variable, text)

    registry = load(path).registry

    assert (registry.url, registry.username, registry.token) == (URL, username, None)
    assert Remote(registry).url == URL


def test_a_token_takes_the_place_of_user_and_password(tmp_path):
    path, _ = chart.laid_out(rendered(authentication="token", ca={"existingSecret": ""}), "schemas", tmp_path)

    registry = load(path).registry

    assert registry.username is None
    assert registry.token.endswith("/registry/password")


@pytest.mark.parametrize(
    ("url", "port"), [(URL, 8081), ("https://registry", 443), ("http://registry.kafka/x", 80)]
)
def test_the_registry_is_reached_by_those_who_ask_it(url, port):
    objects = rendered(url=url, ca={"existingSecret": ""})
    reach = {
        one["metadata"]["name"].rpartition("-")[2]: {
            rule["ports"][0]["port"] for rule in one["spec"].get("egress", ()) if "to" not in rule
        }
        for one in chart.of(objects, "NetworkPolicy")
    }

    assert {name for name, ports in reach.items() if port in ports} == {"worker", "schemas", "test"}
    assert reach["schemas"] == {port}, "the job does not reach the brokers"
    assert RegistrySettings(url=url).url == url


def test_without_an_address_or_when_told_so_there_is_no_job():
    assert not chart.of(chart.render(chart.BASE), "Job")
    off = rendered(registration={"enabled": False})
    assert [one["metadata"]["name"] for one in chart.of(off, "Job")] == ["rel-erp-connector-topics"]


@pytest.mark.parametrize(
    ("registry", "told"),
    [
        ({"url": ""}, "registry.authentication: has no effect without registry.url"),
        ({"existingSecret": ""}, "registry.existingSecret: missing with basic"),
        ({"username": ""}, "registry.username: missing with basic"),
        ({"authentication": ""}, "registry.authentication: missing; write basic or token"),
        ({"url": "http://registry:8081"}, "registry.ca.existingSecret: has no effect without https"),
        ({"url": "registry:8081"}, "registry"),
        ({"authentication": "oauth"}, "registry"),
    ],
)
def test_what_does_not_fit_together_is_refused(registry, told):
    with pytest.raises(chart.RefusedValuesError, match=told):
        rendered(**registry)
