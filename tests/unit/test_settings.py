import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import Misconfigured
from connector.runtime import configuration
from connector.runtime.credentials import digest_key, endpoints, read_secret, shown
from connector.runtime.environment import variables
from connector.runtime.settings import Settings

EXAMPLE = """
kafka:
  bootstrap.servers: localhost:9092
topics: {prefix: erp, partitions: 12, replication_factor: 3}
registry: {url: null}
ingress: {host: 0.0.0.0, port: 8080}
operations: {host: 0.0.0.0, port: 9090}
worker: {delivery: exactly_once, state: memory}
endpoints:
  - source: duett
    id: 3f6c0e6e5d5b4d3c
    tenant: acme
    authenticate: {header: Authorization, secrets: [env:DUETT_ACME_NEW, env:DUETT_ACME_OLD]}
  - source: visma-net
    id: 8f1d2c
    tenant: "1262489"
    authenticate: {hmac: x-vwd-signature-v1, secrets: [file:/run/secrets/visma]}
  - source: quickfile
    id: 77aa01
    tenant: shop-ltd
    authenticate: {url_token: [env:QUICKFILE_TOKEN]}
digest_key: env:CONNECTOR_DIGEST_KEY
"""


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("CONNECTOR_")]:
        monkeypatch.delenv(name)


def load(folder: Path, text: str) -> Settings:
    path = folder / "connector.yaml"
    path.write_text(text)
    return configuration.load(path)


def endpoint(**changed: Any) -> str:
    one = {
        "source": "visma-net",
        "id": "8f1d2c",
        "tenant": "acme",
        "authenticate": {"hmac": "x-vwd-signature-v1", "secrets": "env:VISMA"},
    }
    return yaml.safe_dump({"endpoints": [{**one, **changed}]})


def test_the_example_of_the_interface_is_read(tmp_path: Path) -> None:
    settings = load(tmp_path, EXAMPLE)

    assert [one.source for one in settings.endpoints] == ["duett", "visma-net", "quickfile"]
    assert settings.endpoints[0].authenticate.secrets == ("env:DUETT_ACME_NEW", "env:DUETT_ACME_OLD")
    assert settings.group == "erp-worker"


def test_without_a_file_everything_has_a_default() -> None:
    settings = configuration.load(None)

    assert settings.kafka == {"bootstrap.servers": "localhost:9092"}
    assert (settings.ingress.port, settings.operations.port, settings.worker.batch_records) == (
        8080,
        9090,
        2000,
    )


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("CONNECTOR_WORKER__BATCH_RECORDS", "500")

    settings = load(
        tmp_path, "kafka: {bootstrap.servers: 'localhost:9', linger.ms: 5}\nworker: {batch_records: 7}"
    )

    assert settings.kafka == {"bootstrap.servers": "127.0.0.1:1", "linger.ms": "5"}
    assert settings.worker.batch_records == 500


def test_a_list_in_the_environment_is_yaml_or_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "CONNECTOR_ENDPOINTS",
        '[{"source": "quickfile", "id": "a1", "tenant": "t", "authenticate": {"url_token": "env:T"}}]',
    )

    assert configuration.load(None).endpoints[0].authenticate.url_token == ("env:T",)


def test_a_free_text_in_the_environment_is_not_taken_for_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_KAFKA__SASL_PASSWORD", "1.10")
    monkeypatch.setenv("CONNECTOR_WORKER__GROUP", "007")

    settings = configuration.load(None)

    assert (settings.kafka["sasl.password"], settings.group) == ("1.10", "007")


