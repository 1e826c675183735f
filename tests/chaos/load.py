"""Load for a whole run: callbacks made as they are sent, and the process that posts them."""

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, Final, Self

from callbacks import Made, Vendors

ROOT: Final = Path(__file__).parents[2]
EPOCH_S: Final = 1_740_000_000
"""Vendors' clocks begin ten days before this: not with the run, or a seed would not say what is sent."""
PORTION: Final = 2000


def client_key(seed: int) -> str:
    """Give Duett's company id of a run: it stands in the bodies."""
    return str(uuid.UUID(int=Random(seed).getrandbits(128), version=4))


class Stream:
    """A seeded sequence of callbacks without an end, made in portions as they are taken."""

    def __init__(self, seed: int) -> None:
        self._vendors: Final = Vendors(seed, client_key(seed), now_s=EPOCH_S)

    def portion(self) -> list[Made]:
        """Give the next callbacks."""
        return self._vendors.callbacks(PORTION)


def ours() -> dict[str, str]:
    """Give the environment in which this package's programs find what they import."""
    return os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support")))}


class Load:
    """The posting process; a context manager. What it was answered 2xx stands in `ledger`.

    Args:
        order: As `posting.Order` reads it.
        ledger: File of the rows.
        log: Where its errors go.
    """

    def __init__(self, order: Mapping[str, Any], ledger: Path, log: Path) -> None:
        self.ledger: Final = ledger
        self.told: dict[str, Any] = {"acked": 0, "refused": {}, "failure": "", "over": False}
        self._order: Final = dict(order)
        self._log: Final = log
        self._process: subprocess.Popen[str]
        self._doors: list[str] = []
        self._began_s = self.took_s = 0.0
        self._thread: Final = threading.Thread(target=self._read, name="load", daemon=True)

    def __enter__(self) -> Self:
        """Begin to post."""
        command = [sys.executable, "-m", "tests.chaos.posting", str(self.ledger)]
        with self._log.open("wb") as err:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=ours(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
                bufsize=1,
            )
        self._began_s = time.monotonic()
        self._say(self._order)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave no process behind."""
        self._process.kill()
        self._process.wait()
        self._thread.join(5)
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self.told = json.loads(line)
        self.took_s = time.monotonic() - self._began_s

    def _say(self, said: object) -> None:
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(said) + "\n")
        except OSError:
            return  # it has ended: `failed` says why

    def use(self, doors: list[str]) -> None:
        """Have it post to these doors from now on."""
        if doors != self._doors:
            self._doors = doors
            self._say(doors)

    def close(self) -> None:
        """Have it make no new callbacks."""
        self._say("close")

    @property
    def running(self) -> bool:
        """Whether callbacks are still on their way."""
        return self._thread.is_alive()

    def failed(self) -> str:
        """Say why it ended too early; empty where all that was made is acknowledged."""
        if self.told["over"] and not self.told["failure"]:
            return ""
        return self.told["failure"] or f"the load ended or was not over: {self._log.read_text()[-2000:]}"

    def line(self) -> str:
        """Say in one line how it went."""
        took_s = self.took_s or time.monotonic() - self._began_s
        acked = self.told["acked"]
        rate, again = acked / took_s, self.told["refused"]
        return f"load: acked={acked} in {took_s:.1f} s = {rate:.0f}/s, sent again {again}"
