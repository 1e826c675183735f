"""Nothing acknowledged is lost and nothing is told twice, while workers and the ingress are killed.

CONNECTOR_TEST_LEDGER sets the number of callbacks; 50000 is the figure of a release.
"""

import os
import random
import time
from pathlib import Path

import pytest
from auditing import audit
from callbacks import Vendors
from ledger import Load
from stack import DELIVERIES, Stack

CALLBACKS = int(os.environ.get("CONNECTOR_TEST_LEDGER", "6000"))
LEAST_S = 32.0
KILLS = 5


@pytest.mark.cluster
@pytest.mark.timeout(180 + CALLBACKS // 50)
@pytest.mark.parametrize("delivery", DELIVERIES)
def test_every_acknowledged_callback_is_accounted_for_whatever_is_killed(
    bootstrap: str, prefix: str, tmp_path: Path, delivery: str
) -> None:
    chance = random.Random(CALLBACKS)
    rate = max(CALLBACKS / LEAST_S, 1) if CALLBACKS < 15_000 else 450.0
    # so long a linger keeps callbacks unconfirmed at every moment, also at that of a kill
    settings = {"worker": {"delivery": delivery}, "ingress": {"linger_ms": 100}}
    with Stack(bootstrap, prefix, tmp_path, partitions=6, **settings) as stack:
        ingress = stack.serve()
        workers = {name: stack.work(name) for name in ("worker-1", "worker-2")}
        made = Vendors(CALLBACKS, stack.secrets["STACK_CLIENT_KEY"]).callbacks(CALLBACKS)
        whole_s = CALLBACKS / rate
        moments = sorted(chance.uniform(0.05, 0.9) * whole_s for _ in range(KILLS + 1))
        ingress_at = chance.randrange(KILLS + 1)
        with Load(stack, made, connections=96, rate=rate, within_s=90 + 2 * whole_s) as load:
            begun = time.monotonic()
            for number, moment in enumerate(moments):
                time.sleep(max(begun + moment - time.monotonic(), 0))
                if number == ingress_at:
                    ingress.kill()
                    time.sleep(0.5)
                    ingress = stack.serve()
                else:
                    name = chance.choice(list(workers))
                    workers[name].kill()
                    time.sleep(chance.uniform(0, 1))
                    workers[name] = stack.start(name, "work")
        stack.drained(90)

        told = audit(stack, load.rows, workers["worker-1"].ready().url)
        print(load.told(), told.told(), sep="\n")
        told.clean()
        assert told.acked == CALLBACKS
        assert told.verdicts["applied"] > CALLBACKS // 3
        assert load.refused, "the ingress was killed and nobody noticed"
