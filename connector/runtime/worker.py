"""The worker: a Faust app whose own Kafka transport is switched off, wired from settings.

Agents, channels, services and supervision are Faust's; bytes in and out are librdkafka's. It fails as a
whole: the first fault stops the intake, nothing more is committed, one line says why, the exit code is 1.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import faust
from confluent_kafka import KafkaException
from faust.app.base import BootStrategy
from faust.tables.manager import TableManager
from mode.supervisors import CrashingSupervisor

from connector.errors import ConnectorError
from connector.runtime import counts
from connector.runtime.agents import Carrier, add_agent
from connector.runtime.assignment import Assignment
from connector.runtime.checkpoints import Checkpoints
from connector.runtime.clients import consumer_config, cooperative, delivery, store
from connector.runtime.intake import Intake
from connector.runtime.lag import Lag
from connector.runtime.outlet import Outlet
from connector.runtime.progress import Progress
from connector.runtime.rebuild import Rebuild
from connector.runtime.state import State
from connector.runtime.telemetry import log
from connector.runtime.tuning import tuned
from connector.sources import SOURCES
from connector.topics import GUARD_RETENTION_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from faust.types import AgentT

    from connector.core.avro import Codecs
    from connector.flow import Desk
    from connector.runtime.batch import Batch, Cycle
    from connector.runtime.settings import Settings, WorkerSettings
    from connector.topics import Topics

REQUEST_S: Final = 10.0
_GC_THRESHOLDS: Final = (100_000, 50, 100)
"""A batch makes a million short-lived objects and no cycles: looking often finds nothing."""
CACHE_AGE_S: Final = GUARD_RETENTION_MS / 1000 / 2
LEAVE_S: Final = REQUEST_S + 5.0
"""To leave the group, behind a request of a rebuild that nobody waits for any more."""


class _NoTransport(BootStrategy):
    enable_kafka = False
    enable_web = False  # else Faust's command line opens 0.0.0.0:6066, whatever its settings say


class _NoTables(TableManager):
    async def wait_until_recovery_completed(self) -> bool:
        """Say "not stopped": Faust starts the other services only after this (0.15.3)."""
        return False


class _App(faust.App):
    BootStrategy = _NoTransport
    fail: Callable[[BaseException], None]

    def _create_directories(self) -> None:
        """Make none: they are for tables of Faust's, and stayed behind when the process was killed."""

    async def _on_agent_error(self, agent: AgentT[Any], exc: BaseException) -> None:
        """Hear of an agent that raised: `app.agent` takes no handler of ours (0.15.3)."""
        del agent
        self.fail(exc)


