"""Who makes a proof: the syntax tree of the whole package is asked, not the reviewer."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import connector

PACKAGE = Path(connector.__file__).parent
MAKERS = {
    "Authentic": ("core/authenticate.py",),
    "vouch": ("cli/explain.py",),
    "Secret": ("core/schemes.py", "cli/explain.py"),
    "cut": ("core/receive.py", "core/again.py"),
    "place_part": ("core/receive.py", "core/again.py"),
    "again": ("runtime/retry.py",),
}
"""Name -> the only places that may call it; `Secret(...)` itself skips the check for weak ones, and `cut`
and `place_part` make raw records of a callback that is proved, or was before it went to quarantine."""


@cache
def package() -> dict[str, list[ast.AST]]:
    """The nodes of every module of the package, by its path; parsed once for all names."""
    return {
        path.relative_to(PACKAGE).as_posix(): list(ast.walk(ast.parse(path.read_text(), str(path))))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def callers(nodes: list[ast.AST], name: str) -> list[int]:
    """Lines that call a name, however it is reached: plain, by attribute, or copied with `replace`."""
    return [
        node.lineno
        for node in nodes
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id == name)
            or (isinstance(node.func, ast.Attribute) and node.func.attr == name)
        )
    ]


def aliases(nodes: list[ast.AST], name: str) -> list[int]:
    """Lines that give a maker another name, by import or assignment, which would hide its calls."""
    return [
        node.lineno
        for node in nodes
        if (
            isinstance(node, ast.ImportFrom)
            and any(one.name == name and one.asname not in (None, name) for one in node.names)
        )
        or (isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id == name)
    ]


@pytest.mark.parametrize("name", MAKERS)
def test_nobody_else_makes_a_proof(name: str) -> None:
    offenders = []
    for place, nodes in package().items():
        if not place.startswith(MAKERS[name]):
            offenders += [f"{place}:{line}" for line in callers(nodes, name) + aliases(nodes, name)]

    assert offenders == []


@pytest.mark.parametrize(
    "code",
    [
        "Authentic(callback, endpoint)",
        "authenticate.Authentic(callback, endpoint)",
        "from connector.core.authenticate import Authentic as Proof",
        "Proof = Authentic",
    ],
)
def test_every_way_to_make_one_is_seen(code: str) -> None:
    nodes = list(ast.walk(ast.parse(code)))

    assert callers(nodes, "Authentic") + aliases(nodes, "Authentic") == [1]


def test_a_station_takes_nothing_but_the_proof() -> None:
    """`receive` is the only way from a callback to raw records; `again` takes what it set aside."""
    tree = ast.parse((PACKAGE / "core" / "receive.py").read_text())
    receive = next(
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "receive"
    )

    first = receive.args.args[0]
    assert first.annotation is not None
    assert ast.unparse(first.annotation) == "Authentic"