def test_a_variable_that_the_file_names_as_a_secret_is_no_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTOR_DIGEST_KEY", "correct horse battery staple")

    assert load(tmp_path, "digest_key: env:CONNECTOR_DIGEST_KEY").digest_key == "env:CONNECTOR_DIGEST_KEY"


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_INGRESS__PORT", "")

    assert configuration.load(None).ingress.port == 8080


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("wroker: {}", "wroker: unknown key; did you mean worker?"),
        ("worker: {batch_record: 5}", "worker.batch_record: unknown key; did you mean batch_records?"),
        ("worker: {zzz: 5}", "worker.zzz: unknown key; known are assignment_strategy, batch_records"),
        ("worker: {batch_records: many}", "worker.batch_records: input should be a valid integer"),
        ("worker: {state: rocksdb}", "worker: state: rocksdb needs state_dir"),
        ("worker: {delivery: at_most_once}", "worker.delivery: input should be 'exactly_once'"),
        ("registry: {url: 'registry:8081'}", "registry.url: write http://host:port"),
        ("registry: {url: 'http://a:b@registry'}", "registry.url: no user and password in the address"),
        (
            "registry: {url: 'http://registry', username: me}",
            "registry: username and password belong together",
        ),
        ("registry: {token: 'env:TOKEN'}", "registry: token is set, and url is not"),
        ("registry: {url: 'http://registry', token: abc}", "registry.token: a secret does not stand here"),
        ("worker: 7", "worker: "),
        ("kafka: {auto.offset.reset: latest}", "kafka: auto.offset.reset: set by the connector itself"),
        ("kafka: {bootstrap.servers: 'kafka:9092'}", "kafka: security.protocol: missing"),
        ("kafka: [a]", "kafka: must be a map"),
        ("ingress: {ack_timeout_ms: 6000}", "ingress: ack_timeout_ms exceeds request_timeout_s"),
        ("topics: {prefix: a.b}", "topics.prefix: "),
        (endpoint(tenat="x"), "endpoints[0].tenat: unknown key; did you mean tenant?"),
        (endpoint(tenant=1262489), "endpoints[0].tenant: must be text: put it in quotes"),
        (endpoint(tenants={"1": "a"}), "endpoints[0]: exactly one of tenant and tenants"),
        (endpoint(tenant=None), "endpoints[0]: exactly one of tenant and tenants"),
        (
            endpoint(tenant=None, tenants={"1": "a"}, companies=["2"]),
            "endpoints[0]: companies belong to tenant",
        ),
        (endpoint(tenant=None, tenants={"55f0": 5}), "endpoints[0].tenants[a company]: must be text"),
        (endpoint(source="xero"), "endpoints[0].source: input should be 'duett'"),
        (endpoint(source="duett"), "digest_key: missing"),
        (endpoint(source="duett", companies=["55f0"]), "endpoints[0]: a Duett company id is a credential"),
        (endpoint(source="quickfile"), "endpoints[0]: authenticate.url_token: missing"),
        (endpoint(authenticate={}), "endpoints[0].authenticate: nothing to check"),
        (endpoint(authenticate={"hmac": "x"}), "endpoints[0].authenticate: hmac needs secrets"),
        (endpoint(authenticate={"secrets": "env:A"}), "endpoints[0].authenticate: secrets need header"),
        (
            endpoint(authenticate={"hmac": "x", "header": "y", "secrets": "env:A"}),
            "endpoints[0].authenticate: header and hmac exclude each other",
        ),
        (
            endpoint(authenticate={"url_token": "s3cr3t-inline"}),
            "endpoints[0].authenticate.url_token[0]: a secret does not stand here itself",
        ),
        (
            endpoint(
                authenticate={
                    "header": "x",
                    "secrets": "env:A",
                    "body_signature": {"template": "{secret}", "secrets": "env:B"},
                }
            ),
            "endpoints[0].authenticate: body_signature does not cover the body",
        ),
    ],
)
def test_a_fault_names_the_setting_and_the_remedy(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(Misconfigured, match="^" + re.escape(told)) as refusal:
        load(tmp_path, text)

    assert "\n" not in str(refusal.value)


def test_two_endpoints_cannot_share_a_url(tmp_path: Path) -> None:
    twice = yaml.safe_load(endpoint())["endpoints"] * 2

    with pytest.raises(Misconfigured, match="same source and id"):
        load(tmp_path, yaml.safe_dump({"endpoints": twice}))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("CONNECTOR_WORKER__BATCH_RECORD", "did you mean CONNECTOR_WORKER__BATCH_RECORDS?"),
        ("CONNECTOR_WORKER_BATCH_RECORDS", "did you mean CONNECTOR_WORKER__BATCH_RECORDS?"),
        ("CONNECTOR_PORT", "unknown variable"),
        ("CONNECTOR_KAFKA", "unknown variable"),
    ],
)
def test_an_unknown_variable_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str, told: str) -> None:
    monkeypatch.setenv(name, "5")

    with pytest.raises(Misconfigured, match=f"^{name}: unknown variable.*") as refusal:
        configuration.load(None)
    assert told in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "line 1, column 5: not valid YAML"),
        ("worker: {batch_records: 1}\nworker: {}", "line 1, column 1: a key stands twice"),
        ("- a", "must be a map"),
        ("1: a", "must be a map"),
    ],
)
def test_a_broken_file_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(Misconfigured, match=re.escape(told)):
        load(tmp_path, text)


