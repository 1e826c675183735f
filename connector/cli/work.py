"""`connector work`: the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from connector.cli.context import load_settings

if TYPE_CHECKING:
    from connector.runtime.guards import Guards
    from connector.runtime.operations import Health
    from connector.runtime.registry import Registry
    from connector.runtime.settings import Settings


@click.command()
@click.pass_context
def work(ctx: click.Context) -> None:
    """Turn raw records into changelogs, exactly once; run as many as there are partitions.

    Probes, metrics and the read-only schema registry are on the operations port. While Kafka is away or a
    topic is missing it waits, and /readyz says for what.
    """
    import asyncio
    import sys

    from connector.runtime import telemetry, traces
    from connector.runtime.credentials import forbid_core_dumps
    from connector.runtime.guards import Guards
    from connector.runtime.operations import Health, Operations
    from connector.runtime.registered import known_schemas
    from connector.runtime.registry import RegistryApi
    from connector.runtime.rotation import Rotation

    settings = load_settings(ctx)
    telemetry.log_json()
    forbid_core_dumps()
    registry = known_schemas(settings)
    guards = Guards(settings, "work")
    health = Health("worker")
    api = RegistryApi(registry, settings.topics.prefix, settings.topics.versions)
    operations = Operations(settings.operations.host, settings.operations.port, health, api)
    health.ready("kafka", lambda: guards.waiting)
    health.ready("partitions", lambda: "starting")
    operations.start()
    rotation = Rotation(settings.kafka)
    rotation.start()
    traces.start("worker")
    try:
        code = asyncio.run(_work(settings, registry, guards, health, operations.port))
    finally:
        guards.stop()
        rotation.stop()
        operations.stop()
        traces.stop()
    sys.exit(code)


async def _work(settings: Settings, registry: Registry, guards: Guards, health: Health, port: int) -> int:
    """Wait until Kafka is there and as it must be, then work; give the exit code."""
    import asyncio
    import signal

    from connector.runtime import telemetry
    from connector.runtime.credentials import digest_key
    from connector.runtime.desk import furnish, topics_under
    from connector.runtime.waiting import admitted

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    desk, codecs = furnish(
        registry, digest_key(settings), settings.worker.headers, settings.worker.max_event_age_days
    )
    if not await admitted(guards, stop):
        return 0
    from connector.runtime import worker as stage  # takes a second: Faust comes with it

    def started(worker: stage.Worker) -> None:
        progress = worker.progress
        health.live("loop", progress.loop)
        health.live("intake", progress.intake)
        health.live("batches", progress.batches)
        health.live("transactions", lambda: progress.hung(guards.answering_s()))
        health.ready("partitions", progress.partitions)
        health.ready("transactions", progress.transactions)
        worker.diagnose = guards.diagnose
        guards.end_by(worker.fail)
        telemetry.log.info("working", extra={"group": settings.group, "operations": port})

    topics = topics_under(settings.topics.prefix, settings.topics.versions)
    return await stage.work(settings, settings.kafka, topics, desk, codecs, started=started)
