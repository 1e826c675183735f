"""The guards at work, in a thread of their own: until a role may begin, then every minute.

What they find is told once per change, counted, and in a worker, when it would break a promise, the end:
`connector.core.guards` says which. A broker that is away is told and waited for; nothing stops for it, and a
topic that is missing when a role starts is waited for as well.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from msgspec import structs

from connector.core.facts import GUARDS, Finding, grouped
from connector.core.guards import judge
from connector.errors import ConnectorError, Misconfigured
from connector.runtime.facts import Clean, Look, Role, Unanswered, wanted
from connector.runtime.metrics import BOTH, gauge
from connector.runtime.remembered import Remembered
from connector.runtime.settings import Settings
from connector.runtime.telemetry import log

PERIOD_S = 60.0
"""From one look to the next."""
AGAIN_S = 1.0
"""From one look to the next while a role waits for Kafka or a topic."""
CONFIRM_S = 5.0
"""What would end the worker must be found again after this: a broker that has just come back may not know
all topics yet, and the offsets of what is in flight are about to be committed."""

VIOLATIONS: Final = gauge(
    "guard_violations",
    "topics or partitions",
    "Topics or partitions a guard is not content with.",
    "guard",
    "topic_kind",
    roles=BOTH,
)
LOOKED: Final = gauge(
    "guards_silence_seconds", "seconds", "Since the guards last had an answer from Kafka.", roles=BOTH
)


class Violated(ConnectorError):
    """Kafka is not as our promises need it; going on would break one."""

    code = "violated"


class NotYet(Misconfigured):
    """A role cannot begin, for a reason that may end without anybody touching it."""


class Guards:
    """The guards of one process.

    Args:
        settings: The settings.
        role: `serve` sees raw and quarantine topics alone, and stops for nothing: its readiness tells.
    """

    def __init__(self, settings: Settings, role: Role) -> None:
        """Know nothing yet."""
        self._settings: Final = settings
        self._role: Final = role
        self._wanted: Final = wanted(settings, role)
        self._known: Final[dict[str, str]] = {}
        self._remembered: Final = Remembered(settings, self._wanted) if role == "work" else None
        self._clean: Final[Clean] = {}
        self._told: frozenset[tuple[str, str]] = frozenset()
        self._silent = False
        self._stopped: Final = threading.Event()
        self._lock: Final = threading.Lock()
        """One look at a time: a diagnosis may come while the thread is at it."""
        self._end: Callable[[BaseException], None] | None = None
        self._thread: Final = threading.Thread(target=self._run, name="guards", daemon=True)
        self.waiting: str | None = "Kafka was not asked yet"
        """Why the role may not begin, in one line with the remedy; None once it may."""
        self._begun: Callable[[BaseException | None], None] | None = None
        self._answered_s = self._answering_from_s = time.monotonic()

    def preflight(self) -> None:
        """Look for the first time.

        Raises:
            NotYet: No broker answers, or nothing but topics is missing.
            Misconfigured: Something forbids a start: one line with its remedy.
        """
        try:
            findings = self._look(first=True)
        except Unanswered as silence:
            raise NotYet(str(silence)) from None
        barring = [one for one in findings if one.grade != "warn"]
        self._tell([one for one in findings if one.grade == "warn"])
        if barring:
            missing = all(one.guard == "missing" for one in barring)
            raise (NotYet if missing else Misconfigured)(_line(barring))

    def start(self, begun: Callable[[BaseException | None], None]) -> None:
        """Look until the role may begin, then every minute.

        `begun` hears once, from the thread, that it may (None), or why it never may.
        """
        self._begun = begun
        LOOKED.set_function(lambda: time.monotonic() - self._answered_s)
        self._thread.start()

    def end_by(self, end: Callable[[BaseException], None]) -> None:
        """Name who hears, from the thread, what must end the process."""
        self._end = end

    def stop(self) -> None:
        """Stop looking; a question on its way is not waited for."""
        self._stopped.set()

    def diagnose(self, failure: BaseException) -> BaseException:
        """Give the cause of a failure if it is one the guards know, else the failure itself.

        A topic that is gone looks like many things to whoever writes to it.
        """
        if isinstance(failure, Violated):
            return failure
        try:
            stopping = [one for one in self._look() if one.grade == "stop"]
        except ConnectorError:
            return failure
        return Violated(_line(stopping)) if stopping else failure

    def answering_s(self) -> float:
        """Say for how long Kafka has answered every look; 0 while it does not."""
        if self._silent or self._stopped.is_set():
            return 0.0
        return self._answered_s - self._answering_from_s

    def _look(self, *, first: bool = False) -> list[Finding]:
        with self._lock:
            look = Look(self._settings)
            facts = look.facts(self._wanted, self._clean, group=self._role == "work")
            if first and self._remembered is not None:
                self._known.update(self._remembered.read(look))
            for name, found in facts.topics.items():
                if found is not None:
                    self._known.setdefault(name, found.id)
            findings = judge(self._wanted, structs.replace(facts, known=self._known))
            _count(findings, {one.kind for one in self._wanted})
            if self._remembered is not None and not _stopping(findings):
                self._remembered.write(look, self._known)
            return findings

    def _run(self) -> None:
        if self._admitted():
            self._watch()

    def _admitted(self) -> bool:
        """Look until the role may begin; a reason why not is told once, though its words may change."""
        told = None
        refusal: BaseException | None = None
        while not self._stopped.is_set():
            try:
                self.preflight()
            except NotYet as reason:
                self.waiting = str(reason)
                why, _, remedy = self.waiting.rpartition("; ")
                about = self.waiting.partition(": ")[0], remedy
                if about != told:
                    log.warning("waiting for Kafka", extra={"why": why, "remedy": remedy})
                told = about
                self._stopped.wait(AGAIN_S)
                continue
            except Exception as error:  # noqa: BLE001  whatever it is, somebody waits to hear of it
                refusal = error
            break
        if self._stopped.is_set():
            return False
        if refusal is None:
            self.waiting = None
            self._answered_s = self._answering_from_s = time.monotonic()
            if told is not None:
                log.info("Kafka is there, and as it must be")
        if self._begun is not None:
            self._begun(refusal)
        return refusal is None

    def _watch(self) -> None:
        while not self._stopped.wait(PERIOD_S):
            try:
                self._round()
            except Exception:  # noqa: BLE001  guards that die in silence would guard nothing
                log.exception("the guards could not look")

    def _round(self) -> None:
        try:
            findings = self._look()
            if self._end is not None and (found := _stopping(findings)):
                if self._stopped.wait(CONFIRM_S):
                    return
                findings = self._look()
                if found & _stopping(findings):
                    self._tell(findings)
                    self._end(Violated(_line(one for one in findings if one.grade == "stop")))
                    return
        except Unanswered as silence:
            if not self._silent:
                log.warning("the guards see nothing", extra={"why": str(silence)})
            self._silent = True
            return
        self._answered_s = time.monotonic()
        if self._silent:
            log.info("the guards see Kafka again")
            self._silent, self._answering_from_s = False, self._answered_s
        self._tell(findings)

    def _tell(self, findings: list[Finding]) -> None:
        """Log what is new since the last look, and what is over."""
        now = frozenset((one.guard, one.where) for one in findings)
        fresh = [one for one in findings if (one.guard, one.where) not in self._told]
        for one, more in grouped(fresh):
            level = log.warning if one.grade == "warn" else log.error
            level("guard: %s", one.line(more), extra={"guard": one.guard, "grade": one.grade})
        for guard, where in sorted(self._told - now):
            log.info("guard: %s: as it must be again", where, extra={"guard": guard})
        self._told = now


def _stopping(findings: list[Finding]) -> set[Finding]:
    return {one for one in findings if one.grade == "stop"}


def _line(findings: Iterable[Finding]) -> str:
    """Tell the worst in one line."""
    (first, more), *rest = grouped(findings)
    return f"{first.line(more)}{f' ({len(rest)} more: connector doctor)' if rest else ''}"


def _count(findings: list[Finding], kinds: set[str]) -> None:
    for guard in GUARDS:
        for kind in kinds:
            count = sum(one.guard == guard and one.kind == kind for one in findings)
            VIOLATIONS.labels(guard, kind).set(count)
