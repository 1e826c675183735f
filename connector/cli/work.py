"""`connector work`: the worker."""

from __future__ import annotations

import click

from connector.cli.context import load_settings


@click.command()
@click.pass_context
def work(ctx: click.Context) -> None:
    """Turn raw records into changelogs, exactly once; run as many as there are partitions.

    Probes, metrics and the read-only schema registry are on the operations port.
    """
    import asyncio
    import sys

    from connector.runtime import telemetry
    from connector.runtime.credentials import digest_key, forbid_core_dumps
    from connector.runtime.desk import furnish, topics_under
    from connector.runtime.guards import Guards
    from connector.runtime.operations import Health, Operations
    from connector.runtime.registry import Registry, RegistryApi, folder

    settings = load_settings(ctx)
    telemetry.log_json()
    forbid_core_dumps()
    registry = Registry.load(folder())
    guards = Guards(settings, "work")
    guards.preflight()
    from connector.runtime import worker as stage  # takes a second: Faust comes with it

    desk, codecs = furnish(
        registry, digest_key(settings), settings.worker.headers, settings.worker.max_event_age_days
    )
    health = Health()
    api = RegistryApi(registry, settings.topics.prefix, settings.topics.versions)
    operations = Operations(settings.operations.host, settings.operations.port, health, api)
    health.ready("partitions", lambda: "starting")
    operations.start()

    def started(worker: stage.Worker) -> None:
        progress = worker.progress
        health.live("loop", progress.loop)
        health.live("intake", progress.intake)
        health.live("batches", progress.batches)
        health.live("transactions", lambda: progress.hung(guards.answering_s()))
        health.ready("partitions", progress.partitions)
        health.ready("transactions", progress.transactions)
        worker.diagnose = guards.diagnose
        guards.start(worker.fail)
        telemetry.log.info("working", extra={"group": settings.group, "operations": operations.port})

    topics = topics_under(settings.topics.prefix, settings.topics.versions)
    try:
        code = asyncio.run(stage.work(settings, settings.kafka, topics, desk, codecs, started=started))
    finally:
        guards.stop()
        operations.stop()
    sys.exit(code)
