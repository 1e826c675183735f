"""What goes wrong when: a seed -> faults by the second. Pure: the same arguments give the same schedule."""

from collections.abc import Iterable, Mapping
from random import Random
from typing import Final, NamedTuple

SESSION_S: Final = 6.0
"""Session time-out of the workers; `stack` sets it."""
INGRESSES: Final[tuple[str, ...]] = ("ingress-1", "ingress-2")
WORKERS: Final[tuple[str, ...]] = ("worker-1", "worker-2", "worker-3")
AT_FIRST: Final = frozenset({*INGRESSES, *WORKERS[:2]})
"""Processes that run when the faults begin."""
TWO_BROKERS: Final = 0.1
"""How often a broker is hurt while another one is."""
SETTLE_S: Final = 2.0
"""A process is left alone for so long after its fault."""


class Kind(NamedTuple):
    """What can be done to whom, how often in a deck, and for how long."""

    targets: str
    times: int = 1
    least_s: float = 0.0
    most_s: float = 0.0
    least: float = 0.0
    most: float = 0.0
    """Bounds of what `Fault.size` says."""


KINDS: Final[Mapping[str, Kind]] = {
    "ingress killed": Kind("ingress", 3),
    "ingress paused": Kind("ingress", 1, 1, 8),
    "worker killed": Kind("worker", 3),
    "worker paused": Kind("worker", 1, 0.3, 3),
    "worker paused beyond its session": Kind("worker", 2, SESSION_S * 1.3, SESSION_S * 2),
    "worker added": Kind("idle"),
    "worker removed": Kind("worker"),
    "broker killed": Kind("broker", 1, 1, 6),
    "broker's disk full": Kind("broker", 1, 2, 8),
    "broker paused": Kind("broker", 1, 1, 8),
    "clients to broker cut": Kind("broker", 1, 2, 8),
    "broker to clients cut": Kind("broker", 1, 2, 8),
    "connections reset": Kind("broker"),
    "slow acknowledgements": Kind("broker", 1, 3, 10, 0.02, 0.25),
    "writes refused": Kind("topics", 1, 1, 6),
}
"""`size` of slow acknowledgements is the delay of each chunk in seconds."""
OUTAGES: Final = (
    "broker killed",
    "broker's disk full",
    "broker paused",
    "clients to broker cut",
    "broker to clients cut",
)
KILLS: Final = ("ingress killed", "worker killed", "broker killed")
TOPICS: Final = ("raw", "changelog", "events", "identity", "quarantine")
"""Of these one refuses writes: with fewer replicas in sync than it wants."""
MINUTES: Final = 30.0
EVERY_S: Final = 5.0
LEAST: Final = {"kills": 100, "pauses": 25, "outages": 50}
"""What `MINUTES` at `EVERY_S` hold at least, whatever the seed."""


def sums(faults: Mapping[str, int]) -> dict[str, int]:
    """Sum faults up: SIGKILLs, pauses longer than a session, and brokers that could not be reached."""
    return {
        "kills": sum(faults.get(one, 0) for one in KILLS),
        "pauses": faults.get("worker paused beyond its session", 0),
        "outages": sum(faults.get(one, 0) for one in OUTAGES),
    }


class Fault(NamedTuple):
    """One thing that goes wrong."""

    at_s: float
    """Since the load began."""
    kind: str
    target: str
    lasts_s: float
    size: float = 0.0


def plan(seed: int, seconds: float, brokers: int, every_s: float) -> list[Fault]:
    """Lay out faults until `seconds`, on the average one in `every_s`; every kind comes up again and again.

    No target has two faults at once, and at least one worker and one ingress are not asked to go.
    """
    chance = Random(seed)
    everyone = {
        "broker": [f"broker-{one}" for one in range(1, brokers + 1)],
        "ingress": list(INGRESSES),
        "topics": [f"topics-{one}" for one in TOPICS],
    }
    running: set[str] = {one for one in WORKERS if one in AT_FIRST}
    free_at: dict[str, float] = {}
    faults: list[Fault] = []
    deck: list[str] = []
    now_s = 1.0
    while True:
        if not deck:
            cards = [name for name, kind in sorted(KINDS.items()) for _ in range(kind.times)]
            deck = chance.sample(cards, len(cards))
        name = deck.pop()
        if name in ("worker added", "worker removed"):  # in the order that is possible
            grows = len(running) < len(WORKERS) and (len(running) == 1 or name == "worker added")
            name = "worker added" if grows else "worker removed"
        kind = KINDS[name]
        targets: dict[str, list[str]] = {**everyone, "worker": sorted(running)}
        targets["idle"] = sorted(set(WORKERS) - running)
        busy_until = _busy(free_at, everyone["broker"]) if kind.targets == "broker" else 0.0
        if busy_until > now_s and chance.random() > TWO_BROKERS:
            now_s = busy_until
        target, now_s = _free(chance, targets[kind.targets], free_at, now_s)
        lasts_s = round(chance.uniform(kind.least_s, kind.most_s), 3)
        if now_s + lasts_s > seconds:
            return faults
        faults.append(
            Fault(round(now_s, 3), name, target, lasts_s, round(chance.uniform(kind.least, kind.most), 3))
        )
        free_at[target] = now_s + lasts_s + SETTLE_S
        running = running | {target} if name == "worker added" else running
        running = running - {target} if name == "worker removed" else running
        now_s += chance.uniform(0.3, 1.7) * every_s


def _busy(free_at: Mapping[str, float], brokers: Iterable[str]) -> float:
    return max(free_at.get(one, 0.0) for one in brokers)


def _free(
    chance: Random, targets: list[str], free_at: Mapping[str, float], now_s: float
) -> tuple[str, float]:
    """Choose who is free, now or as soon as somebody is."""
    free = [one for one in targets if free_at.get(one, 0.0) <= now_s]
    if free:
        return chance.choice(free), now_s
    first = min(targets, key=lambda one: (free_at.get(one, 0.0), one))
    return first, free_at[first]
