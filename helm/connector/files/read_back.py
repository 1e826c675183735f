"""`helm test`: post a signed callback at the ingress, and read it back out of the changelog.

python read_back.py URL ENDPOINT SECONDS

The callback is one of Visma's own samples with the present time in it, so each run is a change of the same
key. It exits with 1, and says why, unless the ingress answers 202 and a worker writes exactly that version.
"""
# ruff: noqa: INP001, T201, TID251  (a script that prints and looks at the clock)

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Final

from connector.cli.following import Follower
from connector.cli.samples import SAMPLES
from connector.cli.send import post
from connector.core.times import from_dotnet
from connector.runtime.configuration import load
from connector.runtime.credentials import endpoint
from connector.runtime.desk import topics_under
from connector.runtime.registered import known_schemas

ENTITY: Final = "customer"
SAMPLE: Final = SAMPLES["visma-net-customer-changed"]
UNIX_EPOCH_TICKS: Final = 621_355_968_000_000_000
"""1970 on .NET's clock, in ticks of 100 ns."""


def main(url: str, name: str, seconds: float) -> None:
    """Post, then follow the changelog from where it ended before.

    Raises:
        SystemExit: Not taken, or not written in time.
    """
    deadline = time.monotonic() + seconds
    settings = load(Path(os.environ["CONNECTOR_CONFIG"]))
    written = next(one for one in settings.endpoints if one.id == name)
    topic = topics_under(settings.topics.prefix, settings.topics.versions).changelog[ENTITY]
    follower = Follower(settings.kafka, {ENTITY: topic}, known_schemas(settings), earliest=False)
    while not follower.caught_up:  # only then is it known where "from now on" begins
        list(follower.read(0.5))
        if time.monotonic() > deadline:
            sys.exit(f"{topic}: its end was not found within {seconds:.0f} s; look at the brokers")
    ticks = time.time_ns() // 100 + UNIX_EPOCH_TICKS
    body = json.dumps({**json.loads(SAMPLE.body), "timeStamp": ticks}).encode()
    status, answer = post(url, endpoint(written, f"endpoint {name}"), body, dict(SAMPLE.headers))
    print(f"POST {url}/hooks/{written.source}/{name}: {status} {answer}")
    if status != 202 or json.loads(answer).get("accepted") != 1:  # noqa: PLR2004  what a durable callback gets
        sys.exit("the ingress did not take the callback; its answer says why")
    while time.monotonic() < deadline:
        for seen in follower.read(0.5):
            if seen.version == from_dotnet(ticks) and seen.key.split("/")[1] == written.tenant:
                print(f"{topic}/{seen.partition}/{seen.offset}: {seen.op} {seen.key} version {seen.version}")
                return
    sys.exit(f"{topic}: no such record within {seconds:.0f} s; do the workers run, and are they ready?")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
