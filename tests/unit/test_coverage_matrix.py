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
    from collections.abc import Callable, Iterator

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


def copied(folder: Path) -> Path:
    """Copy what the matrix is made from."""
    others = (".*", "__pycache__", "benchmarks", "schemas")
    shutil.copytree(ROOT, folder / "copy", ignore=shutil.ignore_patterns(*others))
    return folder / "copy"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy that a test may change anywhere."""
    return copied(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of which nobody changes more than `page`."""
    return copied(tmp_path_factory.mktemp("shared"))


@pytest.fixture
def page(shared: Path) -> Iterator[Path]:
    """docs/requirements.md of the shared copy; as it was after the test."""
    file = shared / "docs" / "requirements.md"
    text = file.read_text()
    yield file
    file.write_text(text)


def ran(root: Path, *words: str) -> tuple[int, str]:
    """Run the generator of a copy; give its exit code and the last line it printed."""
    told = subprocess.run(
        [sys.executable, root / "docs" / "coverage.py", *words], capture_output=True, text=True, check=False
    )
    return told.returncode, told.stdout.splitlines()[-1]


def test_every_row_is_shown(coverage: Any) -> None:
    found = coverage.look(ROOT, SOURCES)

    assert found.faults == []
    assert coverage.summary(found) == "92/92 events, 188/188 requirements"


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


def test_a_row_that_points_nowhere_or_that_nothing_shows_is_a_fault(
    shared: Path, page: Path, coverage: Any
) -> None:
    page.write_text(
        page.read_text()
        + "\n| id | demand | decision | status |\n|---|---|---|---|\n"
        + "| A-97 | One. | . | [gone](../tests/golden/duett/gone) |\n"
        + "| A-98 | Two. | . | [`test_gone`](../tests/unit/test_flow.py) |\n"
        + "| A-99 | Three. | . | [flow](../connector/flow.py), [readme](../README.md#gone) |\n"
        + "| A-96 | Four. | . | Later: not built |\n"
        + "| A-95 | Five. | . | Documented, not built: [readme](../README.md#topics) |\n"
    )

    faults = coverage.look(shared, SOURCES).faults

    assert {fault[:4] for fault in faults} == {"A-95", "A-96", "A-97", "A-98", "A-99"}
    assert sum("shown by no" in fault for fault in faults) == 5
    assert "A-95: ../README.md#topics does not speak of it" in faults


@pytest.mark.parametrize("id_", ["R-01", "D-25", "D-62", "V-14", "K-20", "A-60", "X-13", "M-02"])
def test_no_row_can_be_dropped_unseen(shared: Path, page: Path, coverage: Any, id_: str) -> None:
    page.write_text(re.sub(rf"(?m)^\| {id_} .*\n", "", page.read_text()))

    found = coverage.look(shared, SOURCES)

    assert found.faults == [f"{id_}: no row in docs/requirements.md"]
    assert coverage.summary(found) == "92/92 events, 187/188 requirements"


@pytest.mark.parametrize(
    ("gone", "ids"),
    [
        ("tests/golden/duett/tag-with-leading-blank", {"D-25", "D-31", "A-34"}),
        ("tests/golden/visma-net/printed-changed", {"A-11", "VE-01"}),
        ("docs/vendor-apis.md", None),
        ("helm", {"M-06"}),
    ],
)
def test_what_a_row_points_to_must_be_there(
    copy: Path, coverage: Any, gone: str, ids: set[str] | None
) -> None:
    place = copy / gone
    _ = shutil.rmtree(place) if place.is_dir() else place.unlink()

    faults = coverage.look(copy, SOURCES).faults

    named = {fault.partition(":")[0] for fault in faults}
    if ids is None:  # every row that only the page tells of
        rows = coverage.requirements((copy / "docs" / "requirements.md").read_text())
        ids = {row.id for row in rows.values() if row.documented}
        assert len(ids) == 38
    assert named >= ids
