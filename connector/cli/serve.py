"""`connector serve`: the HTTP door."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from connector.cli.context import load_settings

if TYPE_CHECKING:
    from connector.core.authenticate import Endpoint
    from connector.runtime.guards import Guards
    from connector.runtime.settings import Settings

REREAD_S = 5
"""How often secrets in files are read again, so that they rotate without a restart."""


@click.command()
@click.pass_context
def serve(ctx: click.Context) -> None:
    """Take callbacks; answer 202 once every record of one is durable in Kafka.

    Probes and metrics are on the operations port. SIGTERM ends it without losing a callback.
    """
    import asyncio

    import uvloop

    from connector.runtime import telemetry, traces
    from connector.runtime.credentials import endpoints, forbid_core_dumps
    from connector.runtime.guards import Guards

    settings = load_settings(ctx)
    if not settings.endpoints:
        raise click.ClickException("endpoints: none; `connector config schema` tells how one looks")
    telemetry.log_json()
    forbid_core_dumps()
    known = endpoints(settings)
    traces.start("ingress")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_open(settings, known, Guards(settings, "serve")))
    finally:
        traces.stop()


async def _open(settings: Settings, known: dict[tuple[str, str], Endpoint], guards: Guards) -> None:
    """Wire the door, its probes and its secrets, and hold it open until a signal.

    Until Kafka is there and as it must be every callback gets 503.
    """
    import asyncio

    from connector.core.privacy import Privacy
    from connector.entities import ENTITIES
    from connector.runtime import telemetry
    from connector.runtime.credentials import digest_key
    from connector.runtime.desk import topics_under
    from connector.runtime.ingress import Ingress
    from connector.runtime.metrics import METRICS
    from connector.runtime.operations import Health, Operations
    from connector.runtime.rotation import Rotation
    from connector.runtime.serving import serve as hold_open
    from connector.runtime.tuning import tuned

    ingress = Ingress(
        known,
        tuned(settings.endpoints),
        topics_under(settings.topics.prefix, settings.topics.versions),
        Privacy(digest_key(settings), ENTITIES),
        settings.ingress,
        settings.kafka,
        settings.topics.partitions,
        rates={(one.source, one.id): one.rate for one in settings.endpoints if one.rate is not None},
    )
    ingress.counts.named = settings.operations.endpoint_labels
    METRICS.register(ingress.counts)
    health = Health("ingress")
    health.live("ingress", lambda: _why(ingress.alive()))
    health.ready("kafka", lambda: guards.waiting)
    health.ready("ingress", lambda: _why(ingress.ready()))
    operations = Operations(settings.operations.host, settings.operations.port, health)
    operations.start()

    def started() -> None:
        telemetry.log.info("serving", extra={"port": settings.ingress.port, "operations": operations.port})

    ingress.held = True
    loop = asyncio.get_running_loop()
    refused: asyncio.Future[None] = loop.create_future()

    def begun(refusal: BaseException | None) -> None:
        if refusal is None:
            ingress.held = False
        else:
            loop.call_soon_threadsafe(refused.set_exception, refusal)

    kafka_rotation = Rotation(settings.kafka)
    kafka_rotation.start()
    guards.start(begun)
    rotation = asyncio.create_task(_rotate(settings, known))
    try:
        await hold_open(ingress, started=started, refused=refused)
    finally:
        guards.stop()
        kafka_rotation.stop()
        rotation.cancel()
        operations.stop()


async def _rotate(settings: Settings, known: dict[tuple[str, str], Endpoint]) -> None:
    """Put new secrets in the place of old ones; while some cannot be read, the old ones stay."""
    import asyncio

    from connector.errors import Misconfigured
    from connector.runtime import telemetry
    from connector.runtime.credentials import endpoints

    while True:
        await asyncio.sleep(REREAD_S)
        try:
            known.update(await asyncio.to_thread(endpoints, settings, in_files=True))
        except Misconfigured as refusal:
            telemetry.log.warning("secrets stay as they were", extra={"why": str(refusal)})


def _why(answer: tuple[bool, list[str]]) -> str | None:
    return None if answer[0] else "; ".join(answer[1])
