"""An external schema registry: Confluent's interface over HTTP, and the product's schemas under its ids.

Spoken with the standard library: seven small requests at a start do not need the client's OAuth, caches
and cryptography, and its bearer tokens are for one vendor's cloud only (decision 15).
Source: Confluent, "Schema Registry API Reference".
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from connector.core.avro import FRAME_BYTES
from connector.errors import ConnectorError, Misconfigured
from connector.runtime.credentials import read_secret
from connector.runtime.registry import Registry, canonical_text, folder, subject_of
from connector.runtime.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.runtime.registry_settings import RegistrySettings
    from connector.runtime.settings import Settings

REMEDY: Final = "run: connector schemas register --yes"
_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_REQUEST_S: Final = 10.0
_AGAIN_S: Final = 1.0
_TOO_MANY: Final = 429
_OWN_FAULT: Final = 500
_MOST_BYTES: Final = 16 * 1_048_576
_MOST_TOLD: Final = 300
_GREATEST_ID: Final = 2 ** (8 * (FRAME_BYTES - 1)) - 1


class RegistryAway(ConnectorError):
    """The external registry did not answer in time."""

    code = "registry_away"


class Remote:
    """One external registry; one connection, kept open.

    Args:
        settings: With a `url`.

    Raises:
        Misconfigured: A secret or the CA file cannot be read.
    """

    def __init__(self, settings: RegistrySettings) -> None:
        self.url: Final = settings.url or ""
        parts = urlsplit(self.url)
        self._base: Final = parts.path
        self._patience_s: Final = settings.timeout_s
        self._headers: Final = {"Accept": f"{_TYPE}, application/json", "Content-Type": _TYPE}
        if settings.token is not None:
            token = _text(settings.token, "registry.token")
            self._headers["Authorization"] = f"Bearer {token}"
        elif settings.password is not None:
            proof = f"{settings.username}:{_text(settings.password, 'registry.password')}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(proof).decode()}"
        host = str(parts.hostname)
        self._connection: Final = (
            http.client.HTTPSConnection(host, parts.port, timeout=_REQUEST_S, context=_trusted(settings.ca))
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, parts.port, timeout=_REQUEST_S)
        )

    def lookup(self, subject: str, text: str) -> dict[str, Any] | None:
        """Find a schema under a subject: `id`, `version`, `schema`; None if it is not registered.

        Raises:
            RegistryAway: No answer in time.
            Misconfigured: It refuses, or is no registry.
        """
        found = self._ask("POST", f"/subjects/{_part(subject)}", {"schema": text}, (40401, 40403))
        if found is not None and not (
            isinstance(found, dict)
            and type(found.get("id")) is int
            and 0 <= found["id"] <= _GREATEST_ID
            and isinstance(found.get("schema"), str)
        ):
            raise self._strange(f"subject {subject}")
        return found

    def versions(self, subject: str) -> list[int]:
        """List the versions of a subject; none if there is no such subject."""
        found = self._ask("GET", f"/subjects/{_part(subject)}/versions", None, (40401,))
        if found is not None and not isinstance(found, list):
            raise self._strange(f"subject {subject}")
        return found or []

    def incompatible(self, subject: str, text: str) -> str | None:
        """Ask whether a schema may join a subject, against each version: the first refusal, or None."""
        for version in self.versions(subject):
            path = f"/compatibility/subjects/{_part(subject)}/versions/{version}?verbose=true"
            answer = self._ask("POST", path, {"schema": text}, ())
            if not isinstance(answer, dict) or type(answer.get("is_compatible")) is not bool:
                raise self._strange(f"subject {subject}")
            if not answer["is_compatible"]:
                why = "; ".join(str(one) for one in answer.get("messages") or ())
                return f"not compatible with version {version}" + (f": {why[:_MOST_TOLD]}" if why else "")
        return None

    def level(self, subject: str) -> str | None:
        """Give the compatibility level of a subject; None if it has none of its own."""
        answer = self._ask("GET", f"/config/{_part(subject)}", None, (40401, 40408))
        return None if answer is None else str(answer.get("compatibilityLevel"))

    def set_level(self, subject: str, level: str) -> None:
        """Set the compatibility level of a subject."""
        self._ask("PUT", f"/config/{_part(subject)}", {"compatibility": level}, ())

    def register(self, subject: str, text: str) -> int:
        """Register a schema; give its id."""
        answer = self._ask("POST", f"/subjects/{_part(subject)}/versions", {"schema": text}, ())
        if not isinstance(answer, dict) or type(answer.get("id")) is not int:
            raise self._strange(f"subject {subject}")
        return int(answer["id"])

    def _ask(self, verb: str, path: str, body: object, absent: tuple[int, ...]) -> Any:
        """Ask until there is an answer; None if it is one of the error codes that mean "there is none"."""
        sent = None if body is None else json.dumps(body).encode()
        until_s = time.monotonic() + self._patience_s
        while True:
            try:
                self._connection.request(verb, self._base + path, sent, self._headers)
                answer = self._connection.getresponse()
                read = answer.read(_MOST_BYTES)
            except ssl.SSLCertVerificationError as error:
                raise Misconfigured(
                    f"registry.ca: the certificate of {self.url} does not hold ({error.verify_message})"
                ) from None
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                why = str(error) or type(error).__name__
            else:
                if answer.status != _TOO_MANY and answer.status < _OWN_FAULT:
                    return self._read(answer.status, read, absent)
                why = f"HTTP {answer.status}"
            if time.monotonic() > until_s:
                raise RegistryAway(
                    f"registry.url: {self.url} gives no answer for {self._patience_s:g} s ({why}); its ids "
                    "are needed to start, so look at the registry first"
                )
            log.warning("waiting for the schema registry", extra={"url": self.url, "why": why})
            time.sleep(min(_AGAIN_S, self._patience_s))

    def _read(self, status: int, read: bytes, absent: tuple[int, ...]) -> Any:
        try:
            answer = json.loads(read)
        except ValueError:
            answer = None
        if status in (401, 403):
            raise Misconfigured(
                f"registry: {self.url} answers {status}: check registry.username and registry.password, or "
                "registry.token, and what they may do there"
            )
        if status == http.client.OK and answer is not None:
            return answer
        code = answer.get("error_code") if isinstance(answer, dict) else None
        if code in absent:
            return None
        if code is None:
            raise self._strange(f"HTTP {status}")
        told = str(answer.get("message", ""))[:_MOST_TOLD]
        raise Misconfigured(f"registry: {self.url} refuses: {told} (error {code})")

    def _strange(self, where: str) -> Misconfigured:
        return Misconfigured(
            f"registry.url: what answers at {self.url} is no schema registry with Confluent's interface "
            f"({where}); does the address lack a path?"
        )


def _part(text: str) -> str:
    return quote(text, safe="")


def _text(reference: str, where: str) -> str:
    try:
        return read_secret(reference, where).decode("ascii")
    except UnicodeDecodeError:
        raise Misconfigured(f"{where}: what {reference} holds is not ASCII text") from None


def _trusted(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        why = "no certificates in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise Misconfigured(f"registry.ca: {ca}: {why}") from None


def known_schemas(settings: Settings) -> Registry:
    """Give the schemas of this version under the ids records are written with.

    Without `registry.url` these are the ids of the lock; else the registry is asked, and nothing is written
    to it.

    Raises:
        Misconfigured: The lock does not hold, or a schema is not registered, or the registry refuses.
        RegistryAway: It does not answer.
    """
    own = Registry.load(folder())
    if settings.registry.url is None:
        return own
    return own.under(looked_up(own, Remote(settings.registry), settings))


def looked_up(own: Registry, remote: Remote, settings: Settings) -> dict[int, int]:
    """Ask for the ids of all schemas: id in the lock -> id there.

    Raises:
        Misconfigured: One is not registered, or stands there in another form.
        RegistryAway: The registry does not answer.
    """
    ids: dict[int, int] = {}
    missing: list[str] = []
    for one in own.locked:
        subject = subject_of(settings.topics.prefix, one.name, settings.topics.versions.get(one.name, 1))
        found = remote.lookup(subject, canonical_text(own.by_id(one.id)))
        if found is None:
            missing.append(f"{subject} (version {one.version} of {one.name})")
            continue
        if not _same_bytes(own.by_id(one.id), found["schema"]):
            raise Misconfigured(
                f"registry: {remote.url} has another schema under id {found['id']} than the one asked for, "
                f"{subject}; records would not be readable"
            )
        ids[one.id] = found["id"]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise Misconfigured(f"registry: {remote.url} does not have {missing[0]}{more}; {REMEDY}")
    return ids


def _same_bytes(schema: Mapping[str, Any], text: str) -> bool:
    """Say whether records of two schemas have the same bytes and meaning, whatever else they say."""
    try:
        return bool(_form(schema) == _form(json.loads(text)))
    except (ValueError, KeyError, TypeError):
        return False


def _form(avro: Any) -> Any:
    """Keep of a schema what decides on bytes and their meaning."""
    if isinstance(avro, list):
        return [_form(one) for one in avro]
    if not isinstance(avro, dict):
        return avro
    if set(avro) <= {"type"}:
        return _form(avro["type"])
    kept = {name: avro[name] for name in ("logicalType", "precision", "scale", "symbols") if name in avro}
    fields = [(field["name"], _form(field["type"])) for field in avro.get("fields", ())]
    return [_form(avro["type"]), kept, fields, _form(avro.get("items"))]
