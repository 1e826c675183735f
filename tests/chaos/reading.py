"""A plain read_committed consumer that gives records one by one, and one that follows for the whole run."""

import argparse
import io
import json
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from reader import SILENT_S, Reader, Record

CROCKFORD: Final = {letter: value for value, letter in enumerate("0123456789ABCDEFGHJKMNPQRSTVWXYZ")}
TELL_S: Final = 0.25
SMALL: Final = {"queued.min.messages": 1000, "queued.max.messages.kbytes": 1024}
"""What is held ahead of a slow reader, per partition: the client's own bounds add up to gigabytes."""


class Decoder:
    """Avro by the schemas of the workers' registry, eight times as fast as the client's own deserialiser."""

    def __init__(self, registry: str) -> None:
        self._registry: Final = SchemaRegistryClient({"url": f"{registry}/registry"})
        self._schemas: Final[dict[int, Any]] = {}

    def __call__(self, framed: bytes, _: object) -> Any:
        """Read one framed record."""
        id_ = int.from_bytes(framed[1:5], "big")
        if (schema := self._schemas.get(id_)) is None:
            told = json.loads(str(self._registry.get_schema(id_).schema_str))
            schema = self._schemas[id_] = fastavro.parse_schema(told)
        return fastavro.schemaless_reader(io.BytesIO(framed[5:]), schema, None)


class Stream(Reader):
    """Reads topics from beginning to end and keeps nothing; each partition comes in its order."""

    def __init__(self, bootstrap: str, registry: str) -> None:
        super().__init__(bootstrap)
        self._decode = Decoder(registry)  # type: ignore[assignment]  # only called

    def each(self, topics: Iterable[str]) -> Iterator[Record]:
        """Give every record.

        Raises:
            AssertionError: The end of a partition was not reached, or an offset came twice.
        """
        consumer = Consumer(self._config | SMALL)
        try:
            known = consumer.list_topics(timeout=20).topics
            unread = self._ends(
                [TopicPartition(name, one, 0) for name in topics for one in known[name].partitions]
            )
            last: dict[tuple[str, int], int] = {}
            consumer.assign([TopicPartition(*place, 0) for place in unread])
            while unread:
                first = consumer.poll(SILENT_S)
                if first is None:
                    raise AssertionError(f"{len(unread)} partitions never came to an end")
                for message in [first, *consumer.consume(2000, 0)]:
                    place = (str(message.topic()), int(message.partition() or 0))
                    offset, error = int(message.offset() or 0), message.error()
                    if error is None:
                        assert offset > last.get(place, -1), f"{place} gave {offset} after {last[place]}"
                        last[place] = offset
                        yield self._record(message)
                    elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  its public name
                        raise KafkaException(error)
                    elif offset >= unread.get(place, 0):
                        unread.pop(place, None)
        finally:
            consumer.close()


def receipt_ms(delivery_id: str) -> int:
    """Give the time in a ULID."""
    told = 0
    for letter in delivery_id[:10]:
        told = told * 32 + CROCKFORD[letter]
    return told


class Watcher:
    """Follows changelogs as any team's consumer would, through every fault, and judges by what it sees."""

    def __init__(self) -> None:
        self.records = self.regressions = self.again = self.newest_ms = 0
        """Records; versions that fell; offsets that came twice or out of order; the newest receipt seen."""
        self.faults: list[str] = []
        self._versions: Final[dict[str, int]] = {}
        self._offsets: Final[dict[tuple[str, int], int]] = {}

    def see(self, place: tuple[str, int], offset: int, key: str, headers: dict[str, bytes]) -> None:
        """Judge one record."""
        self.records += 1
        if offset <= self._offsets.get(place, -1):
            self.again += 1
            self.faults.append(f"{place} gave {offset} after {self._offsets[place]}")
        self._offsets[place] = offset
        version = int(headers["x-erp-version"])
        if version < self._versions.get(key, version):
            self.regressions += 1
            self.faults.append(f"{key} has {version} after {self._versions[key]} at {place} {offset}")
        self._versions[key] = version
        self.newest_ms = max(self.newest_ms, receipt_ms(headers["x-erp-delivery-id"].decode()))

    def told(self) -> dict[str, Any]:
        """Say what was seen so far."""
        return {
            "records": self.records,
            "regressions": self.regressions,
            "again": self.again,
            "newest_ms": self.newest_ms,
            "faults": self.faults[:20],
        }


def follow(bootstrap: str, topics: list[str], stop: threading.Event) -> Iterator[Watcher]:
    """Watch until told to stop; gives the same watcher every quarter of a second."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "a-watching-reader",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "reconnect.backoff.max.ms": 1000,
            "log_level": 0,
        }
    )
    known = consumer.list_topics(timeout=30).topics
    consumer.assign([TopicPartition(name, one, 0) for name in topics for one in known[name].partitions])
    watcher, told_at = Watcher(), time.monotonic()
    while not stop.is_set():
        first = consumer.poll(TELL_S)
        for message in [first, *consumer.consume(2000, 0)] if first is not None else ():
            if (error := message.error()) is not None:
                watcher.faults.append(str(error))
                continue
            place = (str(message.topic()), int(message.partition() or 0))
            key, headers = bytes(message.key() or b"").decode(), dict(message.headers() or [])
            watcher.see(place, int(message.offset() or 0), key, headers)  # type: ignore[arg-type]  # always bytes
        if time.monotonic() - told_at > TELL_S:
            told_at = time.monotonic()
            yield watcher
    consumer.close()
    yield watcher


def main() -> None:
    """Follow topics until standard input ends; one JSON line every quarter of a second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap")
    parser.add_argument("topics", nargs="+")
    asked = parser.parse_args()
    stop = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait, daemon=True).start()
    for watcher in follow(asked.bootstrap, asked.topics, stop):
        print(json.dumps(watcher.told()), flush=True)


if __name__ == "__main__":
    main()
