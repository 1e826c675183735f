"""docs/walk-through.md is run: its commands, in its order, and what they print is compared with it."""

import queue
import re
import secrets
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest
from auditing import topics_of
from reader import Reader
from stack import Stack

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(150)]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "walk-through.md"
STEP = re.compile(r"(?:<!-- ([a-z ]+) -->\n)?```(?:sh|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
KEY = "duett/acme/customer/13017"
COMPANY = "25508d90-7c58-49cd-8baf-7274a3a0420c"
ANYTHING = "..."
PRINTED_S = 60


class Step(NamedTuple):
    """One block of the page."""

    kind: str
    """"" for commands, else what stands above the block."""
    text: str


class Terminal:
    """A shell or a command, and the lines it prints."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, env=env, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()

    def _listen(self, out: IO[str]) -> None:
        for line in out:
            self._lines.put(line.rstrip("\n"))

    def run(self, commands: str) -> list[str]:
        """Run a block to its end; give what it printed."""
        end = f"end-{uuid.uuid4()}"
        pipe = self._process.stdin
        assert pipe is not None
        pipe.write(f"{commands}\necho {end} $?\n")
        pipe.flush()
        lines = [self.line()]
        while not lines[-1].startswith(end):
            lines.append(self.line())
        assert lines.pop() == f"{end} 0", lines
        return lines

    def line(self) -> str:
        return self._lines.get(timeout=PRINTED_S)

    def silent(self) -> bool:
        return self._lines.empty()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def stack(bootstrap: str, prefix: str, tmp_path: Path) -> Iterator[Stack]:
    """The README's example of a configuration, its variables, and both roles."""
    stack = Stack(bootstrap, prefix, tmp_path)
    stack.config = ROOT / "examples" / "connector.yaml"
    stack.env |= {name: secrets.token_hex(32) for name in ("DUETT_SECRET", "VISMA_SECRET", "QUICKFILE_TOKEN")}
    stack.env |= {
        "DUETT_COMPANY": COMPANY,
        "CONNECTOR_CONFIG": str(stack.config),
        "CONNECTOR_KAFKA__BOOTSTRAP_SERVERS": bootstrap,
        "CONNECTOR_TOPICS__REPLICATION_FACTOR": "1",
        "CONNECTOR_TOPICS__PREFIX": prefix,
        "CONNECTOR_TOPICS__PARTITIONS": str(stack.partitions),
        "CONNECTOR_INGRESS__PORT": str(stack.port),
        "PYTHONUNBUFFERED": "1",
    }
    with stack:
        yield stack


def steps() -> list[Step]:
    return [Step(kind, text) for kind, text in STEP.findall(PAGE.read_text())]


def test_the_walk_through_prints_what_it_says(stack: Stack, prefix: str) -> None:
    """D-01, D-36, A-58: changed, deleted, not revived by an old update, revived by a newer create."""
    stack.start("ingress", "serve")
    worker = stack.start("worker", "work")
    for child in stack.children:
        child.ready()
    env = stack.env | {"KAFKA": stack.bootstrap, "REGISTRY": f"{worker.url}/registry"}
    follow, *rest = steps()
    assert follow.kind == "second terminal"
    second = Terminal([sys.executable, "-m", *follow.text.split()], env)
    first = Terminal(["bash"], env | {"PYTHON": sys.executable})
    try:
        first.run(
            f'connector() {{ if [ "$1" = send ]; then set -- "$@" --url http://127.0.0.1:{stack.port}; fi\n'
            '"$PYTHON" -m connector "$@"; }; python() { "$PYTHON" "$@"; }; set -o pipefail'
        )
        printed: list[str] = []
        for kind, text in rest:
            if kind == "second terminal prints":
                compare([second.line() for _ in text.splitlines()], text)
            elif kind == "prints":
                compare(printed, text.replace(" erp.", f" {prefix}."))
            else:
                printed = first.run(text.replace(" erp.", f" {prefix}."))
                stack.drained()
        assert second.silent()
    finally:
        first.close()
        second.close()

    records = [one for one in Reader(stack.bootstrap, worker.url).read(topics_of(stack)) if one.key == KEY]
    whole_story(records, prefix)


def compare(printed: list[str], text: str) -> None:
    """Compare lines with a block; three dots stand for anything."""
    wanted = text.splitlines()
    assert len(printed) == len(wanted), printed
    for line, pattern in zip(printed, wanted, strict=True):
        like = ".+".join(map(re.escape, pattern.split(ANYTHING)))
        assert re.fullmatch(like, line), f"{line!r} is not {pattern!r}"


def whole_story(records: list[Any], prefix: str) -> None:
    """Assert that the topics hold the story in full, and nothing of the old customer at its end."""
    changes = [one for one in records if one.topic == f"{prefix}.changelog.customer"]
    created, updated, deleted, tombstone, back = (one.value for one in changes)
    differ = {name for name, value in created.items() if updated[name] != value and name[:5] != "meta_"}
    assert differ == {"city", "budget_amount"}
    assert (deleted["meta_op"], tombstone) == ("DELETE", None)
    left = {name for name, value in back.items() if value is not None and name[:5] != "meta_"}
    assert left == {"id", "number", "name", "budget_amount"}
    verdicts = [one.value["verdict"] for one in records if one.topic == f"{prefix}.events"]
    assert verdicts == ["applied", "applied", "applied", "stale", "applied"]
