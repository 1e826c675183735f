"""The switch to changelogs that were told anew: nothing that came meanwhile is missing, and back again."""

import json
import uuid
from pathlib import Path

import pytest
import yaml
from callbacks import Vendors
from click.testing import CliRunner, Result
from furniture import PROVENANCE
from ledger import Load
from reader import Reader, Record
from stack import Stack

from connector.cli import main
from connector.runtime.registry import Registry, folder

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

ENTITIES = ("customer", "voucher_line", "customer_invoice")
CODECS = Registry.load(folder()).codecs()


def run(stack: Stack, *words: str) -> Result:
    return CliRunner(env=stack.env).invoke(main, ["--config", str(stack.config), *words])


def compacted(stack: Stack, suffix: str = "") -> dict[str, object]:
    """Keep the last record of every key: its state part, or the version of its delete."""
    topics = [stack.topic("changelog", entity) + suffix for entity in ENTITIES]
    return {one.key: state(one) for one in Reader(stack.bootstrap).read(topics)}


def state(record: Record) -> object:
    if record.value is None:
        return record.headers["x-erp-version"]
    value = CODECS.decode(record.value, record.key.split("/")[2])
    return {name: one for name, one in value.items() if name not in PROVENANCE}


def choose(stack: Stack, version: int) -> None:
    settings = yaml.safe_load(stack.config.read_text())
    settings["topics"]["versions"] = dict.fromkeys(ENTITIES, version)
    stack.config.write_text(yaml.safe_dump(settings, sort_keys=False))


def test_a_switch_misses_nothing_that_came_while_the_workers_went_on(bootstrap: str, tmp_path: Path) -> None:
    with Stack(bootstrap, f"t{uuid.uuid4().hex[:8]}", tmp_path, 2) as stack:
        made = Vendors(3, stack.secrets["STACK_CLIENT_KEY"]).callbacks(300)
        stack.start("ingress", "serve")
        worker = stack.start("worker-1", "work")
        for child in stack.children:
            child.ready()
        Load(stack, made[:100]).post()
        stack.drained()
        file = str(tmp_path / "rebuilt.json")
        assert run(stack, "rebuild", "apply", *ENTITIES, "--file", file).exit_code == 0
        Load(stack, made[100:200]).post()
        stack.drained()
        assert compacted(stack) != compacted(stack, ".v2"), "what came meanwhile is only in the live ones"

        choose(stack, 2)
        refused = run(stack, "rebuild", "switch", file, "--yes")
        assert refused.exit_code == 1
        assert "stop all workers first" in refused.stderr
        assert worker.stop() == 0
        planned = json.loads(run(stack, "rebuild", "switch", file, "--json").stdout)
        assert planned["moved"]
        assert not planned["done"]
        done = json.loads(run(stack, "rebuild", "switch", file, "--yes", "--json").stdout)
        assert done["moved"] == planned["moved"]
        worker = stack.work()
        stack.drained()
        assert compacted(stack, ".v2") == compacted(stack)

        Load(stack, made[200:]).post()
        stack.drained()
        assert compacted(stack, ".v2") != compacted(stack), "the old topics are not written any more"
        assert worker.stop() == 0
        choose(stack, 1)
        back = run(stack, "rebuild", "switch", file, "--back", "--yes")
        assert back.exit_code == 0, back.stderr
        stack.work()
        stack.drained()
        assert compacted(stack) == compacted(stack, ".v2")
