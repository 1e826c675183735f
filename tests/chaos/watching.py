"""The consumer that follows the changelogs, in a process of its own."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.chaos.load import ROOT, ours


class Watching:
    """The consumer that follows the changelogs, in a process of its own."""

    def __init__(self, bootstrap: str, topics: list[str], log: Path) -> None:
        self.told: dict[str, Any] = {"records": 0, "newest_ms": 0}
        command = [sys.executable, "-m", "tests.chaos.reading", bootstrap, *topics]
        with log.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=ours(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
            )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.told = json.loads(line)

    def reach(self, records: int, within_s: float) -> None:
        """Wait until it has seen so many records, or its time is over."""
        deadline = time.monotonic() + within_s
        while self.told["records"] < records and time.monotonic() < deadline:
            time.sleep(0.1)

    def close(self) -> None:
        """Let it end; whatever it has seen is told then."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._thread.join(5)
