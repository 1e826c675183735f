"""The matrix of requirements fails for whatever is missing: proven by taking it away."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from connector.sources import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def coverage() -> Any:
    spec = importlib.util.spec_from_file_location("coverage_matrix", ROOT / "docs" / "coverage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the matrix is made from."""
    shutil.copytree(ROOT, tmp_path / "copy", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    return tmp_path / "copy"


def ran(root: Path, *words: str) -> tuple[int, str]:
    """Run the generator of a copy; give its exit code and the last line it printed."""
    told = subprocess.run(
        [sys.executable, root / "docs" / "coverage.py", *words], capture_output=True, text=True, check=False
    )
    return told.returncode, told.stdout.splitlines()[-1]


def test_every_row_is_shown(coverage: Any) -> None:
    found = coverage.look(ROOT, SOURCES)

    assert found.faults == []
    events, done, whole = re.findall(r"(\d+/\d+) events, (\d+)/(\d+) requirements", coverage.summary(found))[
        0
    ]
    assert (events, done) == ("92/92", whole)


def test_a_written_page_is_fresh_until_a_case_is_gone(copy: Path) -> None:
    (copy / "docs" / "coverage.md").unlink(missing_ok=True)
    assert ran(copy, "--check")[0] == 1
    assert ran(copy)[0] == 0
    assert ran(copy, "--check")[0] == 0

    _without_case(copy)

    code, last = ran(copy, "--check")
    assert (code, last[:12]) == (1, "91/92 events")


def _without_case(root: Path) -> None:
    (case,) = (root / "tests" / "golden" / "duett").glob("de-03-*")
    shutil.rmtree(case)


def _without_a_row_of_the_page(root: Path) -> None:
    page = root / "docs" / "requirements.md"
    page.write_text(re.sub(r"(?m)^\| DE-03 .*\n", "", page.read_text()))


def _with_a_case_of_another_event(root: Path) -> None:
    (case,) = (root / "tests" / "golden" / "duett").glob("de-03-*")
    shutil.copy(case.parent / "de-06-customer-delete" / "expected.json", case)


@pytest.mark.parametrize(
    "take_away", [_without_case, _without_a_row_of_the_page, _with_a_case_of_another_event]
)
def test_an_event_without_its_golden_case_or_its_row_is_a_fault(
    copy: Path, coverage: Any, take_away: Callable[[Path], None]
) -> None:
    take_away(copy)

    found = coverage.look(copy, SOURCES)

    assert any(fault.startswith("DE-03: ") for fault in found.faults)
    assert coverage.summary(found).startswith("91/92 events")


@pytest.mark.parametrize("change", [None, {"entity": "customer"}, {"operation": "note"}])
def test_an_event_that_its_source_lacks_or_takes_for_another_is_a_fault(
    coverage: Any, change: dict[str, str] | None
) -> None:
    duett = SOURCES["duett"]
    rows = [row for row in duett.events if row.row != "DE-03"]
    if change is not None:
        rows += [msgspec.structs.replace(row, **change) for row in duett.events if row.row == "DE-03"]
    broken = SOURCES | {"duett": msgspec.structs.replace(duett, events=tuple(rows))}

    found = coverage.look(ROOT, broken)

    assert any(fault.startswith("DE-03: ") for fault in found.faults)
    assert coverage.summary(found).startswith("91/92 events")


def test_a_row_that_points_nowhere_or_that_nothing_shows_is_a_fault(copy: Path, coverage: Any) -> None:
    page = copy / "docs" / "requirements.md"
    page.write_text(
        page.read_text()
        + "\n| id | demand | decision | status |\n|---|---|---|---|\n"
        + "| A-97 | One. | . | [gone](../tests/golden/duett/gone) |\n"
        + "| A-98 | Two. | . | [`test_gone`](../tests/unit/test_flow.py) |\n"
        + "| A-99 | Three. | . | [flow](../connector/flow.py), [readme](../README.md#gone) |\n"
        + "| A-96 | Four. | . | Later: not built |\n"
    )

    faults = coverage.look(copy, SOURCES).faults

    assert {fault[:4] for fault in faults} >= {"A-97", "A-98", "A-99"}
    assert not any(fault.startswith("A-96") for fault in faults)
    assert sum("shown by no" in fault for fault in faults if fault.startswith("A-9")) == 3
