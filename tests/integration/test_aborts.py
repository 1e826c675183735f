"""A cycle that fails at any of its steps is read again: nothing lost, in a transaction nothing twice."""

from pathlib import Path

import pytest
from auditing import audit
from callbacks import Vendors
from entry import ABORTS, REFUSALS
from ledger import Load
from stack import Stack

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


def test_an_abort_at_every_step_loses_and_doubles_nothing(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    with Stack(bootstrap, prefix, tmp_path, worker={"batch_records": 20}) as stack:
        stack.serve()
        worker = stack.work(fault="abort")
        made = Vendors(47, stack.secrets["STACK_CLIENT_KEY"]).callbacks(600)
        load = Load(stack, made).post()
        stack.drained()

        told = audit(stack, load.rows, worker.url)
        print(told.told())
        told.clean()
        assert worker.log.read_text().count("transaction aborted, reading again") == len(ABORTS)
        assert f'connector_transactions_total{{end="aborted"}} {len(ABORTS)}.0' in worker.get("/metrics")[1]
        assert worker.stop() == 0


def test_without_transactions_a_refusal_at_every_step_loses_nothing(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    settings = {"batch_records": 20, "delivery": "at_least_once"}
    with Stack(bootstrap, prefix, tmp_path, worker=settings) as stack:
        stack.serve()
        worker = stack.work(fault="refuse")
        made = Vendors(49, stack.secrets["STACK_CLIENT_KEY"]).callbacks(600)
        load = Load(stack, made).post()
        stack.drained()

        told = audit(stack, load.rows, worker.url)
        print(told.told())
        told.clean()
        assert told.doubled > 0
        assert worker.log.read_text().count("producer replaced") == len(REFUSALS)
        assert worker.stop() == 0
