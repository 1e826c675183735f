"""S1's peer: a plain Faust program, `python -m benchmarks.peers.faust_agent <bootstrap> <prefix>`.

Same job, same flow functions, same codec, same records, same headers as `connector work`. One event at
a time from the topic, `await topic.send(...)` per output, states in a dict, Faust's own transport at its
defaults (acks=all, at least once, offsets every 2.8 s). It does not wait for each delivery, which is
how Faust is used; nor does it rebuild its states after a restart, which a real one would have to.
"""

from __future__ import annotations

import sys
import tempfile
from typing import TYPE_CHECKING, Any

import faust

from benchmarks import callbacks
from connector import flow
from connector.model import EntityKey, Known, Outcome, Position, Quarantined, RawMeta, RawRecord
from connector.runtime import wire
from connector.runtime.desk import furnish, topics_under
from connector.runtime.registry import Registry, folder
from connector.sources import SOURCES

if TYPE_CHECKING:
    from faust.types import AppT, StreamT

GROUP = "plain-faust"


class States:
    """What is known of every key."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}

    def get(self, key: EntityKey) -> Known | None:
        """Give what is known of a key."""
        return self._known.get(key.text)

    glance = get

    def put(self, key: EntityKey, outcome: Outcome) -> None:
        """Remember what an applied event changed."""
        if outcome.known is not None:
            self._known[key.text] = outcome.known


def program(bootstrap: str, prefix: str) -> AppT:
    """Wire the program."""
    import msgspec

    topics = topics_under(prefix)
    desk, _ = furnish(Registry.load(folder()), callbacks.DIGEST_KEY)
    source = SOURCES["duett"]
    states = States()
    read_meta = msgspec.json.Decoder(RawMeta).decode
    app = faust.App(
        f"{prefix}-{GROUP}",
        broker=f"kafka://{bootstrap}",
        datadir=tempfile.mkdtemp(prefix="plain-faust-"),
        topic_disable_leader=True,
        topic_allow_declare=False,
    )

    def topic(name: str) -> Any:
        return app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    raw_topic = topic(topics.raw["duett"])
    outputs = {name: topic(name) for name in (*topics.changelog.values(), topics.events, topics.quarantine)}

    @app.agent(raw_topic)
    async def normalise(stream: StreamT[bytes]) -> None:
        async for event in stream.events():
            about = event.message
            raw = RawRecord(
                EntityKey.parse(about.key.decode()),
                about.value,
                read_meta(dict(about.headers)["meta"]),
                Position(about.topic, about.partition, about.offset),
            )
            for one in flow.carry((raw,), source, states, desk):
                if isinstance(one, Quarantined):
                    laid = [wire.from_quarantined(topics, one)]
                else:
                    laid = wire.from_outcome(topics, one)
                for record in laid:
                    await outputs[record.topic].send(
                        key=record.key,
                        value=record.value,
                        timestamp=record.timestamp_ms / 1000 or None,
                        headers=record.headers,
                    )

    return app


if __name__ == "__main__":
    built = program(sys.argv[1], sys.argv[2])
    sys.argv = ["plain-faust", "worker", "-l", "info", "--without-web"]
    built.main()
