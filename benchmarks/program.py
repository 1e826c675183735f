"""A real process under test: on its own core, its output in a file, ended by its own id."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from benchmarks.gauge import SUBJECT_CORE

ROOT: Final = Path(__file__).resolve().parents[1]
STOP_S: Final = 40.0


class Failed(RuntimeError):
    """A run that cannot be counted; the text says why."""


class Program:
    """A Python program pinned to the subject's core; a context manager.

    Args:
        name: For its log.
        arguments: Of the interpreter, such as `-m connector work`.
        folder: Where its log goes.
        environment: Added to ours.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._name = name
        self._log = folder / f"{name}.log"
        self._command = ["taskset", "-c", str(SUBJECT_CORE), sys.executable, *arguments]
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """Its process id: taskset becomes the program."""
        return self._process.pid

    def ended(self) -> bool:
        """Say whether it has ended by itself, and well.

        Raises:
            Failed: It ended otherwise.
        """
        code = self._process.poll()
        if code:
            raise Failed(f"{self._name} ended with {code}:\n{self._tail()}")
        return code is not None

    def output(self) -> str:
        """Give what it has printed."""
        return self._log.read_text(errors="replace")

    def until(self, done: Callable[[], bool], within_s: float, every_s: float = 0.02) -> None:
        """Wait for something.

        Raises:
            Failed: The program ended, or it took too long.
        """
        end_s = time.monotonic() + within_s
        while not done():
            if self._process.poll():
                raise Failed(f"{self._name} ended with {self._process.returncode}:\n{self._tail()}")
            if time.monotonic() > end_s:
                raise Failed(f"{self._name} did not get there in {within_s:.0f} s:\n{self._tail()}")
            time.sleep(every_s)

    def _tail(self) -> str:
        return self.output()[-3000:]


def answers(url: str) -> Callable[[], bool]:
    """Ask an URL; true once the answer is 200."""

    def asked() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  http on 127.0.0.1
                return bool(answer.status == 200)
        except OSError:
            return False

    return asked
