"""The generated pages: tables of the code as Markdown. Written by docs/generate.py, never by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from textwrap import dedent
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from connector import errors
from connector.cli.schemas import type_text
from connector.runtime.desk import topics_under
from connector.runtime.environment import KAFKA, PREFIX, SEPARATOR, group_of
from connector.runtime.kafka_properties import OWNED
from connector.runtime.registry import subject_of
from connector.runtime.schemas import UNFRAMED, made
from connector.runtime.settings import Settings

HEAD = "<!-- Made by docs/generate.py; change the code it is made from. -->\n\n"

TOPICS = """# Topics

The prefix `erp` is `topics.prefix`. Every topic has `topics.partitions` partitions (12, fixed for life)
and `topics.replication_factor` copies (3). From three copies on two must confirm a write
(`min.insync.replicas`), else one. `connector topics plan` compares the brokers with this table,
`connector topics apply` makes them so.

"""

CONFIGURATION = """# Configuration

One YAML file, named by `--config` or `CONNECTOR_CONFIG`; any value can come from the environment,
which wins. `config.schema.json` describes the file for editors. Unknown keys and unknown
`CONNECTOR_*` variables are errors that name the nearest known one. Secrets never stand in the
file: `env:NAME` names a variable, `file:/path` a file, whose last line end is cut off. A variable
that the file names by `env:` is a secret's place and no setting, whatever it is called. Lists and
maps in a variable are YAML or JSON; an empty variable counts as not set. `connector config check`
reads everything, `connector config show` prints what is in force.
"""

KAFKA_PROPERTIES = f"""
A variable such as `{KAFKA}SASL_USERNAME` sets `sasl.username`: after `{KAFKA}`, `_`
becomes `.`. The default is `bootstrap.servers: localhost:9092`. `security.protocol` must be written
out where brokers are on other hosts. Set by the connector itself and refused here:
{", ".join(f"`{name}`" for name in sorted(OWNED))}.
"""

SCHEMAS = """# Schemas

Avro, one schema per topic in `schemas/`; a question mark behind a type says nullable. `pii` is the
class of personal data. The last column says which field of which source feeds a column, and in
which facet: a facet is replaced as a whole by newer events.

## In every changelog record

