"""Which test or page shows each requirement of docs/requirements.md.

python docs/coverage.py          write docs/coverage.md
python docs/coverage.py --check  change nothing; exit code 1 when it is stale

Both fail when an id is shown by nothing, and when a row points to a test, case or section that is not there.
An event row is shown by a golden case of its number alone, and only if the row stands in its source's event
table and the case has that event under a key of that entity. Any other id is shown by the tests, golden cases
and sections its row points to, and by the tests and pages that name it. A row whose status begins with
`Documented` stands for something that is not built: the section it points to must name it, and the page lists
such rows apart. No row may be missing: `DEMANDED` has every number.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from connector.core.read import token
from connector.core.source import EventRow, Source
from connector.sources import SOURCES

ROOT: Final = Path(__file__).parent.parent
HEAD: Final = """<!-- Made by docs/coverage.py; change the tests and pages it is made from. -->

# Coverage

Where each row of [requirements.md](requirements.md) is shown to hold. A golden case is a folder of
`tests/golden` with a vendor's bytes and all that becomes of them. `make coverage-matrix` fails when a row is
shown by nothing, or by something that is not there.

"""
TOLD: Final = "About the vendors' own interfaces, which nothing here calls: what an operator does by hand."
_ID: Final = re.compile(r"\b(?:R|M|D|DE|V|VE|VF|VS|VJ|VB|K|Q|QE|A|X)-[0-9]{2}\b")
_link: Final = re.compile(r"\[([^\]]*)\]\(([^)]*)\)")
_CELL: Final = re.compile(r"(?<!\\)\|")
DEMANDED: Final = (
    "R 1-8, M 1-8, D 1-12 20-27 30-39 50-54 60-62, V 1-14, VE 1-10, VF 90-94, VS 90-92, VJ 90-93, VB 1, "
    "K 1-15 20, Q 1-7, QE 90, A 1-60, X 1-13"
)
"""Every id beside the events', so that a row cannot be dropped unseen."""
_SILENT: Final = ("requirements.md", "coverage.md")
"""Pages that list the ids and show nothing."""


class Row(NamedTuple):
    """One row of docs/requirements.md."""

    id: str
    demand: str
    status: str

    @property
    def documented(self) -> bool:
        """Whether a page tells operators of it, and nothing is built."""
        return self.status.startswith("Documented")


class Matrix(NamedTuple):
    """What the pages, the tests and the sources say about the rows."""

    rows: dict[str, Row]
    events: list[dict[str, str]]
    """The list of all events: id, source, name, entity, operation."""
    shown: dict[str, list[str]]
    """Id -> where it is shown."""
    faults: list[str]


def requirements(page: str) -> dict[str, Row]:
    """Read every table of the page whose first column is `id`."""
    rows: dict[str, Row] = {}
    columns: list[str] = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in _CELL.split(line)[1:-1]]
        if not cells:
            columns = []
        elif not columns:
            columns = [cell.lower() for cell in cells]
        elif columns[0] == "id" and _ID.fullmatch(cells[0]):
            rows[cells[0]] = Row(cells[0], cells[1], cells[-1])
    return rows


def look(root: Path, sources: Mapping[str, Source]) -> Matrix:
    """Gather everything; faults are told by id, with what is missing."""
    rows = requirements((root / "docs" / "requirements.md").read_text())
    events = list(csv.DictReader((root / "tests" / "unit" / "events.csv").read_text().splitlines()))
    shown: dict[str, list[str]] = {id_: [] for id_ in rows}
    faults = []
    for id_, place in [*pointed(root, rows.values(), faults), *tests(root), *pages(root)]:
        if place not in shown.setdefault(id_, []):
            shown[id_].append(place)
    listed = {event["id"] for event in events}
    for event in events:
        faults += [f"{event['id']}: {fault}" for fault in event_faults(root, event, sources)]
        folder = f"../tests/golden/{event['source']}"
        shown[event["id"]] = [f"[{one.name}]({folder}/{one.name})" for one in cases(root, event)]
    for id_, row in rows.items():
        if id_ not in listed and not shown[id_]:
            faults.append(f"{id_}: shown by no test, golden case or page ({row.demand})")
    wanted = demanded() | shown.keys() | listed
    faults += [f"{id_}: no row in docs/requirements.md" for id_ in wanted - rows.keys()]
    return Matrix(rows, events, shown, sorted(set(faults)))


