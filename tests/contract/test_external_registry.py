"""An external registry, over HTTP: what we ask of one, and what we do with its answers."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from schema_server import SchemaServer

from connector.errors import Misconfigured
from connector.runtime.registered import Remote, known_schemas, looked_up
from connector.runtime.registering import Registering
from connector.runtime.registry import Locked, Registry, digest, folder, subject_of
from connector.runtime.registry_settings import RegistrySettings
from connector.runtime.settings import Settings

OWN = Registry.load(folder())
COUNT = len(OWN.locked)
FIRST = 100_001
BROAD = {"type": "record", "name": "Customer", "namespace": "x", "fields": [{"name": "id", "type": "string"}]}


@pytest.fixture
def server() -> Iterator[SchemaServer]:
    with SchemaServer(FIRST) as server:
        yield server


def settings(server: SchemaServer, **more: Any) -> Settings:
    return Settings(registry=RegistrySettings(url=server.url, **({"timeout_s": 1} | more)))


def connector(tmp_path: Path, registry: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
    config = tmp_path / "connector.yaml"
    config.write_text(json.dumps({"registry": registry}))
    return subprocess.run(
        [sys.executable, "-m", "connector", "--config", str(config), "schemas", "register", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_server_is_a_registry_to_confluents_own_client(server: SchemaServer) -> None:
    client = SchemaRegistryClient({"url": server.url})
    older, newer = json.dumps(BROAD), json.dumps(BROAD | {"fields": [*BROAD["fields"], field("city")]})

    id_ = client.register_schema("a-value", Schema(older, "AVRO"))
    with pytest.raises(SchemaRegistryError) as refused:
        client.register_schema("a-value", Schema(newer, "AVRO"))
    client.set_compatibility("a-value", "FORWARD")

    assert id_ == FIRST
    assert refused.value.http_status_code == 409
    assert client.test_compatibility("a-value", Schema(newer, "AVRO"))
    assert client.register_schema("a-value", Schema(newer, "AVRO")) == FIRST + 1
    assert client.get_schema(FIRST).schema_str == older
    assert client.lookup_schema("a-value", Schema(older, "AVRO")).version == 1


def field(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "string", **more}


def test_every_schema_is_registered_under_full_transitive_and_a_second_run_writes_nothing(
    server: SchemaServer,
) -> None:
    first = Registering(settings(server))
    steps = first.plan()
    assert {(step.action, step.level) for step in steps} == {("register", None)}
    assert not list(server.writes())

    first.apply(steps)
    done = len(server.asked)
    again = Registering(settings(server))
    again.apply(again.plan())

    assert all(step.done for step in steps)
    assert all(step.done for step in again.plan())
    assert len(server.held.texts) == COUNT
    subjects = {subject_of("erp", one.name) for one in OWN.locked}
    assert set(server.held.subjects) == subjects
    assert {server.held.levels[subject] for subject in subjects} == {"FULL_TRANSITIVE"}
    assert not [one for one in list(server.writes()) if one in server.asked[done:]]


def test_the_schemas_go_under_the_ids_of_the_registry_and_both_are_read(server: SchemaServer) -> None:
    registering = Registering(settings(server))
    registering.apply(registering.plan())
    before = list(server.writes())

    registry = known_schemas(settings(server))
    codecs = registry.codecs()

    assert list(server.writes()) == before, "a worker only reads"
    record = {column: 7 if column == "meta_version" else "x" for column in ("meta_key", "meta_source")}
    record |= {"meta_tenant": "x", "meta_version": 7, "id": "1"}
    mine, theirs = OWN.codecs().writer("customer"), codecs.writer("customer")
    assert theirs.schema_id >= FIRST
    assert registry.by_id(theirs.schema_id) == OWN.by_id(mine.schema_id)
    assert codecs.decode(mine.encode(record), "customer") == codecs.decode(theirs.encode(record), "customer")
    assert theirs.encode(record)[:5] in codecs.frames
    assert mine.encode(record)[:5] in codecs.frames


def test_one_number_for_two_names_is_read_by_name() -> None:
    """The ids of a registry that held other schemas before lie across those of the lock."""
    shifted = OWN.under({one.id: one.id + 1 for one in OWN.locked})
    codecs = shifted.codecs()
    name = OWN.locked[0].name
    record = {"meta_key": "k", "meta_source": "s", "meta_tenant": "t", "meta_version": 7, "id": "1"}
    old, new = OWN.codecs().writer(name).encode(record), codecs.writer(name).encode(record)

    assert old[:5] != new[:5]
    assert codecs.decode(old, name) == codecs.decode(new, name)
    with pytest.raises(KeyError):
        codecs.decode(new, OWN.locked[4].name)


def test_one_number_for_two_versions_of_a_name_is_refused() -> None:
    wide = {**BROAD, "fields": [*BROAD["fields"], field("city", default="")]}
    locked = [Locked(at, "customer", at, "", digest(one)) for at, one in ((1, BROAD), (2, wide))]
    registry = Registry(locked, {1: BROAD, 2: wide})

    with pytest.raises(Misconfigured, match=r"id 1 is version 1 of customer .* and version 2 there"):
        registry.under({1: 5, 2: 1})


def test_a_schema_that_is_not_registered_refuses_a_start_and_names_the_command(server: SchemaServer) -> None:
    registering = Registering(settings(server))
    registering.apply(registering.plan())
    subject = subject_of("erp", OWN.locked[-1].name)
    server.held.subjects.pop(subject)

    with pytest.raises(Misconfigured, match=rf"does not have {subject}.*connector schemas register --yes"):
        known_schemas(settings(server))


def test_a_registry_that_answers_another_schema_refuses_a_start(server: SchemaServer) -> None:
    registering = Registering(settings(server))
    registering.apply(registering.plan())
    one = OWN.locked[1]
    other = OWN.by_id(one.id) | {"fields": OWN.by_id(one.id)["fields"][::-1]}

    def swapped(method: str, path: str, answer: Any) -> Any:
        looked_up = method == "POST" and path.endswith(f"/subjects/{subject_of('erp', one.name)}")
        return (200, answer[1] | {"schema": json.dumps(other)}) if looked_up else answer

    server.meddle = swapped

    with pytest.raises(Misconfigured, match="has another schema under id"):
        known_schemas(settings(server))


def test_a_form_the_registry_only_tidied_up_is_the_same() -> None:
    one = OWN.locked[1]
    schema = OWN.by_id(one.id)
    tidy = {name: schema[name] for name in ("type", "name", "namespace")} | {
        "fields": [{"name": part["name"], "type": part["type"]} for part in schema["fields"]]
    }

    class Tidy(Remote):
        def lookup(self, subject: str, text: str) -> dict[str, Any]:
            told = json.dumps(tidy) if subject == subject_of("erp", one.name) else text
            return {"id": FIRST + len(subject), "schema": told}

    remote = Tidy(RegistrySettings(url="http://127.0.0.1:1"))
    assert len(looked_up(OWN, remote, Settings())) == COUNT


def test_what_the_registry_finds_incompatible_is_refused_and_nothing_is_written(
    server: SchemaServer, tmp_path: Path
) -> None:
    subject = subject_of("erp", "customer")
    client = SchemaRegistryClient({"url": server.url})
    client.set_compatibility(subject, "FULL_TRANSITIVE")
    strange = json.dumps(BROAD | {"fields": [field("debt")]})
    client.register_schema(subject, Schema(strange, "AVRO"))
    before = list(server.writes())

    told = connector(tmp_path, {"url": server.url}, "--yes", "--json")

    assert told.returncode == 1
    steps = {step["subject"]: step for step in json.loads(told.stdout)}
    assert steps[subject]["action"] == "refuse"
    assert "not compatible with version 1" in steps[subject]["why"]
    assert "Nothing was registered" in told.stderr
    assert list(server.writes()) == before


def test_the_command_says_what_is_missing_and_changes_it_only_when_told(
    server: SchemaServer, tmp_path: Path
) -> None:
    registry = {"url": server.url}

    dry = connector(tmp_path, registry)
    checked = connector(tmp_path, registry, "--check")
    assert not list(server.writes())
    done = connector(tmp_path, registry, "--yes", "--json")
    after = connector(tmp_path, registry, "--check")

    assert (dry.returncode, checked.returncode, done.returncode, after.returncode) == (0, 1, 0, 0)
    assert f"{COUNT} of {COUNT} are missing" in dry.stdout
    assert "erp.changelog.customer-value" in dry.stdout
    assert {step["level"] for step in json.loads(done.stdout)} == {"FULL_TRANSITIVE"}
    assert f"all {COUNT} schemas are registered" in after.stdout


def test_without_an_address_there_is_nothing_to_register(tmp_path: Path) -> None:
    told = connector(tmp_path, {"url": None})

    assert told.returncode == 1
    assert "registry.url: not set" in told.stderr


@pytest.mark.parametrize(
    ("proof", "more"),
    [
        (SchemaServer.basic("me", "right:one"), {"username": "me", "password": "env:REGISTRY_PROOF"}),
        ("Bearer right:one", {"token": "env:REGISTRY_PROOF"}),
    ],
)
def test_the_proof_is_sent_and_a_wrong_one_is_told_without_it(
    monkeypatch: pytest.MonkeyPatch, proof: str, more: dict[str, Any]
) -> None:
    with SchemaServer(FIRST, proof) as server:
        monkeypatch.setenv("REGISTRY_PROOF", "right:one")
        assert len(Registering(settings(server, **more)).plan()) == COUNT

        monkeypatch.setenv("REGISTRY_PROOF", "wrong:one")
        with pytest.raises(Misconfigured, match=r"answers 401: check registry\.username") as refused:
            Registering(settings(server, **more)).plan()
        assert "wrong:one" not in str(refused.value)


def test_a_certificate_holds_by_the_ca_that_is_named(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        (
            "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=registry -addext "
            f"subjectAltName=IP:127.0.0.1 -keyout {key} -out {cert}"
        ).split(),
        check=True,
        capture_output=True,
    )
    with SchemaServer(FIRST, tls=(str(cert), str(key))) as server:
        assert len(Registering(settings(server, ca=str(cert))).plan()) == COUNT
        with pytest.raises(Misconfigured, match=r"registry.ca: the certificate of https://.* does not hold"):
            Registering(settings(server)).plan()
        with pytest.raises(Misconfigured, match=r"registry\.ca: .*: No such file"):
            Registering(settings(server, ca=str(tmp_path / "none.pem")))
        with pytest.raises(Misconfigured, match="no certificates in PEM"):
            Registering(settings(server, ca=str(key)))


def test_a_registry_that_comes_back_in_time_is_waited_for() -> None:
    with SchemaServer(FIRST) as server:
        port = server.port
    late: list[SchemaServer] = []

    def come_back() -> None:
        time.sleep(1)
        late.append(SchemaServer(FIRST, port=port).__enter__())

    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        steps = Registering(Settings(registry=RegistrySettings(url=server.url, timeout_s=60))).plan()
    finally:
        thread.join()
        for one in late:
            one.__exit__()
    assert len(steps) == COUNT


def test_a_registry_that_stays_away_ends_the_start_in_one_line(tmp_path: Path) -> None:
    with SchemaServer(FIRST) as server:
        url = server.url

    told = connector(tmp_path, {"url": url, "timeout_s": 0.2})

    assert told.returncode == 1
    assert f"registry.url: {url} gives no answer for 0.2 s" in told.stderr
    assert "Traceback" not in told.stderr
