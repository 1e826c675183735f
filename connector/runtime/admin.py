"""Topics on the brokers against the table in `connector.topics`: plan, apply, and the check at start.

Running roles create and alter nothing: `connector topics apply` does, under its own principal. They look,
and refuse to start where a promise could not be kept.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # not re-exported (2.16)
    AdminClient,
    AlterConfigOpType,
    ClusterMetadata,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from connector.errors import Misconfigured
from connector.runtime.desk import topics_under
from connector.runtime.settings import Settings
from connector.topics import RAW_RETENTION_MS, Topic

REACH_S: Final = 5
"""A broker that does not answer within this is unreachable."""
CHANGE_S: Final = 30
REMEDY: Final = "run: connector topics apply"
FIXED: Final = "the count is fixed for life: set topics.partitions to it, or use another topics.prefix"
_log: Final = logging.getLogger("connector.admin")


class Change(msgspec.Struct, frozen=True):
    """One deviation of the brokers from the table."""

    topic: str
    action: Literal["create", "alter", "refuse", "note"]
    """`refuse` cannot be repaired by us, `note` can wait."""
    setting: str
    has: str
    wants: str


def wanted_config(topic: Topic, replication_factor: int) -> dict[str, str]:
    """Give the settings a topic must have on this cluster: with three copies, two must confirm."""
    return {**topic.config, "min.insync.replicas": "2" if replication_factor > 2 else "1"}  # noqa: PLR2004


class Brokers:
    """An admin client that answers within seconds, or says in one line why not."""

    def __init__(self, kafka: Mapping[str, str]) -> None:
        """Make the client; nothing is connected yet.

        Raises:
            Misconfigured: librdkafka refuses a property.
        """
        self._servers: Final = kafka.get("bootstrap.servers", "")
        self._told: Final = _Last()
        quiet = logging.Logger("librdkafka")  # noqa: LOG001  of this client alone
        quiet.addHandler(self._told)
        try:
            self.client: Final = AdminClient(
                {**kafka, "socket.connection.setup.timeout.ms": 5000}, logger=quiet
            )
        except KafkaException as error:
            raise Misconfigured(f"kafka: {error.args[0].str()}") from None

    def metadata(self) -> ClusterMetadata:
        """List brokers and topics.

        Raises:
            Misconfigured: No broker answers.
        """
        try:
            return self.client.list_topics(timeout=REACH_S)
        except KafkaException as error:
            self.client.poll(0)
            why = self._told.text or error.args[0].str()
            raise Misconfigured(
                f"kafka.bootstrap.servers: no broker answers at {self._servers} within {REACH_S} s ({why}); "
                "check the address, and that Kafka runs"
            ) from None

    def configs(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        """Read the settings of topics.

        Raises:
            KafkaException: Not allowed, or no answer.
        """
        asked = self.client.describe_configs(
            [ConfigResource(ResourceType.TOPIC, name) for name in names], request_timeout=REACH_S
        )
        return {
            resource.name: {entry.name: str(entry.value) for entry in future.result().values()}
            for resource, future in asked.items()
        }


class _Last(logging.Handler):
    """Remembers librdkafka's last complaint; it knows the reason, the call only the time-out."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING and isinstance(record.args, tuple) and record.args:
            self.text = str(record.args[-1]).partition("]: ")[2] or str(record.args[-1])
            self.text = self.text.partition(" (after ")[0]


def plan(settings: Settings) -> list[Change]:
    """Compare the brokers with the table.

    Returns:
        Deviations, in the order of the table; empty where all is as it must be.

    Raises:
        Misconfigured: No broker answers, or the answer is refused.
    """
    brokers = Brokers(settings.kafka)
    metadata = brokers.metadata()
    table = topics_under(settings.topics.prefix).all()
    there = [topic.name for topic in table if _exists(metadata, topic.name)]
    try:
        configs = brokers.configs(there) if there else {}
    except KafkaException as error:
        raise Misconfigured(f"topics: their settings cannot be read: {error.args[0].str()}") from None
    changes: list[Change] = []
    for topic in table:
        changes += _deviations(topic, metadata, configs, settings)
    copies = settings.topics.replication_factor
    if copies > len(metadata.brokers) and any(change.action == "create" for change in changes):
        raise Misconfigured(
            f"topics.replication_factor: {copies}, but the cluster has {len(metadata.brokers)} broker(s); "
            f"set CONNECTOR_TOPICS__REPLICATION_FACTOR={len(metadata.brokers)} or add brokers"
        )
    return changes


def _exists(metadata: ClusterMetadata, name: str) -> bool:
    return name in metadata.topics and metadata.topics[name].error is None


