"""What an operator can set; every field says what it does, and docs/configuration.md is made from here.

Reading it from a file and the environment is `connector.runtime.configuration`. Secrets never stand here:
only where they are found (`env:NAME`, `file:/path`).
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from connector.entities import ENTITIES
from connector.runtime.endpoints import EndpointSettings, Part, Reference
from connector.runtime.environment import PREFIX, SEPARATOR, Environment
from connector.runtime.kafka_properties import DEFAULTS, KafkaProperties
from connector.runtime.registry_settings import RegistrySettings


class TopicSettings(Part):
    """Names and sizes of the topics."""

    prefix: str = Field(
        default="erp",
        pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{0,79}$",
        description="First part of every topic name, of the group and of the transactional id.",
    )
    partitions: int = Field(
        default=12,
        ge=1,
        le=10_000,
        description="Partitions of every topic; fixed for life, since a key must stay where it is.",
    )
    replication_factor: int = Field(
        default=3,
        ge=1,
        le=10,
        description="Copies of every partition; with three or more, two must confirm each write.",
    )
    versions: dict[str, int] = Field(
        default={},
        description="Entity -> version of its changelog topic, as `connector rebuild` wrote it: "
        "`{customer: 2}` means `<prefix>.changelog.customer.v2`. An entity that is not named is in its "
        "first topic, which has no suffix.",
    )

    @field_validator("versions")
    @classmethod
    def _known(cls, versions: dict[str, int]) -> dict[str, int]:
        if unknown := sorted(versions.keys() - ENTITIES.keys()):
            raise ValueError(f"{unknown[0]}: no such entity; known are {', '.join(ENTITIES)}")
        if low := [name for name, version in versions.items() if version < 1]:
            raise ValueError(f"{low[0]}: a version is 1 or more")
        return versions


class IngressSettings(Part):
    """The HTTP door (`connector serve`)."""

    host: str = Field(default="0.0.0.0", description="Address to listen on.")  # noqa: S104  behind a gateway
    port: int = Field(default=8080, ge=1, le=65_535, description="Port for callbacks.")
    max_body_bytes: int = Field(
        default=1_048_576, ge=1024, le=1_048_576, description="Longest body; above it the answer is 413."
    )
    max_header_bytes: int = Field(default=16_384, ge=1024, le=65_536, description="Longest header block.")
    max_headers: int = Field(default=64, ge=8, le=1000, description="Most headers of one request.")
    head_timeout_s: float = Field(
        default=5, gt=0, le=60, description="Time for the request head, in seconds."
    )
    body_timeout_s: float = Field(default=10, gt=0, le=300, description="Time for the body, in seconds.")
    ack_timeout_ms: int = Field(
        default=4000,
        ge=100,
        le=30_000,
        description="Time for Kafka to confirm every record, in milliseconds; after it the answer is 503.",
    )
    request_timeout_s: float = Field(
        default=5, gt=0, le=60, description="Time from the end of the body to the answer, in seconds."
    )
    max_connections: int = Field(default=4000, ge=1, description="Open connections of one process.")
    max_in_flight: int = Field(
        default=2000, ge=1, description="Requests worked on at the same time; above it the answer is 503."
    )
    keep_alive_s: int = Field(
        default=75, ge=1, description="Idle time before a connection is closed, longer than the gateway's."
    )
    max_records: int = Field(
        default=1000, ge=1, le=20_000, description="Most events in one body; above it: quarantine, `limits`."
    )
    rate_per_endpoint: float = Field(
        default=2000,
        gt=0,
        description="Authentic requests per second of one endpoint, unless it sets `rate`; above it 429.",
    )
    unverified_rate: float = Field(
        default=200,
        gt=0,
        description="Requests per second of one sender or endpoint that fail authentication; above it 429.",
    )
    trust_traceparent: bool = Field(
        default=False,
        description="Continue the trace a request names in its header traceparent: for a gateway that sets "
        "it itself. Off: that header is ignored.",
    )
    linger_ms: float = Field(
        default=2, ge=0, le=100, description="How long records wait for company; best near the broker's RTT."
    )
    queue_kbytes: int = Field(
        default=65_536, ge=1024, description="Memory for records not yet confirmed; when full: 503 at once."
    )
    drain_delay_s: float = Field(
        default=5,
        ge=0,
        description="Time still accepting after SIGTERM while gateways look away, in seconds.",
    )
    drain_timeout_s: float = Field(
        default=10, ge=0, description="Longest wait at the end for requests in flight, in seconds."
    )

    @model_validator(mode="after")
    def _deadlines_fit(self) -> Self:
        if self.ack_timeout_ms > self.request_timeout_s * 1000:
            raise ValueError("ack_timeout_ms exceeds request_timeout_s: no answer could come in time")
        return self


class OperationsSettings(Part):
    """Probes, metrics and, on the worker, the read-only schema registry."""

    host: str = Field(default="0.0.0.0", description="Address to listen on.")  # noqa: S104  behind a policy
    port: int = Field(
        default=9090,
        ge=1,
        le=65_535,
        description="Port of /livez, /readyz, /metrics, /registry; a second role on one host needs another.",
    )
    endpoint_labels: bool = Field(
        default=False,
        description="Show ids and tenants of endpoints in the metrics: connector_endpoint_info says which "
        "endpoint_hash is whose. Off: metrics name no tenant.",
    )


class WorkerSettings(Part):
    """The worker (`connector work`)."""

    delivery: Literal["exactly_once", "at_least_once"] = Field(
        default="exactly_once",
        description="exactly_once: outputs and offsets in one transaction. at_least_once: outputs are "
        "confirmed, then offsets follow; after a crash some stand in their topics twice, and a worker that "
        "stood still for half of session_timeout_ms ends itself with exit code 70.",
    )
    state: Literal["memory", "rocksdb"] = Field(
        default="memory",
        description="Where the latest record of every key is kept: in memory, rebuilt from the changelog at "
        "every start; or in a RocksDB on disk, for more keys than memory, of which only what is new is read.",
    )
    state_dir: Path | None = Field(
        default=None,
        description="Folder of `state: rocksdb`, one for each worker. It is a cache: once deleted, it is "
        "made anew from the changelog.",
    )
    batch_records: int = Field(
        default=2000, ge=1, le=50_000, description="Most raw records in one transaction."
    )
    group: str | None = Field(
        default=None, min_length=1, description="Consumer group; by default the prefix and `-worker`."
    )
    client_id: str | None = Field(
        default=None,
        min_length=1,
        description="Name of this process, part of its transactional id; by default host name and operations "
        "port. Two processes with one name would fence each other.",
    )
    static_membership: bool = Field(
        default=False,
        description="Keep a worker's partitions for it while it restarts within session_timeout_ms: no "
        "rebalance. It must come back under the same client_id, and one that does not come back leaves its "
        "partitions unread for that long.",
    )
    transaction_timeout_ms: int = Field(
        default=10_000,
        ge=1000,
        le=900_000,
        description="A hung transaction is aborted after this long; it holds back every reader until then.",
    )
    session_timeout_ms: int = Field(
        default=15_000, ge=1000, description="After this long of silence others take over its partitions."
    )
    max_poll_interval_ms: int = Field(
        default=60_000, ge=1000, description="Longest time between two polls before others take over."
    )
    settle_timeout_s: float = Field(
        default=10,
        gt=0,
        description="Longest time a rebalance waits for the transaction in flight, in seconds.",
    )
    assignment_strategy: Literal["range", "cooperative-sticky"] = Field(
        default="range", description="How partitions are spread over workers."
    )
    headers: Literal["full", "minimal"] = Field(
        default="full", description="minimal leaves the CloudEvents headers out; the x-erp-* ones stay."
    )
    max_event_age_days: int | None = Field(
        default=None,
        ge=15,
        description="Events of unknown keys older than this go to quarantine, `too_old`: a delete newer "
        "than they are may have been forgotten. null: they are applied, flagged and counted.",
    )
    quarantine: tuple[str, ...] = Field(
        default=(),
        description="Raw records to set aside unread, as topic/partition/offset: the way past a record that "
        "ends the worker, until a corrected version can take it.",
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.state == "rocksdb" and self.state_dir is None:
            raise ValueError("state: rocksdb needs state_dir, a folder of this worker alone")
        if self.max_poll_interval_ms < self.session_timeout_ms:
            raise ValueError("max_poll_interval_ms must not be less than session_timeout_ms")
        if self.settle_timeout_s * 1000 >= self.max_poll_interval_ms:
            raise ValueError(
                "settle_timeout_s must be less than max_poll_interval_ms: nothing polls meanwhile"
            )
        return self


class Settings(BaseSettings):
    """Everything; `CONNECTOR_WORKER__BATCH_RECORDS=500` in the environment sets a nested field."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=SEPARATOR, extra="forbid", frozen=True
    )

    kafka: KafkaProperties = Field(
        default=DEFAULTS,
        description="librdkafka properties, passed on as they are; env:NAME and file:/path are replaced.",
    )
    topics: TopicSettings = Field(default=TopicSettings(), description="Names and sizes of the topics.")
    registry: RegistrySettings = Field(default=RegistrySettings(), description="Where schema ids come from.")
    ingress: IngressSettings = Field(
        default=IngressSettings(), description="The HTTP door, `connector serve`."
    )
    operations: OperationsSettings = Field(
        default=OperationsSettings(), description="Probes, metrics and the read-only registry."
    )
    worker: WorkerSettings = Field(default=WorkerSettings(), description="The worker, `connector work`.")
    endpoints: tuple[EndpointSettings, ...] = Field(default=(), description="One entry per URL.")
    digest_key: Reference | None = Field(
        default=None,
        description="Key of the keyed hashes of credentials and masked ids; required with a Duett endpoint.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        urls = [(endpoint.source, endpoint.id) for endpoint in self.endpoints]
        if len(set(urls)) < len(urls):
            raise ValueError("endpoints: two have the same source and id; every URL may stand once")
        if self.digest_key is None and any(endpoint.source == "duett" for endpoint in self.endpoints):
            raise ValueError(
                "digest_key: missing; a Duett endpoint needs it: digest_key: env:CONNECTOR_DIGEST_KEY"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: Any,
        **__: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, which arrives as arguments."""
        written = init_settings.init_kwargs if isinstance(init_settings, InitSettingsSource) else {}
        return Environment(settings_cls, written), init_settings

    @property
    def group(self) -> str:
        """Consumer group of the workers."""
        return self.worker.group or f"{self.topics.prefix}-worker"

    @property
    def client_id(self) -> str:
        """Name of this process among the workers."""
        return self.worker.client_id or f"{socket.gethostname()}-{self.operations.port}"

    @property
    def transactional_id(self) -> str:
        """Unique per process and the same after a restart, which then aborts its own leftover at once."""
        return f"{self.topics.prefix}-{self.group}-{self.client_id}"
