"""Time-outs that must fit each other: settings, the worker's own, and the chart's grace period."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from connector.runtime.settings import WorkerSettings
from connector.runtime.spans import FLUSH_S
from connector.runtime.worker import REQUEST_S, stop_s

CHART = Path(__file__).parents[2] / "helm/connector/templates/_config.tpl"
ROOM_S = 5
"""What is left of the grace period for clients, probes and the interpreter to end."""


@pytest.mark.parametrize("settle_timeout_s", [0.5, 10, 55])
def test_a_worker_stops_no_sooner_than_it_may_settle(settle_timeout_s: float) -> None:
    assert stop_s(WorkerSettings(settle_timeout_s=settle_timeout_s)) > settle_timeout_s + REQUEST_S


@pytest.mark.parametrize("settle_timeout_s", [0.5, 10, 55])
def test_the_charts_grace_period_outlasts_the_workers_end(settle_timeout_s: float) -> None:
    """The chart adds the transaction time-out, the settle time-out, and a number."""
    formula = re.search(r"addf \(divf \$transaction 1000\) \$settle (\d+)", CHART.read_text())
    assert formula is not None
    settings = WorkerSettings(settle_timeout_s=settle_timeout_s, transaction_timeout_ms=1000)

    grace_s = settings.transaction_timeout_ms / 1000 + settle_timeout_s + int(formula[1])
    assert grace_s >= stop_s(settings) + FLUSH_S + ROOM_S


def test_a_rebalance_may_not_wait_for_longer_than_the_group_waits_for_a_poll() -> None:
    with pytest.raises(ValidationError, match="settle_timeout_s must be less than max_poll_interval_ms"):
        WorkerSettings(settle_timeout_s=60)
    WorkerSettings(settle_timeout_s=60, max_poll_interval_ms=61_000)
