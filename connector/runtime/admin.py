"""Topics on the brokers against the table in `connector.topics`: plan and apply.

Running roles create and alter nothing: `connector topics apply` does, under its own principal. They look:
see `connector.runtime.guards`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # not re-exported (2.16)
    AdminClient,
    AlterConfigOpType,
    ClusterMetadata,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from connector.core import guards
from connector.errors import Misconfigured
from connector.runtime.desk import topics_under
from connector.runtime.settings import Settings
from connector.topics import Topic

REACH_S: Final = 5
"""A broker that does not answer within this is unreachable."""
CHANGE_S: Final = 30
REMEDY: Final = guards.REMEDY
_REMEDIES: Final = {
    "connecting to a plaintext broker listener": (
        "kafka.security.protocol",
        "the listener speaks no TLS: name its TLS port, or plaintext or sasl_plaintext here",
    ),
    "certificate verify failed": (
        "kafka.ssl.ca.location",
        "the broker's certificate is of no authority we know: name the file of the one that signed it",
    ),
    "certificate required": (
        "kafka.ssl.certificate.location",
        "the listener asks for a client certificate: name ours, and its key in ssl.key.location",
    ),
    "hostname": (
        "kafka.bootstrap.servers",
        "the broker's certificate is for another name: connect by the name that stands in it",
    ),
    "mechanism handshake failed": (
        "kafka.sasl.mechanism",
        "the listener does not take this mechanism: see what it offers, or whether it has SASL at all",
    ),
    "authentication failed": (
        "kafka.sasl.username",
        "the broker knows no such user, or another password: check both",
    ),
    "ssl handshake": (
        "kafka.security.protocol",
        "TLS does not come about: check protocol, port and certificates",
    ),
    "failed to resolve": ("kafka.bootstrap.servers", "no such host: check the name, and the resolver"),
    "connection refused": (
        "kafka.bootstrap.servers",
        "nobody listens there: check address and port, and that Kafka runs",
    ),
    "apiversion": (
        "kafka.security.protocol",
        "whatever listens there does not speak as we do: is it a TLS or SASL port?",
    ),
}
"""Sign in librdkafka's complaint, the first that fits -> the setting it is about, and what to do."""


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
        self._kafka: Final = {**kafka, "socket.connection.setup.timeout.ms": "5000"}
        self._quiet: Final = logging.Logger("librdkafka")  # noqa: LOG001  of these clients alone
        self._quiet.addHandler(self._told)
        try:
            self.client: Final = AdminClient(dict(self._kafka), logger=self._quiet)
        except KafkaException as error:
            raise Misconfigured(f"kafka: {error.args[0].str()}") from None

    def consumer(self, group: str, isolation: str) -> Consumer:
        """Make a consumer that looks and commits nothing; it is never to join the group."""
        return Consumer(
            {
                **self._kafka,
                "group.id": group,
                "enable.auto.commit": "false",
                "enable.partition.eof": "true",
                "isolation.level": isolation,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": "50",
                "logger": self._quiet,
            }
        )

    def metadata(self) -> ClusterMetadata:
        """List brokers and topics.

        Raises:
            Misconfigured: No broker answers.
        """
        try:
            return self.client.list_topics(timeout=REACH_S)
        except KafkaException as error:
            raise Misconfigured(self.silent(error.args[0])) from None

    def silent(self, error: KafkaError) -> str:
        """Say in one line that no broker answers, why, and what to do."""
        self.client.poll(0)  # the reason waits in a queue
        why = self._told.text or error.str()
        setting, remedy = next(
            (told for sign, told in _REMEDIES.items() if sign in why.lower()),
            ("kafka.bootstrap.servers", "check the address, and that Kafka runs"),
        )
        return f"{setting}: no broker answers at {self._servers} within {REACH_S} s ({why}); {remedy}"

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
    table = topics_under(settings.topics.prefix, settings.topics.versions).all()
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
        if not guards.same(has, wants):
            yield Change(topic.name, "alter", setting, has, wants)


def apply(settings: Settings, changes: Sequence[Change]) -> None:
    """Carry out a plan: create what is missing, alter what deviates; returns when the brokers show it.

    Raises:
        Misconfigured: The plan has something only the operator can decide, or a broker refused.
    """
    if refused := [change for change in changes if change.action == "refuse"]:
        one = refused[0]
        raise Misconfigured(f"{one.topic}: has {one.has} {one.setting}, not {one.wants}; {guards.FIXED}")
    brokers = Brokers(settings.kafka)
    table = {
        topic.name: topic for topic in topics_under(settings.topics.prefix, settings.topics.versions).all()
    }
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
