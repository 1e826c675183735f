"""Kafka's user and password, read again from their files: whoever connects from now on uses the new ones.

The resolved properties are one mapping for the whole process and are changed in place: clients made later
have what is new. Those that live are told. A connection that stands goes on under what it was opened with.
"""

from __future__ import annotations

import hashlib
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import confluent_kafka

from connector.errors import Misconfigured
from connector.runtime.credentials import Hidden, resolve_kafka
from connector.runtime.telemetry import log

REREAD_S = 5.0
"""How often the files are read."""
_TOLD: Final = frozenset({"sasl.username", "sasl.password"})
"""What a client that lives can be told; certificates and tokens it reads when it is made."""

_lock: Final = threading.Lock()
_living: Final[weakref.WeakSet[Producer | Consumer]] = weakref.WeakSet()
_newest: Final[list[tuple[str, str]]] = []
"""User and password of the last change: a client that was being made meanwhile has the old ones."""


class Producer(confluent_kafka.Producer):
    """A producer that hears of a new password."""

    def __init__(self, config: dict[str, Any], **more: Any) -> None:
        """Take what librdkafka's takes."""
        super().__init__(config, **more)
        _follow(self)


class Consumer(confluent_kafka.Consumer):
    """A consumer that hears of a new password."""

    def __init__(self, config: dict[str, Any], **more: Any) -> None:
        """Take what librdkafka's takes."""
        super().__init__(config, **more)
        _follow(self)


def _follow(client: Producer | Consumer) -> None:
    with _lock:
        _living.add(client)
        if _newest:
            client.set_sasl_credentials(*_newest[-1])


class Rotation:
    """Reads the files in a thread of its own.

    Args:
        kafka: Resolved librdkafka properties; changed in place.
    """

    def __init__(self, kafka: dict[str, str]) -> None:
        """Remember which of them stand in files."""
        self._kafka: Final = kafka
        self._files: Final = {
            name: text.reference
            for name, text in kafka.items()
            if isinstance(text, Hidden) and text.reference.startswith("file:")
        }
        self._paths: Final = {name: Path(text) for name, text in kafka.items() if name.endswith(".location")}
        self._digests = self._digested()
        self._complaint = ""
        self._stopped: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._watch, name="rotation", daemon=True)

    def start(self) -> None:
        """Begin to read now and then."""
        if self._files or self._paths:
            self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._stopped.set()

    def look(self) -> None:
        """Read once; what cannot be read stays as it was, and the log says so once."""
        try:
            read = resolve_kafka(self._files)
        except Misconfigured as refusal:
            if self._complaint != str(refusal):
                log.warning("Kafka's credentials stay as they were", extra={"why": str(refusal)})
            self._complaint = str(refusal)
            return
        self._complaint = ""
        changed = {name for name, text in read.items() if text != self._kafka[name]}
        with _lock:
            self._kafka.update((name, read[name]) for name in changed)
            if changed & _TOLD:
                _tell(self._kafka.get("sasl.username", ""), self._kafka.get("sasl.password", ""))
        if changed & _TOLD:
            log.info("Kafka's credentials were read anew", extra={"changed": sorted(changed & _TOLD)})
        digests = self._digested()
        changed |= {name for name, digest in digests.items() if digest != self._digests.get(name)}
        self._digests = digests
        if waiting := sorted(changed - _TOLD):
            log.warning(
                "restart this process: its Kafka clients keep the old files", extra={"changed": waiting}
            )

    def _digested(self) -> dict[str, bytes]:
        digests: dict[str, bytes] = {}
        for name, path in self._paths.items():
            with suppress(OSError):
                digests[name] = hashlib.sha256(path.read_bytes()).digest()
        return digests

    def _watch(self) -> None:
        while not self._stopped.wait(REREAD_S):
            try:
                self.look()
            except Exception:  # noqa: BLE001  without this thread an old password would stay for ever
                log.exception("Kafka's credentials could not be read anew")


def _tell(username: str, password: str) -> None:
    """Tell every client that lives."""
    _newest[:] = [(username, password)]
    for client in list(_living):
        with suppress(RuntimeError):  # closed meanwhile
            client.set_sasl_credentials(username, password)
