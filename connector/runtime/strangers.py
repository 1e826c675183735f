"""Event names that stand in no row of a vendor's table: one line in the log for each, and not for ever."""

from __future__ import annotations

from typing import Final

from connector.runtime.telemetry import log

MOST: Final = 200
"""Names of one source that are told in one process; whoever holds a secret could send any number."""
LONGEST: Final = 64


class Strangers:
    """Tells of each unknown event name of one source once."""

    def __init__(self, source: str) -> None:
        """Know none yet."""
        self._source: Final = source
        self._met: Final[set[str]] = set()

    def met(self, token: str, verdict: str) -> None:
        """Warn of a name that was not met before.

        Args:
            token: The name in its compared form, a-z and 0-9 alone: safe to print.
            verdict: `noted` where nobody could read it; anything else means its verb was taken at its word.
        """
        if token in self._met or len(self._met) > MOST:
            return
        self._met.add(token)
        if len(self._met) > MOST:
            log.warning("unknown event names: no more are told", extra={"source": self._source})
            return
        read = "kept as history" if verdict == "noted" else "read by the verb in its name"
        log.warning("unknown event name, %s", read, extra={"source": self._source, "token": token[:LONGEST]})