"""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a Markdown table; bars and line ends inside cells are made harmless."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines)


def _cell(cell: object) -> str:
    return " ".join(str(cell).replace("|", "\\|").split())


def topics() -> str:
    """Lay out docs/topics.md."""
    everything = topics_under("erp").all()
    kinds = {topic.kind: topic for topic in everything}
    settings = sorted({name for topic in kinds.values() for name in topic.config})
    names = table(
        ("topic", "cleanup", "for whom and what"),
        ((f"`{topic.name}`", topic.config["cleanup.policy"], topic.doc) for topic in everything),
    )
    configs = table(
        ("setting", *kinds),
        ((f"`{name}`", *(one.config.get(name, "") for one in kinds.values())) for name in settings),
    )
    return (
        f"{HEAD}{TOPICS}{names}\n## Settings by kind\n\nTimes in milliseconds, sizes in bytes.\n\n{configs}"
    )


def configuration() -> str:
    """Lay out docs/configuration.md."""
    parts = [HEAD, CONFIGURATION]
    for name, field in Settings.model_fields.items():
        parts.append(f"\n## {name}\n\n{field.description}\n")
        parts.extend(_section(name, field))
    return "".join(parts)


def _section(name: str, field: FieldInfo) -> Iterator[str]:
    if name == "kafka":
        yield KAFKA_PROPERTIES
        return
    group = group_of(field)
    if group is None:
        yield f"\nVariable `{PREFIX}{name.upper()}`.\n"
        return
    in_list = get_origin(field.annotation) is tuple
    variables = "" if in_list else f"{PREFIX}{name.upper()}{SEPARATOR}"
    if in_list:
        yield f"\nVariable `{PREFIX}{name.upper()}`, the whole list as YAML or JSON.\n"
    yield "\n" + _fields(group, variables)


def _fields(group: type[BaseModel], variables: str, above: str = "") -> str:
    columns = ("setting", *(["variable"] if variables else []), "type", "default", "meaning")
    return table(columns, _rows(group, variables, above))


def _rows(group: type[BaseModel], variables: str, above: str) -> Iterator[Sequence[str]]:
    properties = group.model_json_schema()["properties"]
    for name, field in group.model_fields.items():
        variable = [f"`{variables}{name.upper()}`"] if variables else []
        kind = _kind(properties[name])
        yield (f"`{above}{name}`", *variable, kind, _default(field), field.description or "")
        if (inner := group_of(field)) is not None:
            yield from _rows(inner, variables, f"{above}{name}.")


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "$ref" in schema:
        return "map"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(one) for one in schema["anyOf"] if one.get("type") != "null"))
    name = {"string": "text", "object": "map", "array": "list", "boolean": "true or false"}.get(
        schema["type"], schema["type"]
    )
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    most = schema.get("maximum")
    above = "above " if "exclusiveMinimum" in schema else ""
    if least is None:
        return str(name)
    return f"{name}, {above}{least} to {most}" if most is not None else f"{name}, {above or 'from '}{least}"


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default in (None, (), ""):
        return "none"
    if get_args(field.annotation) and field.default in (True, False):
        return str(field.default).lower()
    return f"`{field.default}`"


def refusals() -> str:
    """Lay out docs/errors.md."""
    head, _, rest = (errors.__doc__ or "").partition("\n\n")
    drawing, _, rule = rest.partition("\n\n")
    reasons = {one.code: one for one in _below(errors.Unusable)}
    rows = [
        (f"`{code}`", _doc(reasons[code]) if code in reasons else _OTHER[code]) for code in errors.REASONS
    ]
    answers = sorted(
        (one.status, one.code, "yes" if one.retriable else "no", _doc(one)) for one in _below(errors.Refused)
    )
    return (
        f"{HEAD}# Errors\n\n{head}\n\n```\n{dedent(drawing)}\n```\n\n{rule.strip()}\n\n"
        f"## Answers of the door\n\n{table(('status', 'code', 'may succeed later', 'meaning'), answers)}\n"
        "`code` is the label in metrics and logs; a 401 never says what was wrong with the proof.\n\n"
        f"## Reasons of quarantine\n\n{table(('reason', 'meaning'), rows)}"
    )


_OTHER = {
    "bad_time": "Reserved: a vendor time that may not be replaced by the receipt time.",
    "by_operator": "An operator named the raw record in `worker.quarantine`.",
}


def _below(kind: type[Any]) -> list[Any]:
    return [one for child in kind.__subclasses__() for one in (child, *_below(child)) if "code" in vars(one)]


def _doc(kind: type[Any]) -> str:
    return (kind.__doc__ or "").partition("\n\n")[0]


def schemas() -> str:
    """Lay out docs/schemas.md."""
    everything = made()
    shared = _shared(everything)
    parts = [HEAD, SCHEMAS, _schema_table(shared.values())]
    for name, schema in everything.items():
        own = [one for one in schema["fields"] if shared.get(one["name"]) != one or name in _ALONE]
        subject = (
            "header `meta` of raw records, as JSON" if name == UNFRAMED else f"`{subject_of('erp', name)}`"
        )
        parts.append(f"\n## {name}\n\n{schema['doc']}\n\nSubject: {subject}.\n\n{_schema_table(own)}")
        parts.extend(_nested(own))
    return "".join(parts)


_ALONE = ("event", "identity", UNFRAMED)


def _shared(everything: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    lists = [
        {one["name"]: one for one in schema["fields"]}
        for name, schema in everything.items()
        if name not in _ALONE
    ]
    return {name: one for name, one in lists[0].items() if all(other.get(name) == one for other in lists)}


def _schema_table(fields: Iterable[dict[str, Any]]) -> str:
    rows = (
        (f"`{one['name']}`", type_text(one["type"]), one.get("pii", ""), one["doc"], _fed(one))
        for one in fields
    )
    return table(("field", "type", "pii", "meaning", "from"), rows)


def _fed(field: dict[str, Any]) -> str:
    facets = field.get("x-facet", {})
    names = field.get("x-vendor-name", {})
    return "; ".join(
        f"{source}: {names[source]}" + (f" ({facets[source]})" if source in facets else "")
        for source in names
    )


def _nested(fields: Iterable[dict[str, Any]]) -> Iterator[str]:
    for field in fields:
        for avro in field["type"] if isinstance(field["type"], list) else [field["type"]]:
            if isinstance(avro, dict) and avro["type"] == "array" and isinstance(avro["items"], dict):
                items = avro["items"]
                yield f"\nElements of `{field['name']}` ({items['name']}): {items['doc']}\n\n"
                yield _schema_table(items["fields"])
