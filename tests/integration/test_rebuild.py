"""State from the changelog behind a predecessor that is still at work: never older than the offsets."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import confluent_kafka
import pytest
from confluent_kafka import Producer, TopicPartition
from furniture import Bench, callback, furnished, raws
from stack import Stack

from connector.model import ChangelogRecord, EntityKey, Outcome
from connector.runtime import rebuild as station
from connector.runtime.desk import topics_under
from connector.runtime.rebuild import Rebuild, RetentionOvertook
from connector.runtime.state import PartitionState, State
from connector.sources import SOURCES

pytestmark = pytest.mark.kafka

RAW = "raw.duett"
LOG = "changelog.voucher_line"
GROUP = "owners"


def record(row: int, day: int) -> ChangelogRecord:
    """Make the changelog record of one voucher line."""
    body = {
        "subscription": "Voucher",
        "event": "update",
        "eventTime": f"2024-08-0{day}T00:00:00Z",
        "data": json.dumps({"Id": row, "lineNumber": day}),
    }
    outcome = Bench().work(raws(callback("duett", body))).outcomes[0]
    assert isinstance(outcome, Outcome)
    return outcome.records[0]


class Owner:
    """A worker that had the partition before: one transaction of changelog records and raw offset."""

    def __init__(self, stack: Stack, name: str) -> None:
        self._stack = stack
        self._producer = Producer(
            {"bootstrap.servers": stack.bootstrap, "transactional.id": f"{stack.prefix}-{name}"}
        )
        self._producer.init_transactions(30)
        self._reader = confluent_kafka.Consumer({"bootstrap.servers": stack.bootstrap, "group.id": GROUP})

    def begin(self, *records: ChangelogRecord, raw_offset: int | None = None) -> None:
        """Open a transaction; what it holds is on the broker."""
        self._producer.begin_transaction()
        for one in records:
            self._producer.produce(
                self._stack.topic(LOG), one.value, one.key.text.encode(), 0, headers=list(one.headers)
            )
        self._producer.flush(20)
        if raw_offset is not None:
            place = TopicPartition(self._stack.topic(RAW), 0, raw_offset)
            metadata = self._reader.consumer_group_metadata()
            self._producer.send_offsets_to_transaction([place], metadata, 20)

    def commit(self) -> None:
        """Make it visible."""
        self._producer.commit_transaction(20)

    def close(self) -> None:
        """Leave no client behind."""
        self._reader.close()


class Successor:
    """A rebuild of partition 0 of one source."""

    def __init__(self, stack: Stack) -> None:
        desk, codecs = furnished()
        topics = topics_under(stack.prefix)
        kafka = {"bootstrap.servers": stack.bootstrap}
        entities: Callable[[str], Iterator[str]] = lambda source: iter(SOURCES[source].shapes)  # noqa: E731
        self._rebuild = Rebuild(kafka, GROUP, topics, entities, codecs.frames, 10.0)
        self._place = (stack.topic(RAW), 0)
        self.state: PartitionState = State(desk.changelogs, codecs, 100).take("duett", 0, 0)
        self.offset: int | None = None
        self._thread = threading.Thread(target=self.run)

    def run(self) -> None:
        """Rebuild here and now."""
        found = self._rebuild.run([self._place], {self._place: self.state}, threading.Event())
        self.offset = found[self._place]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()

    def line_of(self, row: int) -> object:
        """Say what it knows of a voucher line; None: nothing."""
        known = self.state.decoded(EntityKey.of("duett", "acme", "voucher_line", str(row)))
        return known and known.state.facets["body"].fields["line_number"]

    def still_at_it(self, for_s: float) -> bool:
        """Say whether it has not ended within a time."""
        self._thread.join(for_s)
        return self._thread.is_alive()


@pytest.fixture
def stack(bootstrap: str, prefix: str, tmp_path: Path) -> Iterator[Stack]:
    with Stack(bootstrap, prefix, tmp_path, partitions=1) as made:
        sender = Producer({"bootstrap.servers": bootstrap})
        for _ in range(10):
            sender.produce(made.topic(RAW), b"{}", b"duett/acme/voucher_line/1", 0)
        sender.flush(20)
        yield made


def test_a_rebuild_waits_for_a_transaction_that_is_open_and_reads_what_lies_behind_it(stack: Stack) -> None:
    slow, quick = Owner(stack, "slow"), Owner(stack, "quick")
    slow.begin(record(1, day=1))
    quick.begin(record(2, day=2), raw_offset=2)
    quick.commit()

    with Successor(stack) as successor:
        assert successor.still_at_it(3), "it ended at the last stable offset"
        slow.commit()

    assert (successor.line_of(1), successor.line_of(2)) == (1, 2)
    assert successor.offset == 2
    slow.close()
    quick.close()


def test_offsets_are_waited_for_while_their_transaction_is_open(stack: Stack) -> None:
    owner = Owner(stack, "owner")
    owner.begin(record(1, day=1), raw_offset=4)

    with Successor(stack) as successor:
        assert successor.still_at_it(2)
        owner.commit()

    assert (successor.offset, successor.line_of(1)) == (4, 1)
    owner.close()


def test_a_commit_at_the_last_moment_shows_in_the_state_or_not_in_the_offset(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other order, log first, would meet newer offsets with an older state."""
    owner = Owner(stack, "owner")
    owner.begin(record(1, day=1), raw_offset=4)
    owner.commit()

    class Late(confluent_kafka.Consumer):
        def committed(self, *arguments: object, **named: object) -> list[TopicPartition]:
            owner.begin(record(1, day=3), raw_offset=6)
            owner.commit()
            return super().committed(*arguments, **named)  # type: ignore[arg-type]  # passed on as they are

    monkeypatch.setattr(station, "Consumer", Late)
    successor = Successor(stack)
    successor.run()

    assert (successor.offset, successor.line_of(1)) == (6, 3)
    owner.close()


def test_records_deleted_unread_stop_the_rebuild_with_the_remedy(stack: Stack) -> None:
    from confluent_kafka.admin import AdminClient

    owner = Owner(stack, "owner")
    owner.begin(raw_offset=2)
    owner.commit()
    admin = AdminClient({"bootstrap.servers": stack.bootstrap})
    for deleted in admin.delete_records([TopicPartition(stack.topic(RAW), 0, 5)]).values():
        deleted.result()

    with pytest.raises(
        RetentionOvertook, match=r"raw\.duett/0: committed offset 2 is older than.* 5;.*reset"
    ):
        Successor(stack).run()
    owner.close()
