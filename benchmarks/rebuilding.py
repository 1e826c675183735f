"""The process under test of S4: a fresh one that rebuilds Duett's states; tells what it took as JSON.

Run as `python -m benchmarks.rebuilding <bootstrap> <prefix> <keys> <first row>`.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from typing import Final

from benchmarks import callbacks, gauge
from connector.model import EntityKey
from connector.runtime.desk import furnish, topics_under
from connector.runtime.rebuild import Rebuild
from connector.runtime.registry import Registry, folder
from connector.runtime.state import State
from connector.runtime.worker import REQUEST_S
from connector.sources import SOURCES

PARTITIONS: Final = 12
_SAMPLED: Final = 997


def main(bootstrap: str, prefix: str, keys: int) -> None:
    """Rebuild all partitions once and print what it took."""
    topics = topics_under(prefix)
    desk, codecs = furnish(Registry.load(folder()), callbacks.DIGEST_KEY)
    state = State(desk.changelogs, codecs, 3600)
    rebuild = Rebuild(
        {"bootstrap.servers": bootstrap},
        f"{prefix}-worker",
        topics,
        lambda source: SOURCES[source].shapes,
        codecs.frames,
        REQUEST_S,
    )
    raws = [(topics.raw["duett"], one) for one in range(PARTITIONS)]
    states = {raw: state.take("duett", raw[1], 0) for raw in raws}
    pid = os.getpid()
    gc.collect()
    before_mib = gauge.rss_mib(pid)
    watch = gauge.Watch(pid)
    begun_s = time.perf_counter()
    rebuild.run(raws, states, threading.Event())
    seconds = time.perf_counter() - begun_s
    usage = watch.stop()
    entries = {key: one for _, one in sorted(states.items()) for key in one.entries}
    invalid = 0
    for row in range(callbacks.FIRST_ROW, callbacks.FIRST_ROW + keys, _SAMPLED):
        key = EntityKey.of("duett", callbacks.TENANT, "customer", str(row))
        held = entries[key.text].decoded(key) if key.text in entries else None
        invalid += held is None or not held.state.facets["body"].fields
    told = {
        "seconds": seconds,
        "keys": state.keys(),
        "read": rebuild.records_read,
        "lost": keys - len(entries),
        "invalid": invalid,
        "grown_mib": usage.rss_mib - before_mib,
        "usage": {name: getattr(usage, name) for name in usage.__struct_fields__},
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
