"""The product's schemas at an external registry: what is missing there, and putting it there.

The registry is asked whether a schema may join its subject before anything is written, and each subject is
set to FULL_TRANSITIVE first, so that from then on it refuses by itself what would break readers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from connector.errors import Misconfigured
from connector.runtime.registered import Remote, looked_up
from connector.runtime.registry import COMPATIBILITY, Registry, canonical_text, folder, subject_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector.runtime.settings import Settings


class Step(msgspec.Struct):
    """One schema, and what is to be done about it."""

    subject: str
    version: int
    """Ours; counts from 1 per name."""
    action: Literal["none", "register", "refuse"]
    level: str | None
    """Compatibility level of the subject as it is; None: it has none of its own."""
    id: int | None = None
    """At the registry; None: not registered."""
    why: str = ""
    locked: int = 0
    """Id in the lock."""

    @property
    def done(self) -> bool:
        """Whether nothing is left to do, the level of the subject included."""
        return self.action == "none" and self.level == COMPATIBILITY


class Registering:
    """The schemas of this version and one external registry.

    Raises:
        Misconfigured: `registry.url` is not set, or the lock does not hold.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.registry.url is None:
            raise Misconfigured(
                "registry.url: not set; workers serve the schemas themselves, nothing is to be registered"
            )
        self._settings: Final = settings
        self._own: Final = Registry.load(folder())
        self._remote: Final = Remote(settings.registry)

    def plan(self) -> list[Step]:
        """Ask for every version of every subject; writes nothing.

        Raises:
            RegistryAway: The registry does not answer.
            Misconfigured: It refuses, or is none.
        """
        levels: dict[str, str | None] = {}
        steps = []
        for one in self._own.locked:
            topics = self._settings.topics
            subject = subject_of(topics.prefix, one.name, topics.versions.get(one.name, 1))
            if subject not in levels:
                levels[subject] = self._remote.level(subject)
            step = Step(subject, one.version, "register", levels[subject], locked=one.id)
            text = canonical_text(self._own.by_id(one.id))
            if (found := self._remote.lookup(subject, text)) is not None:
                step.id, step.action = found["id"], "none"
            elif (why := self._remote.incompatible(subject, text)) is not None:
                step.action, step.why = "refuse", why
            steps.append(step)
        return steps

    def apply(self, steps: Sequence[Step]) -> None:
        """Set levels and register what is missing, oldest version first; `steps` is changed to what is then.

        Running it twice does nothing the second time.

        Raises:
            RegistryAway: The registry does not answer.
            Misconfigured: A step is refused, by the plan or by the registry.
        """
        if refused := [step for step in steps if step.action == "refuse"]:
            raise Misconfigured(f"{refused[0].subject}: {refused[0].why}; nothing was registered")
        set_now = set()
        for step in steps:
            if step.level != COMPATIBILITY and step.subject not in set_now:
                self._remote.set_level(step.subject, COMPATIBILITY)
                set_now.add(step.subject)
            step.level = COMPATIBILITY
            if step.action == "register":
                step.id = self._remote.register(step.subject, canonical_text(self._own.by_id(step.locked)))
                step.action = "none"
        self._own.under(looked_up(self._own, self._remote, self._settings))  # as a worker will ask
