"""A schema registry over HTTP: Confluent's documented interface, as far as anybody here speaks it.

A server of its own and not the product's: it keeps schemas in memory, gives ids from wherever it is told,
and judges compatibility by letting fastavro resolve generated records from each writer to each reader. It
is stricter than the real ones: a path, method or media type outside the documentation is refused.
It mounts below `/registry`, as some products do.
"""

import base64
import json
import random
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any, Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

import fastavro
from fastavro.utils import generate_many

BASE: Final = "/registry"
LEVELS: Final = {
    level + suffix for level in ("BACKWARD", "FORWARD", "FULL") for suffix in ("", "_TRANSITIVE")
} | {"NONE"}
MEDIA: Final = "application/vnd.schemaregistry.v1+json"
_SAMPLES: Final = 60
Answer = tuple[int, Any]


class Registered:
    """What the registry holds; safe for one request at a time."""

    def __init__(self, first_id: int) -> None:
        self.next_id: Final = iter(range(first_id, first_id + 100_000))
        self.ids: Final[dict[str, int]] = {}
        """Canonical text -> id; one schema has one id under all its subjects."""
        self.texts: Final[dict[int, str]] = {}
        self.subjects: Final[dict[str, list[int]]] = {}
        self.levels: Final[dict[str, str]] = {"": "BACKWARD"}
        """Subject -> its own level; the empty one is everybody's."""


def canonical(text: str) -> str:
    """Give the text by which a registry knows a schema again.

    Raises:
        ValueError: No Avro schema.
    """
    schema = json.loads(text)
    try:
        fastavro.parse_schema(schema)
    except Exception as error:  # noqa: BLE001  fastavro has several
        raise ValueError(str(error)) from None
    return json.dumps(schema, sort_keys=True)


def resolves(writer: str, reader: str) -> bool:
    """Say whether what is written by one schema can be read by another, by trying."""
    writes, reads = fastavro.parse_schema(json.loads(writer)), fastavro.parse_schema(json.loads(reader))
    random.seed(1)
    for record in generate_many(writes, _SAMPLES):
        framed = BytesIO()
        fastavro.schemaless_writer(framed, writes, record)
        framed.seek(0)
        try:
            fastavro.schemaless_reader(framed, writes, reads)
        except Exception:  # noqa: BLE001  whatever it cannot resolve
            return False
    return True


def compatible(level: str, new: str, old: str) -> bool:
    """Judge a new schema against one of the subject's."""
    base = level.removesuffix("_TRANSITIVE")
    back = resolves(old, new) if base in ("BACKWARD", "FULL") else True
    return back and (resolves(new, old) if base in ("FORWARD", "FULL") else True)


