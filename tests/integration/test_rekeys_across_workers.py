"""New numbers whose keys lie with two workers, one of which is killed between the steps."""

import json
import signal
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from auditing import audit
from callbacks import Made, Vendors
from ledger import Load
from partitions import Owned, owners
from reader import Reader, Record
from stack import COMPANY, Stack

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(150)]

TICKS_0 = 638_974_335_577_900_000
KEY = f"visma-net/{COMPANY}/account/{{}}"
IDENTITY = f"visma-net/{COMPANY}/identity/account.dddddddd-0000-4000-8000-{{}}"
SESSION_MS = 10_000
AROUND = 240
"""Callbacks of other entities before and while it happens."""
STOPPED, GOING = "worker-1", "worker-2"


class Accounts:
    """Announcements of accounts; each has a time of its own."""

    def __init__(self, owned: Owned) -> None:
        self._owned = owned

    def number(self, owner: str) -> str:
        return self._owned.by(owner, KEY)

    def guid(self, owner: str) -> str:
        return f"dddddddd-0000-4000-8000-{self._owned.by(owner, IDENTITY)}"


def named(number: str, guid: str, hour: int, event: str = "Account_IdentityChanged") -> Made:
    """One envelope that names an account by number and GUID; no two here share a time."""
    body = {
        "event": event,
        "companyId": COMPANY,
        "entityId": guid,
        "notificationId": f"{guid}-{hour}",
        "entityLocation": f"api/v1/account/{number}",
        "timeStamp": str(TICKS_0 + hour * 10_000 + int(number)),
    }
    return Made("visma-net", json.dumps(body).encode())


class Accounting:
    """Reads the changelog of accounts."""

    def __init__(self, stack: Stack, registry: str) -> None:
        self._reader = Reader(stack.bootstrap, registry)
        self._topic = stack.topic("changelog", "account")

    def last(self) -> dict[str, list[Record]]:
        """Give each number's last two records."""
        found: dict[str, list[Record]] = {}
        for one in self._reader.read([self._topic]):
            found.setdefault(one.key.rpartition("/")[2], []).append(one)
        return {number: records[-2:] for number, records in found.items()}

    def until(self, number: str, within_s: float = 60, **columns: Any) -> None:
        """Wait until the last record of a number says so."""
        deadline = time.monotonic() + within_s
        while True:
            value = self.last().get(number, [None])[-1]
            told = {} if value is None or value.value is None else value.value
            if told and all(told[name] == one for name, one in columns.items()):
                return
            assert time.monotonic() < deadline, (number, columns, told)
            time.sleep(0.1)


def test_a_worker_killed_between_a_new_number_and_its_effect_on_the_old_one_changes_nothing(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    """A-14, VF-04: neither both nor none of the numbers, whoever owned them when the worker died."""
    chance = Random(7)
    with Stack(bootstrap, prefix, tmp_path, worker={"session_timeout_ms": SESSION_MS}) as stack:
        stack.serve()
        stopped, going = (stack.start(name, "work") for name in (STOPPED, GOING))
        stopped.ready()
        going.ready()
        owner_of = owners(stack, stack.topic("raw", "visma-net"))
        assert set(owner_of.values()) == {STOPPED, GOING}, owner_of
        accounts = Accounts(Owned(owner_of))
        number, guid = accounts.number, accounts.guid
        plain, here, late, twice, back = ([number(STOPPED), number(GOING), number(STOPPED)] for _ in range(5))
        guids = [guid(GOING), guid(STOPPED), guid(GOING), guid(GOING), guid(STOPPED)]
        first = [
            named(one[0], guid_, 0, "Account_Created")
            for one, guid_ in zip((plain, here, twice, back), (guids[0], guids[1], *guids[3:]), strict=True)
        ]
        then = [
            named(plain[1], guids[0], 1),
            named(here[1], guids[1], 1),
            named(late[1], guids[2], 1),
            named(late[0], guids[2], 0, "Account_Updated"),
            named(twice[1], guids[3], 1),
            named(twice[2], guids[3], 2),
            named(back[1], guids[4], 1),
            named(back[0], guids[4], 2),
        ]
        around = Vendors(41, stack.secrets["STACK_CLIENT_KEY"]).callbacks(AROUND)
        rows = Load(stack, first + around[: AROUND // 2]).post().rows
        stack.drained()
        accounting = Accounting(stack, going.url)

        stopped.signal(signal.SIGSTOP)
        since = time.monotonic()
        then += chance.sample(then, k=4) + around[AROUND // 2 :]
        chance.shuffle(then)
        rows += Load(stack, then).post().rows
        accounting.until(plain[1], previous_key=KEY.format(plain[0]))
        between = accounting.last()
        early = time.monotonic() - since < SESSION_MS / 1000
        stopped.kill()
        again = stack.start(STOPPED, "work")
        stack.drained()

        assert again.ready().alive
        told = audit(stack, rows, going.url)
        print(told.told(), f"killed before the takeover: {early}", sep="\n")
        told.clean()
        if early:  # the other worker had not taken over: the old number still stood
            assert between[plain[0]][-1].value["meta_op"] == "UPSERT"
        after = accounting.last()
        for old, new in ((plain[0], plain[1]), (here[0], here[1]), (late[0], late[1])):
            moved(after, old, new)
            assert after[new][-1].value["previous_key"] == KEY.format(old)
        for old in twice[:2]:
            moved(after, old, twice[2])
        assert after[twice[2]][-1].value["previous_key"] == KEY.format(twice[1])
        moved(after, back[1], back[0])
        assert after[back[0]][-1].value["previous_key"] == KEY.format(back[1])


def moved(after: dict[str, list[Record]], old: str, new: str) -> None:
    """Assert that a number is deleted and names its successor, in both of its last records."""
    deleted, tombstone = after[old]
    assert (deleted.value["meta_op"], deleted.value["replaced_by"]) == ("DELETE", KEY.format(new))
    assert tombstone.value is None
    for record in (deleted, tombstone):
        assert record.headers["x-erp-successor"].decode() == KEY.format(new)
    assert after[new][-1].value["meta_op"] == "UPSERT"
