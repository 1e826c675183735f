"""What a transaction waits for before it is committed, and what makes it end otherwise."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, Message

from connector.runtime import transactions
from connector.runtime.batch import Batch, Cycle, Fence
from connector.runtime.transactions import Aborted, Transactions
from connector.runtime.wire import KafkaRecord


class Client:
    """A producer that notes its calls; records it tells of one per flush, the last ones first."""

    def __init__(self, *offsets: int) -> None:
        self.steps: list[str] = []
        self.told: list[Any] = []
        self.offsets = list(offsets)

    def __call__(self, _config: Any) -> Client:
        return self

    def produce(self, *_: Any, on_delivery: Any, **__: Any) -> None:
        self.told.append(on_delivery)

    def flush(self, _timeout: float) -> int:
        self.steps.append("flush")
        self.told.pop()(None, Message(offset=self.offsets.pop()))
        return len(self.told)

    def begin_transaction(self) -> None:
        self.steps.append("begin")

    def send_offsets_to_transaction(self, *_: object) -> None:
        self.steps.append("offsets")

    def commit_transaction(self, _timeout: float) -> None:
        self.steps.append("commit")

    def abort_transaction(self, _timeout: float) -> None:
        self.steps.append("abort")


def cycle(records: int) -> Cycle:
    one = Cycle(0, 0, Fence(None))
    one.batches["duett"] = Batch(one, "duett")
    one.outputs["duett"] = [KafkaRecord("erp.events", b"k", b"v", []) for _ in range(records)]
    return one


def committed(monkeypatch: pytest.MonkeyPatch, client: Client) -> list[str]:
    """Commit a cycle with as many records as the client has offsets; give what was done, in its order."""
    monkeypatch.setattr(transactions, "Producer", client)
    delivery = Transactions({}, lambda: False)
    asyncio.run(delivery.commit(cycle(len(client.offsets))))
    return client.steps


def test_every_record_is_told_of_before_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert committed(monkeypatch, Client(7, 8)) == ["begin", "offsets", "flush", "flush", "commit"]


@pytest.mark.parametrize("offsets", [(OFFSET_INVALID, 0), (0, OFFSET_INVALID)])
def test_a_record_told_as_delivered_without_an_offset_aborts_the_transaction(
    monkeypatch: pytest.MonkeyPatch, offsets: tuple[int, ...]
) -> None:
    client = Client(*offsets)

    with pytest.raises(Aborted, match="not where"):
        committed(monkeypatch, client)

    assert client.steps == ["begin", "offsets", "flush", "flush", "abort"]


def test_what_an_aborted_transaction_missed_is_not_held_against_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = Client(OFFSET_INVALID)
    monkeypatch.setattr(transactions, "Producer", client)
    delivery = Transactions({}, lambda: False)

    async def twice() -> None:
        with pytest.raises(Aborted):
            await delivery.commit(cycle(1))
        client.offsets = [9]
        await delivery.commit(cycle(1))

    asyncio.run(twice())
    assert client.steps[-1] == "commit"
