"""What an operator says about an external schema registry."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from connector.runtime.endpoints import Part, Reference


class RegistrySettings(Part):
    """Where schema ids come from."""

    url: str | None = Field(
        default=None,
        description="null: ids from schemas/ids.json, served under /registry on the worker's operations "
        "port. Else a registry with Confluent's interface, such as `https://registry:8081`: workers look the "
        "ids up when they start. Choose before the first record: the ids of a topic come from one of both.",
    )
    username: str | None = Field(
        default=None, min_length=1, description="User of the registry, with password."
    )
    password: Reference | None = Field(default=None, description="Its password, as env:NAME or file:/path.")
    token: Reference | None = Field(
        default=None, description="A bearer token instead of user and password, as env:NAME or file:/path."
    )
    ca: str | None = Field(
        default=None,
        min_length=1,
        description="File with the CAs of the registry's certificate, in PEM; null: those of the system.",
    )
    timeout_s: float = Field(
        default=30,
        gt=0,
        le=600,
        description="Longest wait for a registry that is away, in seconds; then the command or worker ends.",
    )

    @field_validator("url")
    @classmethod
    def _plain(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            well = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            well = False
        if not well or parts.query or parts.fragment:
            raise ValueError("write http://host:port or https://host:port, with a path if it has one")
        if "@" in parts.netloc:
            raise ValueError("no user and password in the address: use username, password or token")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        if self.token is not None and self.password is not None:
            raise ValueError("either username and password, or token")
        given = [name for name in ("username", "token", "ca") if getattr(self, name) is not None]
        if self.url is None and given:
            raise ValueError(f"{given[0]} is set, and url is not")
        return self
