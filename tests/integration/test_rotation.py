"""Kafka's user and password change while both roles run, or are wrong when they start."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from auditing import audit
from callbacks import Vendors
from ledger import Load
from scram import REAUTHENTICATION_S, ScramKafka, Secret
from stack import Child, Stack

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

WITHIN_S = 60.0
RATE = 60


@pytest.fixture(scope="module")
def broker() -> Iterator[ScramKafka]:
    made = ScramKafka()
    with made.kafka:
        yield made


@pytest.fixture
def secret(tmp_path: Path) -> Secret:
    return Secret(tmp_path)


@pytest.fixture
def stack(broker: ScramKafka, secret: Secret, prefix: str, tmp_path: Path) -> Iterator[Stack]:
    broker.let_in("first", "the first password")
    secret.write("first", "the first password")
    made = Stack(broker.kafka.bootstrap, prefix, tmp_path, 2, kafka=broker.properties(secret))
    with made:
        yield made


def eventually(true: Callable[[], Any], *children: Child) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < deadline, "\n".join(one.tail() for one in children)
        assert all(one.alive for one in children), "\n".join(one.tail() for one in children)
        time.sleep(0.2)


def test_another_user_under_load_refuses_nobody_and_loses_nothing(
    stack: Stack, broker: ScramKafka, secret: Secret
) -> None:
    roles = ingress, worker = stack.serve(), stack.work()
    seconds = 8 + 5 * REAUTHENTICATION_S
    made = Vendors(59, stack.secrets["STACK_CLIENT_KEY"]).callbacks(RATE * seconds)
    with Load(stack, made, rate=RATE, within_s=200) as load:
        time.sleep(3)
        broker.let_in("second", "another password")
        secret.write("second", "another password")
        eventually(lambda: all("read anew" in one.log.read_text() for one in roles), *roles)
        broker.shut_out("first")

    assert load.refused == {}, load.told()
    stack.drained(90)
    told = audit(stack, load.rows, worker.url)
    print(load.told(), told.told())
    told.clean()
    for one in roles:
        assert "the first password" not in one.log.read_text() + one.get("/metrics")[1]
        assert "another password" not in one.log.read_text()
        assert json.loads(one.get("/readyz")[1])["status"] == "ok", one.tail()
    assert (ingress.stop(), worker.stop()) == (0, 0), worker.tail()


def test_roles_that_are_not_let_in_wait_until_their_password_comes(
    stack: Stack, broker: ScramKafka, secret: Secret
) -> None:
    broker.let_in("late", "the right password")
    secret.write("late", "not the password")
    roles = [stack.start("ingress", "serve"), stack.start("worker-1", "work")]

    refused = "the broker knows no such user, or another password: check both"
    eventually(lambda: all(refused in one.get("/readyz")[1] for one in roles), *roles)
    lived = [one.get("/livez")[0] for one in roles]
    logged = [one.log.read_text().count(f'"remedy": "{refused}"') for one in roles]
    secret.write("late", "the right password")
    for one in roles:
        one.ready(WITHIN_S)

    assert lived == [200, 200]
    assert logged == [1, 1], "the log says so, once"
    assert stack.post("duett", b"{}")[0] == 202
    assert [one.stop() for one in roles] == [0, 0]
