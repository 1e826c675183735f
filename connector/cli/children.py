"""`serve` and `work` as children of the demo; none outlives it, not even when it is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from connector.errors import Misconfigured

READY_S: Final = 60
STOP_S: Final = 15
_LAST_LINE: Final = 4000
"""Bytes at the end of a log in which its last line is looked for."""


class Child:
    """One role with its log and its probe.

    Args:
        role: `serve` or `work`.
        config: The configuration file.
        log: Where its lines go.
        operations: Port of its probes.
    """

    def __init__(self, role: str, config: Path, log: Path, operations: int) -> None:
        self.role = role
        self._log = log
        self._ready = f"http://127.0.0.1:{operations}/readyz"
        command = [sys.executable, "-m", "connector", "--config", str(config), role]
        environment = {"CONNECTOR_OPERATIONS__PORT": str(operations)}
        with log.open("wb") as lines:
            self._process = _start(command, lines.fileno(), environment)
        self._guard = subprocess.Popen(  # noqa: S603  ends the child when our end of the pipe is gone
            ["/bin/sh", "-c", 'read -r _; kill "$0"', str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def await_ready(self) -> None:
        """Wait until its probe says ready.

        Raises:
            Misconfigured: It ended, or was not ready in time; with what it said last.
        """
        deadline = time.monotonic() + READY_S
        why = "no answer"
        while time.monotonic() < deadline:
            self.check()
            try:
                with urllib.request.urlopen(self._ready, timeout=2):  # noqa: S310  our own address
                    return
            except urllib.error.HTTPError as told:
                checks = json.loads(told.read())["checks"].values()
                why = "; ".join(str(one["why"]) for one in checks if not one["ok"])
            except OSError:
                pass
            time.sleep(0.1)
        raise Misconfigured(f"{self.role}: not ready after {READY_S} s ({why}); its log is {self._log}")

    def check(self) -> None:
        """Notice that it ended.

        Raises:
            Misconfigured: It did; with what it said last.
        """
        if self._process.poll() is not None:
            raise Misconfigured(f"{self.role} ended: {self._said()}")

    def _said(self) -> str:
        lines = self._log.read_bytes()[-_LAST_LINE:].decode(errors="replace").splitlines() or ["nothing said"]
        try:
            told = json.loads(lines[-1])
        except ValueError:
            return lines[-1].removeprefix("Error: ")
        return str(told.get("why") or told.get("event"))

    def stop(self) -> None:
        """End it in order, and by force when that takes too long."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._guard.kill()
        self._guard.wait()
        if self._guard.stdin is not None:
            self._guard.stdin.close()


def _start(command: list[str], log: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    import os

    return subprocess.Popen(  # noqa: S603  our own command
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env={**os.environ, **environment},
        start_new_session=True,  # Ctrl-C reaches the demo alone, which stops everything in order
    )
