"""Every declared failpoint is passed in the code, once, is told in docs/testing.md, and is empty off duty."""

import ast
import dis
import re
from collections import Counter
from pathlib import Path

import pytest
from failing import BETWEEN, Failed, passing

from connector.runtime import failpoints

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "testing.md"


def passed() -> Counter[str]:
    found: Counter[str] = Counter()
    for path in sorted((ROOT / "connector").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "failpoints.at":
                (name,) = node.args
                assert isinstance(name, ast.Constant), path
                found[name.value] += 1
    return found


def test_every_failpoint_is_passed_in_one_place_and_no_other_is() -> None:
    assert passed() == Counter(dict.fromkeys(failpoints.POINTS, 1))


def test_every_failpoint_stands_in_the_page_with_what_is_done_by_then() -> None:
    told = dict(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \| (.+?) \|$", PAGE.read_text(), re.MULTILINE))

    assert told == {**failpoints.POINTS, **BETWEEN}


def test_a_failpoint_does_nothing_unless_a_test_arms_it() -> None:
    body = [one for one in dis.get_instructions(failpoints.at) if one.opname not in ("RESUME", "NOP")]

    assert len(body) <= 2, "returns None, and no more"
    assert not {"CONNECTOR_TEST_FAILPOINT", "environ"} & set(failpoints.__dict__)


@pytest.mark.parametrize("path", sorted((ROOT / "connector").rglob("*.py")), ids=str)
def test_the_product_never_arms_one(path: Path) -> None:
    text = path.read_text()

    assert "failpoints.arm" not in text
    assert "FAILPOINT" not in text


def test_the_passage_that_was_asked_for_fails_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "at", failpoints.at)
    failpoints.arm(passing("outlet.begun:raise:2"))

    failpoints.at("outlet.begun")
    failpoints.at("outlet.produced")
    with pytest.raises(Failed):
        failpoints.at("outlet.begun")
    failpoints.at("outlet.begun")


def test_a_failpoint_nobody_declared_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match=r"no failpoint outlet\.bugun"):
        passing("outlet.bugun:kill:1")