def demanded() -> set[str]:
    """Give the id of every demand that is no event."""
    ids = set()
    for letters, *spans in (one.split() for one in DEMANDED.split(", ")):
        for first, _, last in (span.partition("-") for span in spans):
            ids |= {f"{letters}-{number:02}" for number in range(int(first), int(last or first) + 1)}
    return ids


def cases(root: Path, event: Mapping[str, str]) -> list[Path]:
    """Find the golden cases that carry an event row's number."""
    folder = root / "tests" / "golden" / event["source"]
    return sorted(one.parent for one in folder.glob(f"{event['id'].lower()}-*/endpoint.json"))


def event_faults(root: Path, event: Mapping[str, str], sources: Mapping[str, Source]) -> Iterator[str]:
    """Say what keeps an event from being covered."""
    row = next((one for one in sources[event["source"]].events if one.row == event["id"]), None)
    if row is None:
        yield f"not in the event table of {event['source']}"
        return
    if (row.entity or "") != event["entity"] or row.operation != event["operation"]:
        yield f"{event['source']} takes it for {row.operation} of {row.entity or 'no entity'}"
    if not (found := cases(root, event)):
        yield f"no golden case tests/golden/{event['source']}/{event['id'].lower()}-*"
    for case in found:
        if not _lands(case, row):
            yield f"{case.name}: no raw record of it is this event of {row.entity or 'no entity'}"


def _lands(case: Path, row: EventRow) -> bool:
    """Say whether a blessed case has the row's event, under a key of the row's entity."""
    expected = json.loads((case / "expected.json").read_text())
    return any(
        one["key"].split("/")[2] == (row.entity or "system")
        and token(one["event"]["meta_event_type"]) in (row.token, *row.aliases)
        for one in expected["carried"]
        if "event" in one
    )


def pointed(root: Path, rows: Iterable[Row], faults: list[str]) -> Iterator[tuple[str, str]]:
    """Follow the links of every status; a dead one is a fault, one into the code shows nothing."""
    for row in rows:
        for text, link in _link.findall(row.status):
            name, _, anchor = link.partition("#")
            target = (root / "docs" / name).resolve()
            if fault := _fault(root, row, text.strip("`"), link, target, anchor):
                faults.append(f"{row.id}: {fault}")
            elif target.is_dir() or target.suffix == ".md" or target.is_relative_to(root.resolve() / "tests"):
                yield row.id, f"{'golden case ' * target.is_dir()}[{text}]({link})"


def _fault(root: Path, row: Row, text: str, link: str, target: Path, anchor: str) -> str | None:
    """Say why a link leads to nothing that shows the row."""
    if not target.exists():
        return f"{link} is not there"
    if target.is_dir():
        return None if (target / "expected.json").exists() else f"{link} is no golden case"
    if target.suffix == ".py" and target.is_relative_to(root.resolve() / "tests"):
        return None if _defines(target, text) else f"{link} has no test {text}{_moved(root, text)}"
    if target.suffix == ".md" and anchor and anchor not in _sections(target.read_text()):
        return f"{link.partition('#')[0]} has no section #{anchor}"
    if row.documented and row.id not in _sections(target.read_text()).get(anchor, ""):
        return f"{link} does not speak of it"
    return None


def _moved(root: Path, test: str) -> str:
    """Say where a test of this name is now."""
    found = [file for file in (root / "tests").rglob("test_*.py") if _defines(file, test)]
    return f"; it is in {found[0].relative_to(root)}" if found else ""


def _defines(file: Path, test: str) -> bool:
    return f"def {test}(" in file.read_text()


@cache
def _sections(page: str) -> dict[str, str]:
    """Give the sections of a page by what a link may name: each with its heading, up to the next one."""
    pieces = re.split(r"(?m)^(#+ .*)$", page)
    return {
        re.sub(r"[^\w\- ]", "", head.lstrip("#").lower()).strip().replace(" ", "-"): head + text
        for head, text in zip(pieces[1::2], pieces[2::2], strict=True)
    }


