"""Settings out of `CONNECTOR_*` variables; one that means nothing is an error naming the nearest that does.

pydantic-settings 2.16 reads only the variables it looks for, so a misspelt one would be ignored without a
word. Its own reader also takes `1.10` or `007` in a free text for a number.
"""

from __future__ import annotations

import difflib
import os
import re
import types
from collections.abc import Iterator, Mapping
from typing import Any, Final, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from connector.errors import Misconfigured

PREFIX: Final = "CONNECTOR_"
SEPARATOR: Final = "__"
CONFIG: Final = "CONNECTOR_CONFIG"
"""Names the file; read by the command line."""
FOR_TESTS: Final = "CONNECTOR_TEST_"
KAFKA: Final = "CONNECTOR_KAFKA__"

_named: Final = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)").findall


class Environment(PydanticBaseSettingsSource):
    """The environment as a tree of settings.

    A variable that the file names by `env:` holds a secret and is no setting, even where it is called
    like one (`digest_key: env:CONNECTOR_DIGEST_KEY`).
    """

    def __init__(self, settings_cls: type[BaseSettings], written: Mapping[str, Any]) -> None:
        super().__init__(settings_cls)
        self._written = written

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: `__call__` reads all at once."""
        del field
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Read every variable with our prefix; an empty one counts as not set.

        Raises:
            Misconfigured: A variable is no setting.
        """
        ours = {name: text for name, text in os.environ.items() if name.startswith(PREFIX) and text}
        secrets = {*_named(str(self._written)), *_named(" ".join(ours.values()))}
        known = dict(variables(self.settings_cls))
        tree: dict[str, Any] = {}
        for name, text in ours.items():
            if name in secrets or name == CONFIG or name.startswith(FOR_TESTS):
                continue
            if name.startswith(KAFKA):
                kafka = tree.setdefault("kafka", {})
                kafka[name.removeprefix(KAFKA).lower().replace("_", ".")] = text
                continue
            if name not in known:
                raise Misconfigured(f"{name}: unknown variable{nearest(name, [*known, CONFIG])}")
            *above, leaf = name.removeprefix(PREFIX).lower().split(SEPARATOR)
            at = tree
            for group in above:
                at = at.setdefault(group, {})
            at[leaf] = _value(name, text, known[name])
        return tree


def variables(model: type[BaseModel], prefix: str = PREFIX) -> Iterator[tuple[str, FieldInfo]]:
    """List the variable of every single setting; lists and maps are one setting, written as YAML or JSON."""
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        if (inner := group_of(field)) is not None and not _is_collection(field):
            yield from variables(inner, f"{variable}{SEPARATOR}")
        elif not variable.startswith(KAFKA.removesuffix(SEPARATOR)):
            yield variable, field


def group_of(field: FieldInfo) -> type[BaseModel] | None:
    """Find the group of settings inside a field's type: of `Group | None`, of `tuple[Group, ...]`."""
    return _model_in(field.annotation)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _is_collection(field: FieldInfo) -> bool:
    annotation = field.annotation
    options = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    return any(get_origin(option) in (dict, list, tuple) for option in options)


def _value(name: str, text: str, field: FieldInfo) -> Any:
    if not _is_collection(field):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise Misconfigured(f"{name}: neither YAML nor JSON; a list looks like [a, b]") from None


def nearest(name: str, known: list[str]) -> str:
    """End a sentence about an unknown name with the one that was probably meant."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(sorted(known))}"
