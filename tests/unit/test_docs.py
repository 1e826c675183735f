"""What the documents name is there: links, tests, commands, targets, settings, metrics, examples."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml
from furniture import Bench, callback, furnished, raws

from connector.cli import main
from connector.cli.samples import SAMPLES
from connector.model import ChangelogRecord, Outcome
from connector.runtime import counts, guards, ingress_metrics, lag, operations
from connector.runtime.environment import CONFIG, FOR_TESTS, KAFKA, PREFIX, variables
from connector.runtime.metrics import LIST
from connector.runtime.settings import Settings
from connector.sources import SOURCES

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "changelog.d").glob("*.md")],
    key=str,
)
CHART_PAGE = ROOT / "docs" / "kubernetes.md"
"""Its configurations are values of the chart."""
VALUES_SCHEMA = ROOT / "helm" / "connector" / "values.schema.json"
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\\.)*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LISTING = (counts, guards, ingress_metrics, lag, operations)
"""Read for the metrics they list."""
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def fences(page: Path, *languages: str) -> Iterator[str]:
    """Give the fenced blocks of some languages."""
    for _, language, block in FENCE.findall(page.read_text()):
        if language in languages:
            yield block


def code(page: Path) -> Iterator[str]:
    """Give every line of shell and every inline piece of code."""
    prose = FENCE.sub("", page.read_text())
    yield from INLINE.findall(prose)
    for block in fences(page, "sh", ""):
        yield from re.sub(r"\\\n\s*", " ", block).splitlines()


def anchors(page: Path) -> set[str]:
    """Give what a `#...` may name, as web views of Markdown make it from headings."""
    prose = FENCE.sub("", page.read_text())
    heads = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.strip().lower()).replace(" ", "-") for head in heads}


@every_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for _, target in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.replace("\\", "").partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@every_page
def test_every_test_that_is_named_is_there(page: Path) -> None:
    for text, target in LINK.findall(page.read_text()):
        name = text.strip("`")
        if name.startswith("test_"):
            assert f"def {name}(" in (page.parent / target).read_text(), name


@every_page
def test_every_make_target_that_is_named_is_there(page: Path) -> None:
    for line in code(page):
        if named := re.match(r"make((?: [a-z-]+)*)(?:\s+#.*)?$", line.strip()):
            assert set(named[1].split()) <= TARGETS, line


@every_page
def test_every_command_and_option_that_is_named_is_there(page: Path) -> None:
    for line in code(page):
        for part in re.split(r"&&|;|\|", line.split(" #")[0]):
            words = [word for word in part.strip().rstrip("&").split() if "=" not in word or word[0] == "-"]
            if words and words[0].removeprefix(".venv/bin/") == "connector":
                assert misread(words[1:]) is None, line


def misread(words: list[str]) -> str | None:
    """Name the word of a command line that `connector` does not know; options' values are not judged."""
    command: click.Command = main
    options = {name for one in main.params for name in one.opts} | {"--help", "--version"}
    for word in words:
        if word.startswith("--"):
            if word.partition("=")[0] not in options:
                return word
        elif isinstance(command, click.Group) and re.fullmatch(r"[a-z|]+", word):
            found = [command.commands.get(name) for name in word.split("|")]
            if None in found or found[0] is None:
                return word
            command = found[0]
            options |= {name for one in command.params for name in one.opts}
    return None


@every_page
def test_every_configuration_is_one(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONFIG, raising=False)
    for block in fences(page, "yaml"):
        if page == CHART_PAGE:
            jsonschema.validate(yaml.safe_load(block), json.loads(VALUES_SCHEMA.read_text()))
        else:
            Settings(**yaml.safe_load(block))


def test_the_example_of_a_configuration_is_one() -> None:
    settings = Settings(**yaml.safe_load((ROOT / "examples" / "connector.yaml").read_text()))

    assert {endpoint.source for endpoint in settings.endpoints} <= SOURCES.keys()


@every_page
def test_every_variable_that_is_named_is_read(page: Path) -> None:
    known = {CONFIG, *dict(variables(Settings))}
    for name in set(re.findall(rf"\b{PREFIX}[A-Z0-9_]+", page.read_text())):
        assert name in known or name.startswith((KAFKA, FOR_TESTS)) or name == KAFKA.rstrip("_"), name


