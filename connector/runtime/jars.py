"""The jars of Apache Kafka, pinned by checksum, in the local Maven cache.

`kafka-jars.lock` lists the whole runtime closure of the broker, one `sha256 group:artifact:version` per line.
Every jar is pinned, because a resolver's own mediation picks an older `kafka-clients` than the broker needs.
The cache is `~/.m2/repository`, or `M2_REPO`; the usual proxy variables apply.
"""

import fcntl
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jgo.maven import MavenContext

LOCK: Final = Path(__file__).with_name("kafka-jars.lock")
DOWNLOADS: Final = 8
"""Jars fetched at the same time."""


class BrokerUnavailable(RuntimeError):
    """No local Kafka can be started; the message is one line: what is missing, and the remedy."""


def kafka_jars(progress: Callable[[str], None] | None = None) -> list[Path]:
    """Return the broker's jars, fetching what the cache does not hold (46 jars, 42 MB).

    Args:
        progress: Told in one line, if and only if something is fetched.

    Raises:
        BrokerUnavailable: jgo is not installed, a jar cannot be fetched, or its checksum is wrong.
    """
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415  only demo and tests have it
    except ImportError:
        raise BrokerUnavailable("the package jgo is missing: pip install 'erp-connector[demo]'") from None
    context = MavenContext()
    rows = [row.split() for row in LOCK.read_text().splitlines() if row]
    with _alone(context.repo_cache), ThreadPoolExecutor(DOWNLOADS) as pool:
        missing = sum(not _artifact(context, coordinate).exists() for _, coordinate in rows)
        if missing and progress:
            progress(f"fetching {missing} of Kafka's {len(rows)} jars into {context.repo_cache}")
        return list(pool.map(lambda row: _fetch(context, *row), rows))


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Let one process fetch at a time: jgo 3.2 writes in place and refuses a file that appears meanwhile."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".erp-connector.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _artifact(context: "MavenContext", coordinate: str) -> Path:
    group, artifact, version = coordinate.split(":")
    folder: Path = context.repo_cache.joinpath(*group.split("."), artifact, version)
    return folder / f"{artifact}-{version}.jar"


def _fetch(context: "MavenContext", sha256: str, coordinate: str) -> Path:
    """Return one jar whose checksum is right; a damaged one in the cache is fetched once more."""
    group, artifact, version = coordinate.split(":")
    got = ""
    for _ in range(2):
        component = context.project(group, artifact).at_version(version)
        try:
            path = Path(component.artifact(classifier="", packaging="jar").resolve())
        except (OSError, RuntimeError) as error:
            raise BrokerUnavailable(
                f"{coordinate} cannot be fetched, set HTTPS_PROXY or fill {context.repo_cache}: {error}"
            ) from error
        got = hashlib.sha256(path.read_bytes()).hexdigest()
        if got == sha256:
            return path
        path.unlink()
    raise BrokerUnavailable(
        f"{coordinate} has sha256 {got}, expected {sha256}; it was removed from the cache"
    )
