"""What is told to the outside as log lines, one JSON object each; metrics are in `connector.runtime.metrics`.

A log line never holds a body or a secret: texts of exceptions that may quote a value are left out, only
their type and place stand there.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import traceback
from typing import Final, TextIO

from connector.errors import ConnectorError

LONGEST: Final = 256
"""Characters of one text in a log line."""
NOISE: Final = 5
"""Lines of the same kind from a library in one `NOISE_S`; the rest is counted."""
NOISE_S: Final = 60.0

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

log: Final = logging.getLogger("connector")
kafka_log: Final = logging.getLogger("librdkafka")
"""For every client: `Producer(conf, logger=kafka_log)`; otherwise librdkafka writes to stderr itself."""


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, logger, event, and what `extra` adds."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line; control characters come out escaped, long texts cut."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _short(record.getMessage()),
        }
        line |= {name: _plain(value) for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info and record.exc_info[1] is not None:
            line |= fault(record.exc_info[1])
        return json.dumps(line, default=lambda value: type(value).__name__)


def fault(error: BaseException) -> dict[str, object]:
    """Tell an exception without quoting what it was given; our own refusals never do.

    The trace is that of its cause, where it has one: there the fault is.
    """
    root = error.__cause__ or error
    frames = traceback.extract_tb(root.__traceback__)
    told: dict[str, object] = {
        "error": type(error).__name__,
        "trace": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]],
    }
    if root is not error:
        told["cause"] = type(root).__name__
    if isinstance(error, ConnectorError):
        told["why"] = _short(str(error))
    elif isinstance(error, OSError) and error.strerror:
        told["why"] = _short(error.strerror)
    return told


def _plain(value: object) -> object:
    if isinstance(value, str):
        return _short(value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, bool | int | float | None) else _short(repr(value))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


class Quieter(logging.Filter):
    """Lets through at most `NOISE` lines of one kind per minute from anybody but us, and counts the rest.

    Of a service's life Faust logs every step under our names (`[^Outlet]: Starting...`): faults alone pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[object, ...], tuple[float, int]] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line passes; the first one of a new minute says how many did not."""
        if record.levelno < logging.WARNING and str(record.msg).startswith("[^"):
            return False
        if record.name.partition(".")[0] == "connector":
            return True
        first = record.args[0] if isinstance(record.args, tuple) and record.args else None
        kind = (record.name, record.levelno, record.msg, first if record.name == kafka_log.name else None)
        with self._lock:
            since, count = self._seen.get(kind, (record.created, 0))
            if record.created - since >= NOISE_S:
                if count > NOISE:
                    record.suppressed = count - NOISE
                since, count = record.created, 0
            self._seen[kind] = since, count + 1
        return count < NOISE


def log_json(level: int = logging.INFO, to: TextIO | None = None) -> None:
    """Send log lines to stderr as JSON: ours from `level` on, of libraries only warnings and worse."""
    lines = logging.StreamHandler(to or sys.stderr)
    lines.setFormatter(JsonLines())
    lines.addFilter(Quieter())
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[lines], force=True)
    log.setLevel(level)
    logging.captureWarnings(capture=True)