def _deviations(
    topic: Topic, metadata: ClusterMetadata, configs: Mapping[str, Mapping[str, str]], settings: Settings
) -> Iterable[Change]:
    copies = settings.topics.replication_factor
    if not _exists(metadata, topic.name):
        yield Change(topic.name, "create", "topic", "missing", f"{settings.topics.partitions} partitions")
        return
    partitions = metadata.topics[topic.name].partitions
    if len(partitions) != settings.topics.partitions:
        yield Change(
            topic.name, "refuse", "partitions", str(len(partitions)), str(settings.topics.partitions)
        )
    replicas = min((len(one.replicas) for one in partitions.values()), default=0)
    if replicas < copies:
        yield Change(topic.name, "note", "replication.factor", str(replicas), str(copies))
    for setting, wants in wanted_config(topic, min(copies, replicas)).items():
        has = configs[topic.name].get(setting, "")
        if not _same(has, wants):
            yield Change(topic.name, "alter", setting, has, wants)


def _same(has: str, wants: str) -> bool:
    try:
        return float(has) == float(wants)
    except ValueError:
        return has == wants


def apply(settings: Settings, changes: Sequence[Change]) -> None:
    """Carry out a plan: create what is missing, alter what deviates; returns when the brokers show it.

    Raises:
        Misconfigured: The plan has something only the operator can decide, or a broker refused.
    """
    if refused := [change for change in changes if change.action == "refuse"]:
        one = refused[0]
        raise Misconfigured(f"{one.topic}: has {one.has} {one.setting}, not {one.wants}; {FIXED}")
    brokers = Brokers(settings.kafka)
    table = {topic.name: topic for topic in topics_under(settings.topics.prefix).all()}
    copies = settings.topics.replication_factor
    new = [
        NewTopic(
            change.topic,
            num_partitions=settings.topics.partitions,
            replication_factor=copies,
            config=wanted_config(table[change.topic], copies),
        )
        for change in changes
        if change.action == "create"
    ]
    if new:
        _finish(brokers.client.create_topics(new, operation_timeout=CHANGE_S, request_timeout=CHANGE_S))
    altered: dict[str, list[ConfigEntry]] = {}
    for change in changes:
        if change.action == "alter":
            entry = ConfigEntry(change.setting, change.wants, incremental_operation=AlterConfigOpType.SET)
            altered.setdefault(change.topic, []).append(entry)
    if altered:
        resources = [
            ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
            for name, entries in altered.items()
        ]
        _finish(brokers.client.incremental_alter_configs(resources, request_timeout=CHANGE_S))
    _await_visible(brokers, [one.topic for one in new])


def _finish(futures: Mapping[Any, Any]) -> None:
    for asked, future in futures.items():
        try:
            future.result()
        except KafkaException as error:
            fault: KafkaError = error.args[0]
            if fault.code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another `apply` was faster
                raise Misconfigured(f"{getattr(asked, 'name', asked)}: {fault.str()}") from None


def _await_visible(brokers: Brokers, names: list[str]) -> None:
    deadline = time.monotonic() + CHANGE_S
    while time.monotonic() < deadline:
        metadata = brokers.metadata()
        if all(
            _exists(metadata, name)
            and all(one.leader >= 0 for one in metadata.topics[name].partitions.values())
            for name in names
        ):
            return
        time.sleep(0.1)
    raise Misconfigured("topics: created, but not all have a leader yet; look at the brokers")


def preflight(settings: Settings, role: Literal["serve", "work"]) -> None:
    """Refuse to start where a promise could not be kept.

    Args:
        settings: The settings.
        role: `serve` looks only at the topics it may see: raw and quarantine.

    Raises:
        Misconfigured: A broker does not answer, a topic is missing, has another partition count, or is
            cleaned up in another way.
    """
    brokers = Brokers(settings.kafka)
    metadata = brokers.metadata()
    table = [
        one
        for one in topics_under(settings.topics.prefix).all()
        if role == "work" or one.kind in ("raw", "quarantine")
    ]
    if missing := [one.name for one in table if not _exists(metadata, one.name)]:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise Misconfigured(f"{missing[0]}{more}: no such topic; {REMEDY}")
    for topic in table:
        count = len(metadata.topics[topic.name].partitions)
        if count != settings.topics.partitions:
            raise Misconfigured(
                f"{topic.name}: has {count} partitions, not {settings.topics.partitions}; {FIXED}"
            )
    try:
        configs = brokers.configs([one.name for one in table])
    except KafkaException as error:
        _log.warning("settings of topics are not checked", extra={"why": error.args[0].str()})
        return
    for topic in table:
        _keeps(topic, configs[topic.name])


def _keeps(topic: Topic, config: Mapping[str, str]) -> None:
    """Check that what must stay stays: states for ever, the memory of a delete longer than raw records."""
    wants = topic.config["cleanup.policy"]
    if config.get("cleanup.policy") != wants:
        raise Misconfigured(f"{topic.name}: cleanup.policy is not {wants}; {REMEDY}")
    guard = int(config.get("delete.retention.ms") or 0)
    if wants == "compact" and guard <= RAW_RETENTION_MS:
        raise Misconfigured(
            f"{topic.name}: delete.retention.ms is not longer than raw records stay, so a replay could "
            f"revive what was deleted; {REMEDY}"
        )
