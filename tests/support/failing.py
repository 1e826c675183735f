"""The command `connector` that dies, stands still or fails at one of its failpoints; only tests start it.

CONNECTOR_TEST_FAILPOINT=NAME:ACTION:PASSAGE says where, what (`kill`, `stop`, `raise`) and at which passage.
Two further names lie between records, where the product has no point: it would cost something for each.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

import confluent_kafka
from entry import FAULTS

from connector.runtime import failpoints

VARIABLE: Final = "CONNECTOR_TEST_FAILPOINT"
BETWEEN: Final = {
    "client.record": "a record is produced, the next one of its callback or transaction is not",
    "client.tombstone": "a DELETE is produced, its tombstone is not",
}
"""Name -> what is done by then and what is not."""


class Failed(Exception):
    """Raised where a test wants it; no error the product knows."""


def _fail(action: str, name: str) -> None:
    print(f"failpoint {name}: {action}", file=sys.stderr, flush=True)
    if action == "raise":
        raise Failed(name)
    os.kill(os.getpid(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[action])


def passing(asked: str) -> Callable[[str], None]:
    """Give what every point is passed through.

    Raises:
        ValueError: There is no such point.
    """
    wanted, action, passage = asked.split(":")
    if wanted not in failpoints.POINTS | BETWEEN:
        raise ValueError(f"no failpoint {wanted}")
    left = int(passage)

    def at(name: str) -> None:
        nonlocal left
        if name == wanted:
            left -= 1
            if not left:
                _fail(action, name)

    return at


class _Between(confluent_kafka.Producer):
    """Passes the points that lie between records."""

    def produce(self, topic: str, *arguments: Any, **named: Any) -> None:
        if ".changelog." in topic and arguments[0] is None:
            failpoints.at("client.tombstone")
        super().produce(topic, *arguments, **named)
        failpoints.at("client.record")


def main() -> None:
    """Arm the point, then be the product."""
    failpoints.arm(passing(os.environ[VARIABLE]))
    if fault := os.environ.get("CONNECTOR_TEST_FAULT"):
        FAULTS[fault]()
    elif "client." in os.environ[VARIABLE]:
        confluent_kafka.Producer = _Between  # type: ignore[misc]  # on purpose
    from connector.cli import main as connector

    connector()


if __name__ == "__main__":
    main()
