"""Entries on disk, in RocksDB: a cache of the changelog that outlives the process and may be deleted.

Every batch of entries is written together with the checkpoint it leads to, and batches reach the disk in
their order, so that what a crash leaves is complete up to its checkpoint. A folder that is damaged, or was
written by a version that packs entries differently, is thrown away and filled again from the changelog.
"""

from __future__ import annotations

import shutil
import struct
import threading
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from connector.errors import ConnectorError, Misconfigured
from connector.runtime.entries import NOTHING, Checkpoint, is_guard
from connector.runtime.telemetry import log

try:
    from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options, Rdict, WriteBatch
except ImportError:
    raise Misconfigured(
        "worker.state: rocksdb needs the extra: pip install 'erp-connector[rocksdb]'"
    ) from None

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER: Final = "states.rocksdb"
"""Below `worker.state_dir`; only this folder is ever thrown away."""
_MIB: Final = 1 << 20
CACHE_BYTES: Final = 32 * _MIB
WRITE_BUFFER_BYTES: Final = 8 * _MIB
WRITE_BUFFERS: Final = 3
RECENT: Final = 20_000
"""Entries kept in memory as well, the last ones that were asked for."""
_BLOOM_BITS: Final = 10
_EXPIRE_AT_ONCE: Final = 500
"""Of one partition, each time: commits wait meanwhile."""
_MOST_WAL_BYTES: Final = 64 * _MIB
_FORMAT: Final = b"f"
_ENTRY: Final = b"e"
_GUARD: Final = b"g"
_CHECKPOINT: Final = b"c"
_MS: Final = struct.Struct(">Q")
_PARTITION: Final = struct.Struct(">I")
_END: Final = b"\xff" * 8
"""Behind every key: keys are UTF-8, and no guard is that late."""
_DAMAGE: Final = "DAMAGED"
_pack: Final = msgspec.msgpack.Encoder()
_unpack: Final = msgspec.msgpack.Decoder(Checkpoint)


class StateDamaged(ConnectorError):
    """The states on disk cannot be read any more; the next start makes them anew."""

    code = "state_damaged"


