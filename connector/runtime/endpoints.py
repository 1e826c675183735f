"""What an operator says about one endpoint: whose it is, and how its callers prove who they are."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from connector.core.pointers import pointer
from connector.runtime import tuning, zones
from connector.sources import SOURCES

_REFERENCE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/.+").fullmatch
_DIGEST: Final = re.compile(r"digest:[0-9a-f]{64}").fullmatch


def is_reference(text: str) -> bool:
    """Say whether a setting names the place of a secret instead of holding it."""
    return _REFERENCE(text) is not None


def _reference(text: str) -> str:
    if not is_reference(text):
        raise ValueError("a secret does not stand here itself: write env:NAME or file:/path")
    return text


def _source(name: str) -> str:
    if name not in SOURCES:
        raise ValueError(f"input should be {', '.join(map(repr, sorted(SOURCES)))}")
    return name


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


SourceName = Annotated[
    str, AfterValidator(_source), WithJsonSchema({"type": "string", "enum": sorted(SOURCES)})
]
Reference = Annotated[str, AfterValidator(_reference)]
_ONE_OR_MORE: Final = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
    ]
}
References = Annotated[
    tuple[Reference, ...],
    BeforeValidator(_several),
    Field(min_length=1),
    WithJsonSchema(_ONE_OR_MORE),
]
Names = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")], ...],
    BeforeValidator(_several),
    Field(min_length=1),
    WithJsonSchema(_ONE_OR_MORE),
]
"""Names of HTTP headers, one or several."""


def _zone(name: str) -> str:
    zones.zone(name)
    return name


def _pointer(text: str) -> str:
    pointer(text)
    return text


Zone = Annotated[str, AfterValidator(_zone)]
Pointers = Annotated[
    tuple[Annotated[str, AfterValidator(_pointer)], ...],
    BeforeValidator(_several),
    Field(min_length=1),
    WithJsonSchema(_ONE_OR_MORE),
]


class Part(BaseModel):
    """Base of every group of settings: unknown keys are refused, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BodySignature(Part):
    """QuickFile's signature inside the body."""

    mode: Literal["off", "warn", "enforce"] = Field(
        default="warn", description="warn counts failures only: the vendor's recipe is not published."
    )
    template: str = Field(
        description="Recipe, from {hookid}, {timestamp}, {secret} and {account}, e.g. {hookid}{secret}."
    )
    algorithm: Literal["md5", "sha1", "sha256"] = Field(default="md5", description="Digest of the recipe.")
    account: str = Field(default="", description="Account number, where the recipe names it.")
    secrets: References = Field(description="Where the API key is found.")


class Authenticate(Part):
    """How callers of one endpoint prove who they are; every way that is given must pass."""

    header: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
        description="Name of the header that holds one of `secrets` (Duett).",
    )
    hmac: Names | None = Field(
        default=None,
        description="Name of the header, or several, that holds the base64 HMAC-SHA256 of the body (Visma).",
    )
    secrets: References | None = Field(
        default=None, description="Secrets of `header` or `hmac`: one, or several while rotating."
    )
    url_token: References | None = Field(
        default=None, description="Last part of the URL: one, or several while rotating (QuickFile)."
    )
    body_signature: BodySignature | None = Field(
        default=None, description="Signature inside the body, in addition to `url_token` (QuickFile)."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        signed = [name for name in ("header", "hmac") if getattr(self, name) is not None]
        if len(signed) > 1:
            raise ValueError("header and hmac exclude each other: keep one")
        if signed and self.secrets is None:
            raise ValueError(f"{signed[0]} needs secrets: [env:NAME]")
        if not signed and self.secrets is not None:
            raise ValueError("secrets need header: NAME or hmac: NAME beside them")
        if not signed and self.url_token is None:
            raise ValueError("nothing to check: give header or hmac with secrets, or url_token")
        if self.body_signature is not None and self.url_token is None:
            raise ValueError("body_signature does not cover the body: url_token must stand beside it")
        return self


class ReadingSettings(Part):
    """How the bodies of one endpoint are read, where the vendor's documents are silent or differ."""

    zone: Zone | None = Field(
        default=None,
        description="IANA name, such as Europe/Oslo, of the zone of times that name none, ticks included; "
        "null: as docs/sources says, which is UTC. Times with an offset are not changed by it.",
    )
    aliases: dict[str, str] = Field(
        default={},
        description="Event name as the vendor sends it -> event name in docs/requirements.md. Only a-z and "
        "0-9 are compared, whatever their case.",
    )
    pointers: dict[str, Pointers] = Field(
        default={},
        description="Field -> JSON pointer (RFC 6901) to it, or several in the order they are tried, within "
        "one notification. It takes the place of the names in docs/sources. Fields of visma-sales: "
        f"{', '.join(SOURCES['visma-sales'].pointers)}; of visma-journal: "
        f"{', '.join(SOURCES['visma-journal'].pointers)}.",
    )


class EndpointSettings(Part):
    """One URL, one tenant (or one per company), one set of secrets."""

    source: SourceName = Field(description="The vendor dialect.")
    id: str = Field(
        pattern=r"^[A-Za-z0-9._~-]{1,128}$",
        description="Opaque last part of POST /hooks/<source>/<id>; 64 random bits or more are advised.",
    )
    tenant: str | None = Field(
        default=None, min_length=1, max_length=200, description="Whose data it is; part of every key."
    )
    tenants: dict[str, str] | None = Field(
        default=None,
        min_length=1,
        description="Company id in the body -> tenant, for a subscription that covers several.",
    )
    companies: tuple[str, ...] = Field(
        default=(),
        description="Company ids the body may name, with `tenant`; others go to quarantine. Duett's are "
        "credentials: env:NAME, file:/path or digest:<sha256 in hex>.",
    )
    authenticate: Authenticate = Field(description="How callers prove who they are.")
    rate: float | None = Field(
        default=None, gt=0, description="Requests per second, instead of ingress.rate_per_endpoint."
    )

    reading: ReadingSettings | None = Field(
        default=None,
        description="How its bodies are read (docs/reading-options.md); both roles need the same. A change "
        "holds for raw records that are read from then on; versions that are there already stay.",
    )

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.reading is not None:
            tuning.check(self.reading, SOURCES[self.source])
        return self

    @model_validator(mode="after")
    def _one_binding(self) -> Self:
        if (self.tenant is None) == (self.tenants is None):
            raise ValueError("exactly one of tenant and tenants must be given")
        if self.tenants is not None and self.companies:
            raise ValueError("companies belong to tenant; with tenants its keys are the companies")
        if self.source == "quickfile" and self.authenticate.url_token is None:
            raise ValueError(
                "authenticate.url_token: missing; QuickFile's own signature does not cover the body"
            )
        if self.source == "duett" and not all(map(_hidden, (*self.companies, *(self.tenants or ())))):
            raise ValueError(
                "a Duett company id is a credential: write env:NAME, file:/path or digest:<sha256 in hex>"
            )
        return self


def _hidden(company: str) -> bool:
    return is_reference(company) or _DIGEST(company) is not None
