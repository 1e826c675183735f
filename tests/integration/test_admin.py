"""Topics on a real broker: delivery.md row 16, made and checked as an operator does."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)

from connector.cli import main
from connector.errors import Misconfigured
from connector.runtime import admin, configuration
from connector.runtime.facts import Role
from connector.runtime.guards import Guards
from connector.runtime.settings import Settings
from connector.topics import CONFIGS

pytestmark = pytest.mark.kafka


@pytest.fixture
def config(tmp_path: Path, bootstrap: str, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CONNECTOR_CONFIG", raising=False)
    path = tmp_path / "connector.yaml"
    path.write_text(
        f"kafka: {{bootstrap.servers: '{bootstrap}', security.protocol: plaintext}}\n"
        f"topics: {{prefix: {prefix}, partitions: 2, replication_factor: 1}}\n"
    )
    return path


@pytest.fixture
def settings(config: Path) -> Settings:
    return configuration.load(config)


@pytest.fixture
def alter(settings: Settings) -> Callable[[str, str, str], None]:
    brokers = admin.Brokers(settings.kafka)  # held: its answers end with it

    def altered(topic: str, setting: str, value: str) -> None:
        entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        for future in brokers.client.incremental_alter_configs([resource]).values():
            future.result()

    return altered


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--config", str(config), *arguments])


def eventually(check: Callable[[], bool]) -> bool:
    """Brokers show a change a moment after they confirmed it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.1)
    return False


def test_apply_makes_every_topic_as_the_table_says_and_twice_does_nothing(
    config: Path, settings: Settings
) -> None:
    first = run(config, "topics", "apply")
    second = run(config, "topics", "apply", "--json")
    prefix = settings.topics.prefix
    kept = admin.Brokers(settings.kafka).configs([f"{prefix}.changelog.customer", f"{prefix}.quarantine"])

    assert first.exit_code == 0, first.output
    assert first.output.count("create") == 28
    assert json.loads(second.output) == []
    assert run(config, "topics", "plan").output == "all topics are as they must be\n"
    for name, kind in (("changelog.customer", "changelog"), ("quarantine", "quarantine")):
        has = kept[f"{prefix}.{name}"]
        assert {setting: has[setting] for setting in CONFIGS[kind]} == {
            setting: str(float(value)) if setting == "min.cleanable.dirty.ratio" else value
            for setting, value in CONFIGS[kind].items()
        }
        assert has["min.insync.replicas"] == "1"


def test_plan_changes_nothing(config: Path, settings: Settings) -> None:
    told = run(config, "topics", "plan")

    assert told.exit_code == 0
    assert len(admin.plan(settings)) == 28


def test_a_deviating_setting_is_planned_and_repaired(
    config: Path, settings: Settings, alter: Callable[[str, str, str], None]
) -> None:
    run(config, "topics", "apply")
    alter(f"{settings.topics.prefix}.events", "retention.ms", "1000")

    assert eventually(lambda: len(admin.plan(settings)) == 1)
    (change,) = admin.plan(settings)
    repaired = run(config, "topics", "apply")

    assert (change.action, change.setting, change.has) == ("alter", "retention.ms", "1000")
    assert repaired.exit_code == 0
    assert eventually(lambda: admin.plan(settings) == [])


def test_a_wrong_partition_count_is_refused_by_plan_apply_and_start(config: Path, settings: Settings) -> None:
    run(config, "topics", "apply")
    topic = f"{settings.topics.prefix}.raw.duett"
    client = AdminClient(dict(settings.kafka))
    for future in client.create_partitions([NewPartitions(topic, 3)]).values():
        future.result()

    assert eventually(lambda: run(config, "topics", "plan").exit_code == 1)
    assert "3 partitions, not 2" in run(config, "topics", "apply").output
    roles: tuple[Role, Role] = ("serve", "work")
    for role in roles:
        with pytest.raises(
            Misconfigured, match=r"raw\.duett: found 3 partitions, wanted 2; the count is fixed for life"
        ):
            Guards(settings, role).preflight()


def test_a_missing_topic_stops_the_start_with_its_remedy(settings: Settings) -> None:
    told = (
        r"raw\.duett and 5 more: found no such topic, wanted one of 2 partitions; run: connector topics apply"
    )
    with pytest.raises(Misconfigured, match=told):
        Guards(settings, "serve").preflight()
    with pytest.raises(Misconfigured, match=r"and 27 more: found no such topic"):
        Guards(settings, "work").preflight()


def test_what_is_as_it_must_be_may_start(config: Path, settings: Settings) -> None:
    run(config, "topics", "apply")

    Guards(settings, "serve").preflight()
    Guards(settings, "work").preflight()


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("cleanup.policy", "delete", "found cleanup.policy delete, wanted compact"),
        (
            "delete.retention.ms",
            "86400000",
            "found delete.retention.ms 86400000 (24.0 h), wanted more than raw records stay (14.0 d)",
        ),
    ],
)
def test_a_cleanup_that_would_break_a_promise_stops_the_worker(
    config: Path,
    settings: Settings,
    alter: Callable[[str, str, str], None],
    setting: str,
    value: str,
    told: str,
) -> None:
    run(config, "topics", "apply")
    alter(f"{settings.topics.prefix}.changelog.item", setting, value)

    def refused() -> bool:
        try:
            Guards(settings, "work").preflight()
        except Misconfigured as refusal:
            return told in str(refusal) and "changelog.item" in str(refusal)
        return False

    assert eventually(refused)
    Guards(settings, "serve").preflight()


def test_more_copies_than_brokers_are_refused_before_anything_is_made(
    config: Path, settings: Settings
) -> None:
    config.write_text(config.read_text().replace("replication_factor: 1", "replication_factor: 3"))

    told = run(config, "topics", "apply")

    assert told.exit_code == 1
    assert "CONNECTOR_TOPICS__REPLICATION_FACTOR=1" in told.output
    assert all(change.action == "create" for change in admin.plan(settings))


def test_two_operators_may_apply_at_the_same_time(settings: Settings) -> None:
    changes = admin.plan(settings)

    admin.apply(settings, changes)
    admin.apply(settings, changes)

    assert eventually(lambda: admin.plan(settings) == [])


def test_a_property_librdkafka_does_not_know_is_told() -> None:
    with pytest.raises(Misconfigured, match=r'kafka: No such configuration property: "bogus\.property"'):
        admin.Brokers({"bootstrap.servers": "localhost:9092", "bogus.property": "1"})