def tests(root: Path) -> Iterator[tuple[str, str]]:
    """Find the ids that tests name: in their docstrings, and in the comments in and above them."""
    for file in sorted((root / "tests").rglob("test_*.py")):
        for id_, test in _named(file.read_text()):
            yield id_, f"[`{test}`](../{file.relative_to(root)})"


@cache
def _named(text: str) -> list[tuple[str, str]]:
    """Give the ids in a file of tests, each with the test that names it."""
    if not _ID.search(text):
        return []
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = {one.start[0]: one.string for one in tokens if one.type == tokenize.COMMENT}
    found = []
    for test in ast.walk(ast.parse(text)):
        if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef) and test.name.startswith("test_"):
            first = min([test.lineno, *(one.lineno for one in test.decorator_list)])
            while first - 1 in comments:
                first -= 1
            lines = range(first, (test.end_lineno or first) + 1)
            said = [ast.get_docstring(test) or "", *(comments.get(line, "") for line in lines)]
            found += [(id_, test.name) for id_ in _ID.findall("\n".join(said))]
    return found


def pages(root: Path) -> Iterator[tuple[str, str]]:
    """Find the ids that sections of hand-written pages name."""
    for file in sorted([*(root / "docs").rglob("*.md"), *root.glob("*.md")]):
        if file.name in _SILENT:
            continue
        link = os.path.relpath(file, root / "docs")
        section = file.stem
        for line in file.read_text().splitlines():
            if line.startswith("#"):
                section = line.lstrip("# ").strip()
            for id_ in _ID.findall(line):
                yield id_, f"[{file.name}: {section}]({link})"


def page(found: Matrix) -> str:
    """Lay out docs/coverage.md."""
    listed = [event["id"] for event in found.events]
    events = (
        (one["id"], one["name"], one["entity"] or "none", one["operation"], ", ".join(found.shown[one["id"]]))
        for one in found.events
    )
    rest = [row for id_, row in found.rows.items() if id_ not in listed]
    done = ((row.id, row.demand, ", ".join(found.shown[row.id])) for row in rest if not row.documented)
    told = [(row.id, row.demand, row.status.partition(": ")[2]) for row in rest if row.documented]
    return (
        f"{HEAD}{summary(found)}; {len(told)} of them are documented and not built.\n\n## Events\n\n"
        + _table(("id", "event", "entity", "operation", "golden case"), events)
        + "\n## Requirements\n\n"
        + _table(("id", "demand", "shown by"), done)
        + f"\n## Documented; not built\n\n{TOLD}\n\n"
        + _table(("id", "demand", "told in"), told)
    )


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(columns), *(tuple(row) for row in rows)]
    lines.insert(1, ("---",) * len(lines[0]))
    return "".join("| " + " | ".join(" ".join(cell.split()) for cell in line) + " |\n" for line in lines)


def summary(found: Matrix) -> str:
    """Count in one line what is covered."""
    broken = {fault.partition(":")[0] for fault in found.faults}
    listed = {event["id"] for event in found.events}
    rest = (demanded() | found.rows.keys()) - listed
    return f"{len(listed - broken)}/{len(listed)} events, {len(rest - broken)}/{len(rest)} requirements"


def main(arguments: list[str]) -> int:
    """Write, or check; give the exit code. The summary is the last line."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    found = look(ROOT, SOURCES)
    text, made = page(found), ROOT / "docs" / "coverage.md"
    stale = not made.exists() or made.read_text() != text
    for fault in found.faults:
        print(fault, file=sys.stderr)
    if stale and arguments:
        print("docs/coverage.md: stale; run: python docs/coverage.py", file=sys.stderr)
    elif stale:
        made.write_text(text)
        print("docs/coverage.md")
    print(f"{sum(row.documented for row in found.rows.values())} of the requirements: documented, not built")
    print(summary(found))
    return 1 if found.faults or (stale and arguments) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