def test_a_missing_file_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(
        Misconfigured, match=r"none\.yaml: No such file or directory; name another with --config"
    ):
        configuration.load(tmp_path / "none.yaml")


def test_references_among_kafka_properties_are_replaced_and_never_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "key"
    secret.write_text("hunter2hunter2\n")
    monkeypatch.setenv("SASL", "correct horse")

    settings = load(tmp_path, f"kafka: {{sasl.password: 'env:SASL', ssl.key.password: 'file:{secret}'}}")

    assert settings.kafka["sasl.password"] == "correct horse"
    assert settings.kafka["ssl.key.password"] == "hunter2hunter2"
    assert "horse" not in repr(settings)
    assert "hunter2" not in repr(settings)
    assert shown("sasl.password", settings.kafka["sasl.password"]) == "env:SASL"
    assert shown("sasl.password", "written inline") == "***"


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("env:NOT_THERE_AT_ALL", "x: the variable NOT_THERE_AT_ALL is not set"),
        ("file:/not/there", "x: /not/there: No such file or directory"),
    ],
)
def test_a_secret_that_is_not_there_is_told_by_its_place(reference: str, told: str) -> None:
    with pytest.raises(Misconfigured, match=told):
        read_secret(reference, "x")


def test_a_secret_file_is_read_anew_each_time(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("old")
    before = read_secret(f"file:{secret}", "x")
    secret.write_text("new\r\n")

    assert (before, read_secret(f"file:{secret}", "x")) == (b"old", b"new")


def test_a_rotated_secret_in_a_file_replaces_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connector.core.authenticate import authenticate, sign
    from connector.errors import NotAuthentic
    from connector.model import Callback

    monkeypatch.setenv("VISMA", "9b1f0d6e4c2a8e7755aa3c")
    secret = tmp_path / "secret"
    secret.write_text("0d6e4c2a8e7755aa3c9b1f\n")
    other = yaml.safe_load(endpoint(id="other"))["endpoints"]
    rotating = yaml.safe_load(
        endpoint(authenticate={"hmac": "x-vwd-signature-v1", "secrets": f"file:{secret}"})
    )["endpoints"]
    settings = load(tmp_path, yaml.safe_dump({"endpoints": [*other, *rotating]}))
    known = endpoints(settings)
    old = known["visma-net", "8f1d2c"]
    secret.write_text("7755aa3c9b1f0d6e4c2a8e\n")
    again = endpoints(settings, in_files=True)
    new = again["visma-net", "8f1d2c"]
    callback = Callback("visma-net", "8f1d2c", sign(new.schemes[0], b"{}"), b"{}", 0, "x")

    assert list(again) == [("visma-net", "8f1d2c")]
    assert authenticate(callback, new).slot == 0
    with pytest.raises(NotAuthentic):
        authenticate(callback, old)


def test_every_form_of_endpoint_becomes_the_verifiers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("A", "B", "KEY", "CONNECTOR_DIGEST_KEY"):
        monkeypatch.setenv(name, f"9b1f0d6e4c2a8e7755aa3c{name}")
    monkeypatch.setenv("COMPANY", "25508D90-7C58-49CD-8BAF-7274A3A0420C")
    signed = {"template": "{hookid}{secret}", "secrets": "env:KEY", "mode": "enforce"}
    settings = load(
        tmp_path,
        yaml.safe_dump(
            {
                "digest_key": "env:CONNECTOR_DIGEST_KEY",
                "endpoints": [
                    {
                        "source": "duett",
                        "id": "d",
                        "tenants": {"env:COMPANY": "acme"},
                        "authenticate": {"header": "Authorization", "secrets": ["env:A", "env:B"]},
                    },
                    {
                        "source": "quickfile",
                        "id": "q",
                        "tenant": "shop",
                        "authenticate": {"url_token": "env:A", "body_signature": signed},
                    },
                ],
            }
        ),
    )
    duett, quickfile = endpoints(settings).values()

    assert duett.tenant_of("25508d90-7c58-49cd-8baf-7274a3a0420c") == "acme"
    assert [type(scheme).__name__ for scheme in (*duett.schemes, *quickfile.schemes)] == [
        "HeaderSecret",
        "UrlToken",
        "BodySignature",
    ]
    assert digest_key(settings) == b"9b1f0d6e4c2a8e7755aa3cCONNECTOR_DIGEST_KEY"
    assert "25508" not in repr(settings) + repr(duett).replace("digest:", "")


def test_a_template_that_cannot_be_is_told_by_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A", "9b1f0d6e4c2a8e7755aa3c")
    signed = {"template": "{bogus}", "secrets": "env:A"}
    settings = load(
        tmp_path, endpoint(source="quickfile", authenticate={"url_token": "env:A", "body_signature": signed})
    )

    with pytest.raises(
        Misconfigured, match=r"^endpoints\[0\]\.authenticate\.body_signature\.template: no place"
    ):
        endpoints(settings)


def test_endpoints_that_bind_no_company_are_warned_about(tmp_path: Path) -> None:
    bound = load(tmp_path, endpoint(companies=["1262489"]) + "digest_key: env:A\n")
    unbound = load(tmp_path, endpoint() + "digest_key: env:A\n")

    assert list(configuration.warnings(bound)) == []
    assert [text for text in configuration.warnings(unbound) if "binds no company" in text]


@pytest.mark.parametrize(("scheme", "warned"), [("http", 1), ("https", 0)])
def test_a_token_that_would_travel_in_the_clear_is_warned_about(
    tmp_path: Path, scheme: str, warned: int
) -> None:
    settings = load(tmp_path, f"registry: {{url: '{scheme}://registry', token: 'env:TOKEN'}}")

    assert sum("registry.url: without TLS" in text for text in configuration.warnings(settings)) == warned


def test_every_setting_has_a_description_and_a_variable_that_sets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    known = dict(variables(Settings))

    assert all(field.description for field in known.values())
    assert {"CONNECTOR_TOPICS__PREFIX", "CONNECTOR_DIGEST_KEY", "CONNECTOR_ENDPOINTS"} <= known.keys()
    for name, field in known.items():
        if isinstance(field.default, str):
            monkeypatch.setenv(name, field.default)
    assert configuration.load(None) == configuration.load(None)


@pytest.mark.parametrize("text", ["worker: {'hunter2 hunter2': 1}", "'hunter2 hunter2': {}"])
def test_a_secret_misplaced_as_a_key_is_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(Misconfigured, match=r"\(a key\): unknown key; known are") as refusal:
        load(tmp_path, text)
    assert "hunter2" not in str(refusal.value)


CANARY = "cAnArY-7f3a9c"


@given(
    st.recursive(
        st.sampled_from([CANARY, 5, None, True]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [*Settings.model_fields, "secrets", "tenants", "url_token", "companies", "bogus"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_value_ever_stands_in_an_error(tree: Any) -> None:
    try:
        Settings(**tree if isinstance(tree, dict) else {"endpoints": tree})
    except Exception as error:  # noqa: BLE001  whatever it is, it may not tell
        told = configuration._told(error) if hasattr(error, "errors") else str(error)  # noqa: SLF001
        assert CANARY not in told