class SchemaServer:
    """The registry, listening on a port of loopback; a context manager.

    Args:
        first_id: Id of the first schema that is registered.
        proof: What must stand in `Authorization`, or None.
        tls: Certificate and key files, or None.
        meddle: Sees every answer (method, path, answer) and gives what is sent instead.
    """

    def __init__(
        self,
        first_id: int = 1,
        proof: str | None = None,
        tls: tuple[str, str] | None = None,
        meddle: Callable[[str, str, Answer], Answer] | None = None,
        port: int = 0,
    ) -> None:
        self.held = Registered(first_id)
        self.asked: list[tuple[str, str]] = []
        """(method, path) of every request."""
        self.meddle = meddle or (lambda _method, _path, answer: answer)
        self._proof = proof
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        scheme = "http"
        if tls is not None:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.root = f"{scheme}://127.0.0.1:{self.port}"
        self.url = self.root + BASE
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @staticmethod
    def basic(user: str, password: str) -> str:
        """Give the proof of a user and a password."""
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def writes(self) -> Iterator[tuple[str, str]]:
        """Give the requests that changed something, or tried to."""
        for method, path in self.asked:
            registers = method == "POST" and path.endswith("/versions") and "/compatibility/" not in path
            if method in ("PUT", "DELETE") or registers:
                yield method, path

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: Any) -> None:
                pass

            def _do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                with lock:
                    owner.asked.append((self.command, self.path))
                    answer = owner.answer(self.command, self.path, dict(self.headers), body)
                    status, told = owner.meddle(self.command, self.path, answer)
                sent = told if isinstance(told, bytes) else json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Type", MEDIA)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            do_GET = do_POST = do_PUT = do_DELETE = _do  # noqa: N815  as the base class wants them

        return Handler

    def answer(  # noqa: C901, PLR0911  one case per documented path
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> Answer:
        """Answer one request."""
        if self._proof is not None and headers.get("Authorization") != self._proof:
            return 401, {"error_code": 401, "message": "Unauthorized"}
        parts = urlsplit(path)
        if not parts.path.startswith(f"{BASE}/"):
            return 404, b"<html>no such page</html>"
        way = [unquote(one) for one in parts.path.removeprefix(f"{BASE}/").split("/")]
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if body and headers.get("Content-Type", "").split(";")[0] not in (MEDIA, "application/json"):
            return 415, {"error_code": 415, "message": "HTTP 415 Unsupported Media Type"}
        try:
            given = json.loads(body) if body else {}
        except ValueError:
            return 400, {"error_code": 400, "message": "Unable to process JSON"}
        match method, way:
            case "GET", ["subjects"]:
                return 200, sorted(self.held.subjects)
            case "GET", ["schemas", "ids", number]:
                return self._by_id(number)
            case "POST", ["subjects", subject]:
                return self._lookup(subject, given)
            case "GET", ["subjects", subject, "versions"]:
                if subject not in self.held.subjects:
                    return _no_subject(subject)
                return 200, list(range(1, len(self.held.subjects[subject]) + 1))
            case "POST", ["subjects", subject, "versions"]:
                return self._register(subject, given)
            case "POST", ["compatibility", "subjects", subject, "versions", version]:
                return self._compatible(subject, version, given, verbose=query.get("verbose") == "true")
            case (("GET" | "PUT"), ["config", *subject]) if len(subject) <= 1:
                return self._config(method, subject[0] if subject else "", given)
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def _by_id(self, number: str) -> Answer:
        text = self.held.texts.get(int(number)) if number.isdigit() else None
        if text is None:
            return 404, {"error_code": 40403, "message": f"Schema {number} not found"}
        return 200, {"schema": text}

    def _read(self, given: dict[str, Any]) -> tuple[str, str] | Answer:
        if set(given) - {"schema", "schemaType", "references"} or given.get("schemaType", "AVRO") != "AVRO":
            return 422, {"error_code": 422, "message": "Unrecognized field"}
        try:
            return canonical(given["schema"]), given["schema"]
        except (KeyError, TypeError, ValueError) as error:
            return 422, {"error_code": 42201, "message": f"Invalid schema: {error}"}

    def _lookup(self, subject: str, given: dict[str, Any]) -> Answer:
        read = self._read(given)
        if isinstance(read[0], int):
            return read
        ids = self.held.subjects.get(subject)
        if ids is None:
            return _no_subject(subject)
        id_ = self.held.ids.get(read[0])
        if id_ not in ids:
            return 404, {"error_code": 40403, "message": "Schema not found"}
        version = ids.index(id_) + 1
        return 200, {"subject": subject, "id": id_, "version": version, "schema": self.held.texts[id_]}

    def _register(self, subject: str, given: dict[str, Any]) -> Answer:
        read = self._read(given)
        if isinstance(read[0], int):
            return read
        known, text = read
        ids = self.held.subjects.setdefault(subject, [])
        if self.held.ids.get(known) in ids:
            return 200, {"id": self.held.ids[known]}
        level = self._level(subject)
        for old in ids if level.endswith("_TRANSITIVE") else ids[-1:]:
            if not compatible(level, text, self.held.texts[old]):
                return 409, {
                    "error_code": 409,
                    "message": f"Schema is incompatible with an earlier one of subject {subject}",
                }
        if known not in self.held.ids:
            self.held.ids[known] = next(self.held.next_id)
            self.held.texts[self.held.ids[known]] = text
        ids.append(self.held.ids[known])
        return 200, {"id": self.held.ids[known]}

    def _compatible(self, subject: str, version: str, given: dict[str, Any], *, verbose: bool) -> Answer:
        read = self._read(given)
        if isinstance(read[0], int):
            return read
        ids = self.held.subjects.get(subject)
        if ids is None:
            return _no_subject(subject)
        at = len(ids) if version == "latest" else int(version) if version.isdigit() else 0
        if not 1 <= at <= len(ids):
            return 404, {"error_code": 40402, "message": f"Version {version} not found."}
        well = compatible(self._level(subject), read[1], self.held.texts[ids[at - 1]])
        told: dict[str, Any] = {"is_compatible": well}
        if verbose:
            told["messages"] = [] if well else ["READER_FIELD_MISSING_DEFAULT_VALUE"]
        return 200, told

    def _level(self, subject: str) -> str:
        return self.held.levels.get(subject) or self.held.levels[""]

    def _config(self, method: str, subject: str, given: dict[str, Any]) -> Answer:
        if method == "PUT":
            if given.get("compatibility") not in LEVELS:
                return 422, {"error_code": 42203, "message": "Invalid compatibility level"}
            self.held.levels[subject] = given["compatibility"]
            return 200, {"compatibility": given["compatibility"]}
        if subject not in self.held.levels:
            told = f"Subject '{subject}' does not have subject-level compatibility configured"
            return 404, {"error_code": 40408, "message": told}
        return 200, {"compatibilityLevel": self.held.levels[subject]}


def _no_subject(subject: str) -> Answer:
    return 404, {"error_code": 40401, "message": f"Subject '{subject}' not found."}
