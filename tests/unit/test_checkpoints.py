"""When a checkpoint moves on: at the commit behind the question, never after a cycle that failed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from furniture import furnished

from connector.runtime.checkpoints import Checkpoints
from connector.runtime.entries import Checkpoint, Memory
from connector.runtime.state import State


class Ends:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.answer = threading.Event()
        self.away = False

    def changelogs(self, _source: str) -> list[str]:
        return ["log"]

    def ends(self, places: Any) -> dict[tuple[str, int], int]:
        self.asked.append(places)
        assert self.answer.wait(20)
        self.answer.clear()
        if self.away:
            raise KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT))
        return dict.fromkeys(places, 9)


class Scene:
    """One held partition, and a worker that commits."""

    def __init__(self) -> None:
        desk, codecs = furnished()
        self.state = State(desk.changelogs, codecs, 100, Memory())
        self.held = self.state.take("duett", 3, 0)
        self.held.filled(Checkpoint("c", 0, {"log": ("t", 5)}))
        self.ends = Ends()
        self.checkpoints = Checkpoints(self.state, self.ends, every_s=0)  # type: ignore[arg-type]  # a stand-in

    @property
    def offset(self) -> int:
        return self.held.entries.checkpoint.next("log")

    async def answered(self) -> None:
        """Let the question be answered, and whoever asked hear of it."""
        asking = self.checkpoints._asking  # noqa: SLF001  whoever asked
        self.ends.answer.set()
        if asking is not None:
            await asyncio.wait({asking}, timeout=20)


def play(scene: Callable[[Scene], Awaitable[None]]) -> None:
    async def whole() -> None:
        await scene(Scene())

    asyncio.run(whole())


def test_an_answer_counts_only_when_what_was_being_written_is_committed() -> None:
    async def scene(it: Scene) -> None:
        it.checkpoints.committed()
        await it.answered()
        assert it.offset == 5, "a cycle that is being written may stand before this end"
        it.checkpoints.committed()
        assert it.offset == 9
        assert it.ends.asked == [{("log", 3)}]

    play(scene)


def test_one_question_at_a_time() -> None:
    async def scene(it: Scene) -> None:
        it.checkpoints.committed()
        await asyncio.sleep(0)
        it.checkpoints.committed()
        await it.answered()
        assert len(it.ends.asked) == 1

    play(scene)


def test_after_a_failure_neither_an_answer_nor_a_question_counts() -> None:
    async def scene(it: Scene) -> None:
        it.checkpoints.committed()
        await it.answered()
        it.checkpoints.failed()
        it.checkpoints.committed()  # asks anew
        assert it.offset == 5

        asking = it.checkpoints._asking  # noqa: SLF001  whoever asked
        assert asking is not None
        await asyncio.sleep(0)
        it.checkpoints.failed()
        it.ends.answer.set()
        await asyncio.wait({asking}, timeout=20)
        it.checkpoints.committed()
        assert it.offset == 5
        await it.answered()

    play(scene)


def test_kafka_being_away_changes_nothing() -> None:
    async def scene(it: Scene) -> None:
        it.ends.away = True
        it.checkpoints.committed()
        await it.answered()
        it.ends.away = False
        it.checkpoints.committed()
        await it.answered()
        it.checkpoints.committed()
        assert it.offset == 9
        assert len(it.ends.asked) == 2

    play(scene)
