"""What a PromQL expression names: metrics with their matchers, and labels it groups or joins by.

Enough of the language to compare names; whether an expression is right, promtool says.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"\s+|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|\[[^\]]*\]|[a-zA-Z_:][a-zA-Z0-9_:]*|=~|!~|!=|==|>=|<=|\$?[0-9.]+[a-z]*|."
)
_LISTS: Final = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_WORDS: Final = _LISTS | {"and", "or", "unless", "offset", "bool", "inf", "nan"}


class Selector(NamedTuple):
    """One metric with its matchers."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    """Label, operator, value."""


class Named(NamedTuple):
    """Everything one expression names."""

    selectors: list[Selector]
    labels: set[str]
    """Of by, without, on, ignoring, group_left."""


def named(expression: str) -> Named:
    """Read an expression.

    Raises:
        AssertionError: It selects series without naming a metric.
    """
    tokens = [one for one in _TOKEN.findall(expression) if not one.isspace()]
    found = Named([], set())
    at = 0
    while at < len(tokens):
        word, after = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else ""
        at += 1
        if word.lower() in _LISTS and after == "(":
            end = tokens.index(")", at)
            found.labels.update(one for one in tokens[at + 1 : end] if one != ",")
            at = end + 1
        elif word == "{":
            raise AssertionError(f"no metric before {{: {expression}")
        elif re.match(r"[a-zA-Z_:]", word) and word.lower() not in _WORDS and after != "(":
            if re.fullmatch(r"[hmsdwy]+", word) and tokens[at - 2][-1:].isdigit():
                continue
            # `sum(x) by (y)` apart, a name before `(` is a function and `sum by (y) (x)` an aggregation
            if after in _LISTS and word in ("sum", "max", "min", "count", "group", "avg"):
                continue
            matchers: tuple[tuple[str, str, str], ...] = ()
            if after == "{":
                end = tokens.index("}", at)
                matchers = tuple(_matchers(tokens[at + 1 : end]))
                at = end + 1
            found.selectors.append(Selector(word, matchers))
    return found


def _matchers(tokens: list[str]) -> Iterator[tuple[str, str, str]]:
    parts = [one for one in tokens if one != ","]
    for label, operator, value in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        yield label, operator, value[1:-1]
