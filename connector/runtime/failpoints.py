"""Named places at which a test lets its process die, stand still or fail; in production they are empty.

`at` does nothing. No setting and no variable changes that: only a program that imports this module and calls
`arm` before it becomes the product does, and the tests' own is the only one. Each point is passed once per
cycle, request, transaction or assignment, never per record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

POINTS: Final = {
    "door.authenticated": "a callback is proven, nothing of it is cut",
    "door.cut": "a callback is cut into records, none is produced",
    "door.produced": "all records of a callback are with the client, none need be with Kafka",
    "door.acked": "Kafka has confirmed all records of a callback, nobody was told",
    "intake.polled": "records are polled, the cycle is not handed over",
    "intake.settling": "partitions are revoked, what is in flight is not settled",
    "agent.begun": "an agent has a batch, nothing of it is normalised",
    "agent.carried": "a batch is joined with the state, its cycle has no outputs",
    "outlet.begun": "a transaction is begun, it holds nothing",
    "outlet.produced": "all outputs are produced, no offsets are sent",
    "outlet.offsets_sent": "offsets are sent, nothing is committed",
    "outlet.committed": "a transaction is committed, its cycle is no state yet",
    "outlet.applied": "a cycle is state, the intake does not know that it is settled",
    "outlet.aborted": "a transaction is aborted, nothing is read again yet",
    "awaited.history": "without transactions: history is confirmed, no record of state is produced",
    "awaited.state": "without transactions: every output is confirmed, the offsets are not committed",
    "awaited.committed": "without transactions: the offsets are committed, the cycle is no state yet",
    "rebuild.committed": "the committed offsets are known, the changelog is not read",
    "rebuild.read": "the changelog is read, nobody knows from which offsets to go on",
    "assignment.taken": "partitions are assigned and paused, no rebuild has begun",
    "assignment.rebuilt": "a rebuild is over, reading does not go on yet",
}
"""Name -> what is done by then and what is not."""


def at(name: str) -> None:
    """Pass a point; what `arm` puts in its place may not return."""


def arm(passing: Callable[[str], None]) -> None:
    """Have every point passed through `passing` from now on."""
    globals()["at"] = passing
