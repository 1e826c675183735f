"""What the chart renders is what Kubernetes takes, in every supported version, and belongs together."""

import importlib.metadata
import json

import chart
import kubernetes_schemas
import pytest
import yaml

pytestmark = pytest.mark.chart


@pytest.fixture(scope="module")
def everything() -> dict[str, list[chart.Object]]:
    return {name: chart.render(values) for name, values in chart.COMBINATIONS.items()}


@pytest.mark.parametrize("minor", kubernetes_schemas.minors())
def test_every_object_is_valid_in_every_supported_version(everything, minor):
    schemas = kubernetes_schemas.Schemas(minor)
    different = {json.dumps(one, sort_keys=True): one for objects in everything.values() for one in objects}

    faults = [fault for one in different.values() for fault in schemas.faults(one)]

    assert faults == []


@pytest.mark.parametrize("minor", kubernetes_schemas.minors())
def test_the_schemas_notice_a_misspelt_field_deep_inside(everything, minor):
    schemas = kubernetes_schemas.Schemas(minor)
    deployment = chart.one(everything["least"], "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["perodSeconds"] = 1

    (fault,) = schemas.faults(deployment)

    assert "perodSeconds" in fault


@pytest.mark.parametrize("name", chart.EXAMPLES)
def test_lint_finds_nothing_in_the_examples(name):
    told = chart.helm("lint", "--strict", str(chart.CHART), "--values", str(chart.EXAMPLES[name]))

    assert told.returncode == 0, told.stdout
    assert "WARNING" not in told.stdout


def test_lint_finds_nothing_in_the_defaults():
    told = chart.helm("lint", "--strict", str(chart.CHART))

    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize("name", chart.COMBINATIONS)
def test_no_two_objects_have_one_name(everything, name):
    objects = everything[name]
    names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", chart.COMBINATIONS)
def test_names_are_short_enough_for_labels_and_every_object_says_whose_it_is(everything, name):
    for one in everything[name]:
        labels = one["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == chart.RELEASE
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert len(one["metadata"]["name"]) <= 63, one["metadata"]["name"]
        assert all(len(str(value)) <= 63 for value in labels.values())


@pytest.mark.parametrize("name", chart.COMBINATIONS)
def test_the_chart_makes_no_secret_and_writes_none_down(everything, name):
    objects = everything[name]

    assert chart.of(objects, "Secret") == []
    for config in chart.of(objects, "ConfigMap"):
        written = yaml.safe_load(config["data"].get("connector.yaml", "{}"))
        for setting, text in written.get("kafka", {}).items():
            if "password" in setting or setting.endswith("client.secret"):
                assert text.startswith("file:/run/secrets/"), setting


@pytest.mark.parametrize("name", chart.COMBINATIONS)
def test_every_selector_finds_exactly_the_pods_it_means(everything, name):
    objects = everything[name]
    labels = {component: meta["labels"] for component, meta, _ in chart.pods(objects)}

    def found(selector: dict[str, str]) -> set[str]:
        return {part for part, have in labels.items() if selector.items() <= have.items()}

    for one in objects:
        kind, spec = one["kind"], one.get("spec", {})
        meant = one["metadata"]["labels"].get("app.kubernetes.io/component")
        if kind in ("Deployment", "StatefulSet", "PodDisruptionBudget"):
            assert found(spec["selector"]["matchLabels"]) == {meant}
        elif kind == "Service":
            assert found(spec["selector"]) == {meant}
        elif kind == "NetworkPolicy":
            assert found(spec["podSelector"]["matchLabels"]) == ({meant} if meant else set(labels))


@pytest.mark.parametrize("name", chart.COMBINATIONS)
def test_every_service_and_route_leads_to_a_port_that_is_there(everything, name):
    objects = everything[name]
    ports = {
        component: {port["name"] for port in spec["containers"][0].get("ports", [])}
        for component, _, spec in chart.pods(objects)
    }
    services = {one["metadata"]["name"]: one for one in chart.of(objects, "Service")}

    for service in services.values():
        component = service["spec"]["selector"]["app.kubernetes.io/component"]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports[component]
    for route in chart.of(objects, "HTTPRoute"):
        (backend,) = route["spec"]["rules"][0]["backendRefs"]
        assert backend["port"] in {port["port"] for port in services[backend["name"]]["spec"]["ports"]}
    for rule in [rule for one in chart.of(objects, "Ingress") for rule in one["spec"]["rules"]]:
        backend = rule["http"]["paths"][0]["backend"]["service"]
        assert backend["port"]["name"] in {
            port["name"] for port in services[backend["name"]]["spec"]["ports"]
        }
    for stateful in chart.of(objects, "StatefulSet"):
        assert services[stateful["spec"]["serviceName"]]["spec"]["clusterIP"] == "None"


def test_the_chart_has_the_version_of_the_program():
    written = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())

    assert written["appVersion"] == written["version"] == importlib.metadata.version("erp-connector")


def test_notes_say_where_callbacks_go_and_where_schemas_are():
    told = chart.helm(
        "install", chart.RELEASE, str(chart.CHART), "--dry-run=client", "--namespace", chart.NAMESPACE,
        "--values", str(chart.EXAMPLES["strimzi"]),
    )  # fmt: skip

    notes = told.stdout.partition("NOTES:")[2]
    assert "https://hooks.example.com/hooks/<source>/<endpoint>" in notes, told.stderr
    assert "schema.registry.url=http://erp-registry.erp:9090/registry" in notes