class Disk:
    """One RocksDB for all partitions of a worker."""

    lasting = True

    def __init__(self, state_dir: Path, form: str) -> None:
        """Open the folder, or make it.

        Args:
            state_dir: `worker.state_dir`.
            form: Says how entries are packed; a folder of another form is not read.

        Raises:
            Misconfigured: Another process uses it, or it cannot be written.
        """
        self._folder: Final = state_dir / FOLDER
        self._form: Final = form.encode()
        self._recent: Final[dict[bytes, bytes]] = {}
        self._lock: Final = threading.Lock()
        self._version = 0
        self._places: Final[dict[tuple[str, int], DiskEntries]] = {}
        try:
            state_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Misconfigured(f"worker.state_dir: {error}") from None
        self._db = self._opened()

    def entries(self, source: str, partition: int) -> DiskEntries:
        """See `Store`."""
        place = (source, partition)
        if place not in self._places:
            self._places[place] = DiskEntries(self, source.encode() + b"\0" + _PARTITION.pack(partition))
        return self._places[place]

    def keys(self) -> int:
        """Estimate the keys; guards count twice."""
        return self._db.property_int_value("rocksdb.estimate-num-keys") or 0

    def close(self) -> None:
        """See `Store`."""
        self._db.close()

    # for the entries of its partitions

    def get(self, key: bytes) -> bytes | None:
        """Read one value, first among the recent ones."""
        with self._lock:
            known = self._recent.pop(key, None)
            if known is not None:
                self._recent[key] = known  # the youngest again
                return known
            version = self._version
        found = self._read(key)
        if found is not None:
            with self._lock:
                if version == self._version:  # else it may have been overwritten meanwhile
                    self._recent[key] = found
                    if len(self._recent) > RECENT:
                        del self._recent[next(iter(self._recent))]
        return found

    def write(self, batch: Any, changed: list[bytes]) -> None:
        """Write a batch at one stroke; `changed` are the keys in it that may have been read."""
        try:
            self._db.write(batch)
        except Exception as error:  # noqa: BLE001  the library raises no other class
            raise self._damaged(error) from None
        with self._lock:
            self._version += 1
            for key in changed:
                self._recent.pop(key, None)

    def dropped(self) -> None:
        """Forget what was read of a partition that was cleared."""
        with self._lock:
            self._version += 1
            self._recent.clear()

    def between(self, first: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Give the rows from one key up to another."""
        rows = self._db.iter()
        rows.seek(first)
        while rows.valid() and (key := rows.key()) < end:
            yield key, rows.value()
            rows.next()

    def _read(self, key: bytes) -> bytes | None:
        try:
            found: bytes | None = self._db.get(key)
        except Exception as error:  # noqa: BLE001  the library raises no other class
            raise self._damaged(error) from None
        return found

    def _damaged(self, error: Exception) -> ConnectorError:
        if "corrupt" in str(error).lower():
            (self._folder / _DAMAGE).touch()
        return StateDamaged(f"{self._folder}: {error}")

    def _opened(self) -> Any:
        why = "it was found damaged" if (self._folder / _DAMAGE).exists() else None
        if why is None:
            existed = self._folder.exists()
            try:
                db = Rdict(str(self._folder), _options())
                form = db.get(_FORMAT)
            except Exception as error:  # noqa: BLE001  the library raises no other class
                if "LOCK:" in str(error):
                    raise Misconfigured(
                        f"worker.state_dir: {self._folder} is in use by another process;"
                        " every worker needs a folder of its own"
                    ) from None
                why = str(error)
            else:
                if form == self._form:
                    return db
                why = "another version wrote it" if existed else None
                db.close()
        if why is not None:
            log.warning("states on disk thrown away", extra={"folder": str(self._folder), "why": why})
        try:
            shutil.rmtree(self._folder, ignore_errors=not self._folder.exists())
            db = Rdict(str(self._folder), _options())
            db.put(_FORMAT, self._form)
        except Exception as error:  # noqa: BLE001  the library raises no other class
            raise Misconfigured(f"worker.state_dir: {error}") from None
        return db


class DiskEntries:
    """One partition's rows, told apart by a prefix."""

    def __init__(self, disk: Disk, place: bytes) -> None:
        """Read the checkpoint."""
        self._disk: Final = disk
        self._entry: Final = _ENTRY + place
        self._guard: Final = _GUARD + place
        self._checkpoint: Final = _CHECKPOINT + place
        stored = disk.get(self._checkpoint)
        self.checkpoint = NOTHING if stored is None else _unpack.decode(stored)

    def get(self, key: str) -> bytes | None:
        """See `Entries`."""
        return self._disk.get(self._entry + key.encode())

    def put(self, changed: Mapping[str, bytes], checkpoint: Checkpoint | None = None) -> None:
        """See `Entries`."""
        batch = WriteBatch(raw_mode=True)
        rows = []
        now = _MS.pack(int(time.time() * 1000))
        for key, entry in changed.items():
            row = self._entry + key.encode()
            rows.append(row)
            batch.put(row, entry)
            if is_guard(entry):
                batch.put(self._guard + now + key.encode(), entry)
        if checkpoint is not None:
            batch.put(self._checkpoint, _pack.encode(checkpoint))
        self._disk.write(batch, rows)
        if checkpoint is not None:
            self.checkpoint = checkpoint

    def expire(self, before_ms: int) -> int:
        """See `Entries`."""
        batch = WriteBatch(raw_mode=True)
        rows = []
        old = self._disk.between(self._guard, self._guard + _MS.pack(max(before_ms, 0)))
        for mark, guard in islice(old, _EXPIRE_AT_ONCE):
            row = self._entry + mark[len(self._guard) + _MS.size :]
            batch.delete(mark)
            # revived or deleted again meanwhile, it is remembered on
            if self._disk.get(row) == guard:
                batch.delete(row)
                rows.append(row)
        if len(batch):
            self._disk.write(batch, rows)
        return len(rows)

    def clear(self) -> None:
        """See `Entries`."""
        batch = WriteBatch(raw_mode=True)
        for first in (self._entry, self._guard):
            batch.delete_range(first, first + _END)
        batch.delete(self._checkpoint)
        self._disk.write(batch, [])
        self._disk.dropped()
        self.checkpoint = NOTHING


def _options() -> Any:
    """Bound what RocksDB takes: cache and write buffers; filters and indices add 2 MB per million keys."""
    tables = BlockBasedOptions()
    tables.set_block_cache(Cache(CACHE_BYTES))
    tables.set_bloom_filter(_BLOOM_BITS, block_based=False)
    options = Options(raw_mode=True)
    options.create_if_missing(create_if_missing=True)
    options.set_block_based_table_factory(tables)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(WRITE_BUFFERS)
    options.set_max_total_wal_size(_MOST_WAL_BYTES)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_keep_log_file_num(2)
    return options
