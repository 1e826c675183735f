"""The process under test of S4: a fresh one that rebuilds Duett's states; tells what it took as JSON.

Run as `python -m benchmarks.rebuilding <bootstrap> <prefix> <keys> [<folder of the disk state>]`; with a
folder that an earlier run has filled it begins at the checkpoint.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Final

from benchmarks import callbacks, gauge
from connector.core.keys import partition_of
from connector.model import EntityKey
from connector.runtime.clients import store
from connector.runtime.desk import furnish, topics_under
from connector.runtime.rebuild import Rebuild
from connector.runtime.registry import Registry, folder
from connector.runtime.settings import WorkerSettings
from connector.runtime.state import State
from connector.runtime.worker import REQUEST_S
from connector.sources import SOURCES

PARTITIONS: Final = 12
_SAMPLED: Final = 997


def main(bootstrap: str, prefix: str, keys: int, state_dir: str | None = None) -> None:
    """Rebuild all partitions once and print what it took."""
    topics = topics_under(prefix)
    desk, codecs = furnish(Registry.load(folder()), callbacks.DIGEST_KEY)
    pid = os.getpid()
    gc.collect()
    before_mib = gauge.rss_mib(pid)
    kept = (
        WorkerSettings() if state_dir is None else WorkerSettings(state="rocksdb", state_dir=Path(state_dir))
    )
    begun_s = time.perf_counter()
    opened = store(kept, desk.changelogs)
    state = State(desk.changelogs, codecs, 3600, opened)
    rebuild = Rebuild(
        {"bootstrap.servers": bootstrap},
        f"{prefix}-worker",
        topics,
        lambda source: SOURCES[source].shapes,
        codecs.frames,
        REQUEST_S,
    )
    raws = [(topics.raw["duett"], one) for one in range(PARTITIONS)]
    states = {raw: state.take("duett", raw[1], time.time()) for raw in raws}
    watch = gauge.Watch(pid)
    rebuild.run(raws, states, threading.Event())
    seconds = time.perf_counter() - begun_s
    usage = watch.stop()
    counted = state.keys()
    lost = invalid = 0
    for row in range(callbacks.FIRST_ROW, callbacks.FIRST_ROW + keys, _SAMPLED):
        key = EntityKey.of("duett", callbacks.TENANT, "customer", str(row))
        at = partition_of(key.text, PARTITIONS)
        held = states[topics.raw["duett"], at].decoded(key)
        lost += held is None
        invalid += held is not None and not held.state.facets["body"].fields
    told = {
        "seconds": seconds,
        "keys": counted,
        "read": rebuild.records_read,
        "lost": max(lost, keys - counted),
        "invalid": invalid,
        "grown_mib": usage.rss_mib - before_mib,
        "usage": {name: getattr(usage, name) for name in usage.__struct_fields__},
    }
    print(json.dumps(told))
    opened.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
