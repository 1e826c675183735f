"""A short run of the chaos program: every kind of fault once, and nothing lost, doubled or wrong."""

import pytest

from tests.chaos import telling
from tests.chaos.run import Asked, Run
from tests.chaos.schedule import KINDS

SHORT = Asked(seed=163, seconds=40, rate=50, brokers=3, every_s=1.8)


@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_every_kind_of_fault_under_load_and_every_record_is_accounted_for() -> None:
    run = Run(SHORT, print)
    run.go()
    told = telling.numbers(run)
    print("\n".join(telling.table(told)))

    assert telling.clean(told), told["findings"]
    assert told["faults"].keys() == KINDS.keys()
    assert told["acked"] > SHORT.rate * SHORT.seconds / 4
    assert told["ignored"] > 0
    assert told["quarantined"] > 0
    assert told["watched"] == told["changes"] > told["acked"] / 2
    assert told["recovery_max_s"] > 0
    run.forget()