@every_page
def test_every_setting_that_is_named_exists(page: Path) -> None:
    groups = "topics|registry|ingress|operations|worker"
    known = {name.removeprefix(PREFIX).lower().replace("__", ".") for name, _ in variables(Settings)}
    if page.name == "kubernetes.md":  # it names values of the chart, too
        values = yaml.safe_load((ROOT / "helm" / "connector" / "values.yaml").read_text())
        known |= {f"{role}.{name}" for role in ("ingress", "worker") for name in values[role]}
    for text in INLINE.findall(FENCE.sub("", page.read_text())):
        if named := re.match(rf"((?:{groups})\.[a-z_]+)(?::.*)?$", text):
            assert named[1] in known or named[1].endswith((".py", ".md")), text


@every_page
def test_every_metric_that_is_named_is_counted(page: Path) -> None:
    for text in code(page):
        if named := re.match(r"(connector_[a-z_]+)(?:\{([a-z_,]+)\})?$", text):
            assert named[1] in LIST, text
            assert set((named[2] or "").split(",")) - {""} <= set(LIST[named[1]].labels), text


@every_page
def test_every_piece_of_python_compiles(page: Path) -> None:
    for block in fences(page, "python"):
        ast.parse(block)


@pytest.mark.parametrize("example", sorted((ROOT / "examples").rglob("*.*")), ids=lambda path: path.name)
def test_an_example_fits_on_a_page(example: Path) -> None:
    text = example.read_text()

    assert len(text.splitlines()) <= 80
    if example.suffix == ".py":
        ast.parse(text)


def test_the_rule_of_the_pages_is_that_of_the_example() -> None:
    """One rule, printed three times."""
    rules = [
        take_in(text)
        for text in (
            *fences(ROOT / "README.md", "python"),
            *fences(ROOT / "docs" / "consuming.md", "python"),
            (ROOT / "examples" / "python" / "read_changelog.py").read_text(),
        )
    ]

    assert len(rules) == 3
    assert len(set(rules)) == 1


def take_in(text: str) -> str:
    """Give the statements of the function `take`, without its docstring."""
    take = next(
        one for one in ast.parse(text).body if isinstance(one, ast.FunctionDef) and one.name == "take"
    )
    return "\n".join(
        ast.unparse(one) for one in take.body if not isinstance(one, ast.Expr) or one is take.body[-1]
    )


def test_every_event_of_every_vendor_is_in_the_requirements() -> None:
    listed = re.findall(
        r"^\| ([A-Z]+-[0-9]{2}) \|", (ROOT / "docs" / "requirements.md").read_text(), re.MULTILINE
    )

    assert len(listed) == len(set(listed))
    assert {row.row for source in SOURCES.values() for row in source.events if row.row} <= set(listed)


STEP = re.compile(r"<!-- (callback|records): ([^>]*?) -->\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples() -> list[tuple[list[str], str, list[dict[str, Any]]]]:
    """Read the README's stories: callbacks, how their records are shown, the records."""
    stories, sent = [], []
    for kind, told, block in STEP.findall((ROOT / "README.md").read_text()):
        if kind == "callback":
            assert block.encode() == SAMPLES[told].body.rstrip(b"\n") + b"\n", told
            sent.append(told)
        else:
            stories.append((sent, told, json.loads(block)))
            sent = []
    return stories


@pytest.mark.parametrize("backwards", [False, True])
def test_the_callbacks_of_the_readme_become_its_records(backwards: bool) -> None:  # noqa: FBT001  a case
    stories = examples()
    assert len(stories) == 2
    for sent, told, shown in stories:
        tenant, _, last = told.partition(", ")
        bench = Bench()
        for name in reversed(sent) if backwards else sent:
            bench.work(raws(callback(SAMPLES[name].source, SAMPLES[name].body), tenant))
        written = [record for record in records(bench) if record.key.text == shown[0]["key"]]

        for record, expected in zip(written[-1:] if last else written, shown, strict=True):
            assert as_shown(record, expected) == expected


def records(bench: Bench) -> Iterator[ChangelogRecord]:
    """Give everything a bench wrote."""
    for one in bench.outcomes:
        yield from one.records if isinstance(one, Outcome) else ()


def as_shown(record: ChangelogRecord, expected: dict[str, Any]) -> dict[str, Any]:
    """Give a record as the README shows it: without nulls, and of `meta_*` and headers only some."""
    value = None
    if record.value is not None:
        value = {
            name: one
            for name, one in furnished()[1].decode(record.value, record.key.entity).items()
            if one is not None and (not name.startswith("meta_") or name in expected["value"])
        }
    headers = {name: text.decode() for name, text in record.headers if name in expected["headers"]}
    return {"key": record.key.text, "value": value, "headers": headers}