class Worker:
    """Everything between the raw topics and the changelogs; probes ask `progress`."""

    def __init__(
        self,
        settings: Settings,
        kafka: Mapping[str, str],
        topics: Topics,
        desk: Desk,
        codecs: Codecs,
    ) -> None:
        """Wire the stations; `kafka` holds resolved librdkafka properties."""
        worker = settings.worker
        self._failure: BaseException | None = None
        self._stop: Final = asyncio.Event()
        self._loop: Final = asyncio.get_running_loop()
        self._store: Final = store(worker, desk.changelogs)
        state = State(desk.changelogs, codecs, CACHE_AGE_S, self._store)
        rebuild = Rebuild(
            kafka, settings.group, topics, lambda source: SOURCES[source].shapes, codecs.frames, REQUEST_S
        )
        self._intake: Final = Intake(
            consumer_config(settings, kafka),
            Assignment(topics, state, rebuild),
            worker,
            cooperative=cooperative(settings),
            hand_over=self._hand_over,
            fail=self.fail,
            stray=lambda: self._outlet.stray(),  # noqa: PLW0108  made below
        )
        self._outlet: Final = Outlet(
            delivery(settings, kafka, topics, self._intake),
            self._intake,
            state,
            self.fail,
            pause_s=worker.session_timeout_ms / 2000,
            checkpoints=Checkpoints(state, rebuild) if self._store.lasting else None,
        )
        self.progress: Final = Progress(self._intake, self._outlet, worker.settle_timeout_s)
        self.diagnose: Callable[[BaseException], BaseException] = lambda failure: failure
        """Gives the cause behind a failure; called in a thread, when nothing is committed any more."""
        self._stop_s: Final = stop_s(worker)
        self._app: Final = _App(
            settings.group,
            broker="kafka://unused",
            TableManager=_NoTables,
            agent_supervisor=CrashingSupervisor,
            topic_disable_leader=True,
            web_enabled=False,
        )
        self._app.fail = self.fail
        self._channels: Final[dict[str, Any]] = {}
        for name, source in tuned(settings.endpoints).items():
            channel = self._channels[name] = self._app.channel(maxsize=4)
            carrier = Carrier(source, topics, desk, state, frozenset(worker.quarantine))
            add_agent(self._app, carrier, name, channel, self._outlet)
        self._lag: Final = Lag(settings)
        counts.begin(topics.raw)
        counts.KEYS.set_function(state.keys)
        assignment = self._intake.assignment
        counts.PARTITIONS.labels("owned").set_function(lambda: len(assignment.owned))
        counts.PARTITIONS.labels("live").set_function(lambda: len(assignment.live))
        counts.PARTITIONS.labels("all").set(len(topics.raw) * settings.topics.partitions)
        counts.REBUILD_SECONDS.set_function(assignment.behind_s)
        counts.REBUILT.source = lambda: assignment.records_read
        counts.OPEN_SECONDS.set_function(self.progress.open_s)

    def fail(self, reason: BaseException) -> None:
        """End the worker; the first reason counts. May be called from any thread."""
        if self._failure is None:
            self._failure = reason
        self._loop.call_soon_threadsafe(self._stop.set)

    def stop(self) -> None:
        """Ask for an orderly end."""
        self._stop.set()

    def _hand_over(self, cycle: Cycle) -> None:
        """Put a cycle's batches on their channels; called from the intake's thread."""
        self.progress.handed(cycle)
        asyncio.run_coroutine_threadsafe(self._offer(list(cycle.batches.values())), self._loop)

    async def _offer(self, batches: list[Batch]) -> None:
        for batch in batches:
            await self._channels[batch.source].put(value=batch)

    async def run(self) -> int:
        """Work until stopped or failed; give the exit code."""
        ticking = asyncio.create_task(self.progress.tick())
        self._lag.start()
        try:
            await self._app.start()
            self._app.flow_control.resume()  # without it every channel.put waits for ever
            if await self._outlet_started():
                gc.collect()
                gc.freeze()  # what was made until now lives as long as the process
                gc.set_threshold(*_GC_THRESHOLDS)
                self.progress.joining()
                self._intake.start()
                await self._stop.wait()
        except (KafkaException, ConnectorError) as error:
            self.fail(error)
        try:
            return await self._end()
        finally:
            self._lag.stop()
            ticking.cancel()

    async def _outlet_started(self) -> bool:
        """Have the outlet started; False if the worker is stopped first, as it may be while Kafka is away."""
        starting = asyncio.ensure_future(self._outlet.start())
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not starting.done():
            starting.cancel()
            return False
        starting.result()
        return True

    async def _end(self) -> int:
        failed = self._failure is not None
        settled = await self._loop.run_in_executor(
            None, partial(self._intake.stop, self._stop_s, failed=failed)
        )
        failure = self._failure
        await self._outlet.stop()
        await self._app.stop()
        if settled:
            self._store.close()
        if failure is not None:
            cause = failure
            if isinstance(failure, KafkaException | ConnectorError):
                cause = await self._loop.run_in_executor(None, self.diagnose, failure)
            met = {} if cause is failure else {"met": _line(failure)}
            log.error("worker stopped: %s", _line(cause), exc_info=cause, extra=met)
            return 1
        if not settled:
            log.error("worker stopped: what was in flight did not settle in %d s", self._stop_s)
            return 1
        return 0


def stop_s(settings: WorkerSettings) -> float:
    """Give the longest time a worker takes to settle and to leave; the chart's grace period is longer."""
    return settings.settle_timeout_s + LEAVE_S


def _line(failure: BaseException) -> str:
    if isinstance(failure, KafkaException):
        error = failure.args[0]
        return f"Kafka: {error.name()}: {error.str()}"
    if isinstance(failure, ConnectorError):
        return f"{failure.code}: {failure}"
    return type(failure).__name__


async def work(
    settings: Settings,
    kafka: Mapping[str, str],
    topics: Topics,
    desk: Desk,
    codecs: Codecs,
    *,
    started: Callable[[Worker], None] | None = None,
) -> int:
    """Run a worker until SIGTERM or SIGINT, or until it fails; give the exit code.

    `started` hears the worker once it is wired: the command line hangs its probes on it.
    """
    worker = Worker(settings, kafka, topics, desk, codecs)
    if started is not None:
        started(worker)
    if threading.current_thread() is threading.main_thread():
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
    return await worker.run()
