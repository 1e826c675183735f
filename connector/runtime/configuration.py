"""One YAML file and the environment -> settings, or one line that says what to change.

The environment wins over the file. No text here ever holds a value that was read.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from connector.errors import Misconfigured
from connector.runtime.credentials import resolve_kafka
from connector.runtime.environment import group_of, nearest
from connector.runtime.settings import Settings

_SHOWN: Final = 3
"""More faults than these are only counted: the message stays one line."""
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,60}").fullmatch

_REMEDIES: Final = {
    "missing": "missing, and required",
    "string_type": "must be text: put it in quotes",
    "dict_type": "must be a map of names to values",
    "model_type": "must be a map of names to values",
    "tuple_type": "must be a list",
}


def load(path: Path | None) -> Settings:
    """Read the settings of this process.

    Args:
        path: The YAML file; None reads the environment alone.

    Raises:
        Misconfigured: One line with the path of the setting and the remedy.
    """
    written = {} if path is None else read(path)
    try:
        settings = Settings(**written)
    except ValidationError as error:
        raise Misconfigured(_told(error)) from None
    return settings.model_copy(update={"kafka": resolve_kafka(settings.kafka)})


def read(path: Path) -> dict[str, Any]:
    """Read the file as it stands.

    Raises:
        Misconfigured: It cannot be read, is no YAML, no map, or names a key twice.
    """
    try:
        written = yaml.load(path.read_bytes(), _Strict)  # noqa: S506  a SafeLoader
    except OSError as error:
        raise Misconfigured(
            f"{path}: {error.strerror}; name another with --config or CONNECTOR_CONFIG"
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        told = error.problem if isinstance(error, _Twice) else "not valid YAML"
        raise Misconfigured(f"{path}: {where}{told}") from None
    except (yaml.YAMLError, ValueError):
        raise Misconfigured(f"{path}: not valid YAML; is it UTF-8 text?") from None
    if written is None:
        return {}
    if not isinstance(written, dict) or not all(isinstance(name, str) for name in written):
        raise Misconfigured(f"{path}: must be a map of settings, such as `kafka:`")
    if unknown := [name for name in written if name not in Settings.model_fields]:
        raise Misconfigured(
            f"{_quoted(unknown[0])}: unknown key{nearest(unknown[0], [*Settings.model_fields])}"
        )
    return written


class _Twice(yaml.constructor.ConstructorError):
    """A key that stands twice; YAML would silently take the last."""


class _Strict(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002  as inherited
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(names)) < len(names):
            raise _Twice(None, None, "a key stands twice in this map", node.start_mark)
        return super().construct_mapping(node, deep)


def _told(error: ValidationError) -> str:
    faults = [_fault(detail) for detail in error.errors(include_url=False, include_input=False)]
    more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return "; ".join(faults[:_SHOWN]) + more


def _fault(detail: ErrorDetails) -> str:
    kind, place = detail["type"], detail["loc"]
    if kind == "extra_forbidden":
        name = str(place[-1])
        return f"{_where((*place[:-1], _quoted(name)))}: unknown key{nearest(name, _siblings(place))}"
    if kind == "value_error":
        why = detail["msg"].removeprefix("Value error, ")
    else:
        why = _REMEDIES.get(kind) or detail["msg"][:1].lower() + detail["msg"][1:]
    where = _where(place)
    return f"{where}: {why}" if where else why


def _quoted(name: str) -> str:
    """Repeat a key only if it looks like one: a misplaced secret must not be printed."""
    return name if _NAME(name) else "(a key)"


def _where(place: tuple[int | str, ...]) -> str:
    """Write `endpoints[0].authenticate`; a company id, which may be a credential, is left out."""
    text = ""
    above: int | str = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif above == "tenants":
            text += "[a company]"
        else:
            text += f".{part}" if text else part
        above = part
    return text


def _siblings(place: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in place[:-1]:
        if isinstance(part, str) and (inner := group_of(model.model_fields[part])) is not None:
            model = inner
    return [*model.model_fields]


def warnings(settings: Settings) -> Iterator[str]:
    """Say what is allowed and probably not meant."""
    for at, endpoint in enumerate(settings.endpoints):
        where = f"endpoints[{at}]"
        if endpoint.source != "quickfile" and not endpoint.companies and not endpoint.tenants:
            yield (
                f"{where}: binds no company, so whoever holds its secret writes tenant {endpoint.tenant} for "
                "any company; list them in companies"
            )
        if endpoint.source.startswith("visma") and endpoint.authenticate.hmac is None:
            yield f"{where}: authenticate has no hmac, so bodies are not proven; allow only Visma's addresses"
        if endpoint.source.startswith("visma") and settings.digest_key is None:
            yield f"{where}: no digest_key, so ids of users are left out instead of hashed"
    if (settings.registry.url or "").startswith("http:") and (
        settings.registry.password or settings.registry.token
    ):
        yield "registry.url: without TLS its password or token can be read on the way; use https"
    if settings.ingress.port == settings.operations.port:
        yield "operations.port: the same as ingress.port; `serve` cannot listen twice on it"


def json_schema() -> dict[str, Any]:
    """Describe the configuration file as JSON Schema, for editors and docs/config.schema.json."""
    schema = Settings.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "erp-connector"}
