"""The demo's vendors: every sample, some twice, in random order, each signed as its source signs."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import click

from connector.cli.samples import Sample
from connector.cli.send import post
from connector.core.authenticate import Endpoint

ATTEMPTS: Final = 20


def shuffled(samples: Iterable[Sample], seed: int) -> list[Sample]:
    """Repeat about half of the samples and put all in an order that only the seed decides."""
    chance = random.Random(seed)  # noqa: S311  the same show for the same seed
    once = list(samples)
    everything = once + chance.sample(once, len(once) // 2)
    chance.shuffle(everything)
    return everything


class Sender(threading.Thread):
    """Posts callbacks one after the other; a 503 is answered as a vendor would: once more, later."""

    def __init__(
        self,
        url: str,
        endpoints: Mapping[tuple[str, str], Endpoint],
        callbacks: Sequence[Sample],
        *,
        pause_s: float,
    ) -> None:
        super().__init__(name="sender", daemon=True)
        self._url = url
        self._endpoints = {source: endpoint for (source, _), endpoint in endpoints.items()}
        self._callbacks = callbacks
        self._pause_s = pause_s
        self._failure: click.ClickException | None = None
        self.count = len(callbacks)
        self.sent = 0
        self.repeats = self.count - len({sample.name for sample in callbacks})

    @property
    def done(self) -> bool:
        """Whether all were taken."""
        return self.sent == self.count

    def check(self) -> None:
        """Notice that a callback was refused.

        Raises:
            click.ClickException: It was.
        """
        if self._failure is not None:
            raise self._failure

    def run(self) -> None:
        """Send everything."""
        try:
            for sample in self._callbacks:
                self._send(sample)
                self.sent += 1
                time.sleep(self._pause_s)
        except click.ClickException as failure:
            self._failure = failure

    def _send(self, sample: Sample) -> None:
        for _ in range(ATTEMPTS):
            status, answer = post(self._url, self._endpoints[sample.source], sample.body, sample.headers)
            if status == 202 and '"quarantined"' not in answer:  # noqa: PLR2004  the only good answer
                return
            if status != 503:  # noqa: PLR2004  Kafka could not confirm; try again
                break
            time.sleep(0.5)
        raise click.ClickException(f"{sample.name}: answered with {status} {answer}")
