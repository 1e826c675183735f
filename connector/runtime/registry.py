"""Schema ids from the committed lock, and the read-only registry every worker serves from it.

With an external registry the same schemas go under its ids: `connector.runtime.registered`.
`schemas/ids.json` lists every schema that was ever released under its id; ids never change and never move,
because they stand in every record. The paths are those of Confluent's schema registry, so that its clients
(Java, Python, Go, .NET, Connect) work with `schema.registry.url` set to `http://<worker>:9090/registry`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import msgspec

import connector
from connector.core.avro import Codecs
from connector.errors import Misconfigured
from connector.topics import changelog

LOCK: Final = "ids.json"
COMPATIBILITY: Final = "FULL_TRANSITIVE"
Answer = tuple[int, Any]
"""HTTP status and what becomes the JSON body."""


class Locked(msgspec.Struct, frozen=True):
    """One line of the lock: a schema that may stand in records for ever."""

    id: int
    name: str
    """Entity, or `event`, or `identity`."""
    version: int
    """Counts from 1 per name."""
    file: str
    """The frozen copy, relative to the folder of the lock."""
    sha256: str
    """Hex digest of the canonical text."""


_lock: Final = msgspec.json.Decoder(list[Locked], strict=True)


def folder() -> Path:
    """Give the folder of the committed schemas: inside an installed package, else beside it."""
    inside = Path(connector.__file__).parent / "schemas"
    return inside if inside.is_dir() else inside.parent.parent / "schemas"


def canonical_text(schema: Mapping[str, Any]) -> str:
    """Write a schema without blanks, in its own order: the text that is served and digested."""
    return json.dumps(schema, separators=(",", ":"), ensure_ascii=False)


def digest(schema: Mapping[str, Any]) -> str:
    """Give the digest that stands in the lock."""
    return hashlib.sha256(canonical_text(schema).encode()).hexdigest()


class Registry:
    """Every locked schema by id; the newest of a name writes, the others only read."""

    def __init__(
        self, locked: Sequence[Locked], schemas: Mapping[int, dict[str, Any]], own: Registry | None = None
    ) -> None:
        self.locked: Final = tuple(locked)
        self._schemas: Final = dict(schemas)
        self._own: Final = own
        self._newest: Final = {one.name: one for one in sorted(locked, key=lambda one: one.version)}

    @classmethod
    def load(cls, path: Path) -> Registry:
        """Read a folder with a lock and its files.

        Raises:
            Misconfigured: The lock is missing or broken, or a file is not the one that was locked.
        """
        locked = sorted(read_lock(path), key=lambda one: one.id)
        schemas: dict[int, dict[str, Any]] = {}
        for one in locked:
            if one.id in schemas:
                raise Misconfigured(f"schemas/{LOCK}: id {one.id} stands twice; restore the committed file")
            try:
                schemas[one.id] = schema = json.loads((path / one.file).read_bytes())
            except (OSError, ValueError):
                raise Misconfigured(
                    f"schemas/{one.file}: missing or no JSON; restore the committed file"
                ) from None
            if digest(schema) != one.sha256:
                raise Misconfigured(
                    f"schemas/{one.file}: not the schema locked as id {one.id}; restore the committed file"
                )
        return cls(locked, schemas)

    def under(self, ids: Mapping[int, int]) -> Registry:
        """Give the same schemas under the ids of another registry; those of the lock are read as well.

        Args:
            ids: Id in the lock -> id there, for every one.

        Raises:
            Misconfigured: One number means two versions of a name, so that nobody could tell records apart.
        """
        for one, other in permutations(self.locked, 2):
            if one.name == other.name and one.id == ids[other.id]:
                raise Misconfigured(
                    f"registry.url: id {one.id} is version {one.version} of {one.name} in schemas/{LOCK} and "
                    f"version {other.version} there; use another registry, or another context of it"
                )
        locked = [msgspec.structs.replace(one, id=ids[one.id]) for one in self.locked]
        return Registry(locked, {ids[one.id]: self._schemas[one.id] for one in self.locked}, self)

    def codecs(self) -> Codecs:
        """Make what reads every record there may be, and writes the newest form of each name."""
        return Codecs(self.named(), *(() if self._own is None else (self._own.named(),)))

    def writer(self, name: str) -> tuple[int, dict[str, Any]]:
        """Give id and schema that new records of `name` are written with.

        Raises:
            KeyError: No such name in the lock.
        """
        newest = self._newest[name]
        return newest.id, self._schemas[newest.id]

    def by_id(self, schema_id: int) -> dict[str, Any]:
        """Give the schema behind an id.

        Raises:
            KeyError: The id was never locked.
        """
        return self._schemas[schema_id]

    def named(self) -> dict[int, tuple[str, Mapping[str, Any]]]:
        """List id -> (name, schema), as `connector.core.avro.Codecs` takes it."""
        return {one.id: (one.name, self._schemas[one.id]) for one in self.locked}

    def versions(self, name: str) -> list[Locked]:
        """List the locked versions of a name, oldest first."""
        return sorted((one for one in self.locked if one.name == name), key=lambda one: one.version)


def read_lock(path: Path) -> list[Locked]:
    """Read the lock of a folder.

    Raises:
        Misconfigured: It is missing or broken.
    """
    try:
        return _lock.decode((path / LOCK).read_bytes())
    except OSError as error:
        raise Misconfigured(f"{path / LOCK}: {error.strerror}; it belongs to the installation") from None
    except msgspec.DecodeError:
        raise Misconfigured(f"{path / LOCK}: broken; restore the committed file") from None


def subject_of(prefix: str, name: str, version: int = 1) -> str:
    """Name the subject of a schema: the topic it is written to, and `-value`.

    Example:
        >>> subject_of("erp", "voucher_line")
        'erp.changelog.voucher_line-value'
        >>> subject_of("erp", "event")
        'erp.events-value'
    """
    own = {"event": "events", "identity": "identity"}.get(name)
    return f"{changelog(prefix, name, version) if own is None else f'{prefix}.{own}'}-value"


class RegistryApi:
    """Confluent's paths over a registry: a pure function of path and query; GET only.

    Source: Confluent, "Schema Registry API Reference" (error codes, field names).
    """

    def __init__(self, registry: Registry, prefix: str, versions: Mapping[str, int] | None = None) -> None:
        self._registry: Final = registry
        self._texts: Final = {one.id: canonical_text(registry.by_id(one.id)) for one in registry.locked}
        self._subjects: Final[dict[str, list[Locked]]] = {}
        for one in registry.locked:
            subject = subject_of(prefix, one.name, (versions or {}).get(one.name, 1))
            self._subjects.setdefault(subject, []).append(one)
        self._routes: Final[dict[str, Callable[[list[str], Mapping[str, str]], Answer]]] = {
            "schemas": self._schemas,
            "subjects": self._subject,
            "config": lambda rest, _: self._setting(rest, {"compatibilityLevel": COMPATIBILITY}),
            "mode": lambda rest, _: self._setting(rest, {"mode": "READONLY"}),
            "contexts": lambda rest, _: _unknown_path() if rest else (200, ["."]),
        }

    def answer(self, path: str, query: Mapping[str, str]) -> Answer:
        """Answer a GET; `path` is below `/registry`, still percent-encoded."""
        first, *rest = [unquote(part) for part in path.strip("/").split("/")]
        if not first:
            return 200, {}
        route = self._routes.get(first)
        return _unknown_path() if route is None else route(rest, query)

    def _schemas(self, rest: list[str], query: Mapping[str, str]) -> Answer:
        if rest == ["types"]:
            return 200, ["AVRO"]
        if not rest:
            wanted = query.get("subjectPrefix", "")
            return 200, [
                self._entry(subject, one)
                for subject, all_ in self._subjects.items()
                if subject.startswith(wanted)
                for one in (all_[-1:] if query.get("latestOnly") == "true" else all_)
            ]
        if rest[0] != "ids" or len(rest) not in (2, 3):
            return _unknown_path()
        found = [
            (subject, one)
            for subject, all_ in self._subjects.items()
            for one in all_
            if str(one.id) == rest[1]
        ]
        if not found:
            return _error(404, 40403, f"Schema {rest[1]} not found")
        subject, one = found[0]
        answers: dict[str, Any] = {
            "": {"schema": self._texts[one.id]},
            "schema": msgspec.Raw(self._texts[one.id].encode()),
            "subjects": [subject],
            "versions": [{"subject": subject, "version": one.version}],
        }
        if query.get("fetchMaxId") == "true":
            answers[""]["maxId"] = max(self._texts)
        wanted = rest[2] if len(rest) == 3 else ""  # noqa: PLR2004  /schemas/ids/{id}/{what}
        return (200, answers[wanted]) if wanted in answers else _unknown_path()

    def _subject(self, rest: list[str], query: Mapping[str, str]) -> Answer:
        if not rest:
            wanted = query.get("subjectPrefix", "")
            return 200, sorted(subject for subject in self._subjects if subject.startswith(wanted))
        subject, *rest = rest
        if subject not in self._subjects:
            return _error(404, 40401, f"Subject '{subject}' not found.")
        if not rest or rest[0] != "versions" or len(rest) > 3:  # noqa: PLR2004  .../versions/{v}/schema
            return _unknown_path()
        locked = self._subjects[subject]
        if len(rest) == 1:
            return 200, [one.version for one in locked]
        return self._version(subject, rest[1], rest[2:])

    def _version(self, subject: str, version: str, rest: list[str]) -> Answer:
        locked = {str(one.version): one for one in self._subjects[subject]}
        locked["latest"] = locked["-1"] = self._subjects[subject][-1]
        one = locked.get(version)
        if one is None:
            return _error(404, 40402, f"Version {version} not found.") if version.isdigit() else _NO_VERSION
        if not rest:
            return 200, self._entry(subject, one)
        if rest == ["schema"]:
            return 200, msgspec.Raw(self._texts[one.id].encode())
        return (200, []) if rest == ["referencedby"] else _unknown_path()

    def _entry(self, subject: str, one: Locked) -> dict[str, Any]:
        return {
            "subject": subject,
            "version": one.version,
            "id": one.id,
            "schemaType": "AVRO",
            "schema": self._texts[one.id],
        }

    def _setting(self, rest: list[str], setting: dict[str, str]) -> Answer:
        if rest and rest[0] not in self._subjects:
            return _error(404, 40401, f"Subject '{rest[0]}' not found.")
        return (200, setting) if len(rest) <= 1 else _unknown_path()


def _error(status: int, code: int, told: str) -> Answer:
    return status, {"error_code": code, "message": told}


def _unknown_path() -> Answer:
    return _error(404, 404, "HTTP 404 Not Found")


_NO_VERSION: Final = _error(
    422,
    42202,
    "The specified version is not a valid version id. "
    'Allowed values are between [1, 2^31-1] and the string "latest"',
)
READ_ONLY: Final[Answer] = (405, {"error_code": 405, "message": "HTTP 405 Method Not Allowed"})
"""To whatever would register, delete or change: schemas come with the release."""
