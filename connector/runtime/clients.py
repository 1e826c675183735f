"""How the worker's clients are configured, and which delivery and which store its settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connector.runtime.awaited import Awaited
from connector.runtime.entries import Memory
from connector.runtime.standstill import Standstill
from connector.runtime.state import form
from connector.runtime.telemetry import kafka_log
from connector.runtime.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connector.core.changelog import EntityChangelog
    from connector.runtime.entries import Store
    from connector.runtime.intake import Intake
    from connector.runtime.outlet import Delivery
    from connector.runtime.settings import Settings, WorkerSettings
    from connector.topics import Topics

_LEAST_DELIVERY_MS: Final = 1000


def _next_generation(kafka: Mapping[str, str]) -> bool:
    return kafka.get("group.protocol") == "consumer"


def cooperative(settings: Settings) -> bool:
    """Say whether a rebalance takes only the partitions that move."""
    return _next_generation(settings.kafka) or settings.worker.assignment_strategy == "cooperative-sticky"


def consumer_config(settings: Settings, kafka: Mapping[str, str]) -> dict[str, Any]:
    """Configure the consumer of the raw topics; `kafka` holds resolved librdkafka properties."""
    worker = settings.worker
    config: dict[str, Any] = {
        **kafka,
        "client.id": settings.client_id,
        "group.id": settings.group,
        "enable.auto.commit": "false",
        "enable.auto.offset.store": "false",
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
        "allow.auto.create.topics": "false",
        "max.poll.interval.ms": str(worker.max_poll_interval_ms),
        "fetch.queue.backoff.ms": "10",
        "queued.max.messages.kbytes": "8192",
        "logger": kafka_log,
    }
    if worker.static_membership:
        config["group.instance.id"] = settings.client_id
    if not _next_generation(kafka):
        # with the next-generation protocol these are the broker's to set; the client refuses them
        config["session.timeout.ms"] = str(worker.session_timeout_ms)
        config["partition.assignment.strategy"] = worker.assignment_strategy
    return config


def producer_config(settings: Settings, kafka: Mapping[str, str]) -> dict[str, Any]:
    """Configure the producer of everything the worker writes."""
    worker = settings.worker
    config = {
        **{name: value for name, value in kafka.items() if not name.startswith("group.")},
        "client.id": settings.client_id,
        "partitioner": "murmur2_random",
        "compression.type": "zstd",
        "linger.ms": "5",
        "batch.num.messages": "10000",
        "message.max.bytes": "1572864",
        "queue.buffering.max.messages": "200000",
        "queue.buffering.max.kbytes": "262144",
        "logger": kafka_log,
    }
    if worker.delivery == "exactly_once":
        config["transactional.id"] = settings.transactional_id
        config["transaction.timeout.ms"] = str(worker.transaction_timeout_ms)
    else:
        config["enable.idempotence"] = "true"
        # What waits in a process that is stopped must be too old to be sent when it wakes.
        config["delivery.timeout.ms"] = str(max(worker.session_timeout_ms // 2, _LEAST_DELIVERY_MS))
    return config


def delivery(
    settings: Settings,
    kafka: Mapping[str, str],
    topics: Topics,
    intake: Intake,
) -> Callable[[Callable[[], bool]], Delivery]:
    """Give what makes the delivery that the settings name, one producer after the other."""
    if settings.worker.delivery == "exactly_once":
        return lambda stopping: Transactions(producer_config(settings, kafka), stopping)
    standstill = Standstill(settings.worker.session_timeout_ms / 2000)
    standstill.watch()
    states = frozenset((*topics.changelog.values(), topics.identity))
    return lambda _: Awaited(
        producer_config(settings, kafka),
        states,
        lambda cycle: cycle.epoch == intake.epoch,
        intake.offsets.commit,
        standstill.check,
    )


def store(worker: WorkerSettings, changelogs: Mapping[tuple[str, str], EntityChangelog]) -> Store:
    """Give what keeps the entries.

    Raises:
        Misconfigured: The extra is not installed, or the folder cannot be used.
    """
    if worker.state_dir is None or worker.state == "memory":
        return Memory()
    from connector.runtime.disk import Disk  # noqa: PLC0415  needs an extra that not everybody installs

    return Disk(worker.state_dir, form(changelogs))
