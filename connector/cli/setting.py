"""Where the demo plays: a folder with a configuration, random secrets in the environment, free ports."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec
import yaml

from connector.cli.samples import DUETT_COMPANY, VISMA_COMPANY, VISMA_TENANT
from connector.core.authenticate import company_digest
from connector.runtime.configuration import load
from connector.runtime.settings import Settings

TENANTS: Final = {
    "duett": "acme",
    "visma-net": "nordic",
    "visma-sales": "nordic",
    "visma-journal": "nordic",
    "quickfile": "shop-ltd",
}
"""Source -> tenant of its endpoint."""
COMPANIES: Final = {
    "duett": [company_digest(DUETT_COMPANY)],
    "visma-net": [VISMA_COMPANY],
    "visma-sales": [VISMA_TENANT],
    "visma-journal": [VISMA_TENANT],
    "quickfile": [],
}
DIGEST_KEY: Final = "CONNECTOR_DIGEST_KEY"


class Setting(msgspec.Struct, frozen=True):
    """What the demo made for itself."""

    folder: Path
    config: Path
    settings: Settings
    ports: dict[str, int]
    """`ingress`, and the operations ports of `serve` and `work`."""


def lay_out(stack: ExitStack, servers: str, prefix: str) -> Setting:
    """Make folder, secrets and configuration; the folder goes when the stack unwinds."""
    folder = Path(tempfile.mkdtemp(prefix="erp-connector-demo-"))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    ports = {"ingress": free_port(8080), "serve": free_port(9090), "work": free_port(9091)}
    config = folder / "connector.yaml"
    config.write_text(yaml.safe_dump(_configuration(servers, prefix, ports["ingress"]), sort_keys=False))
    made = {DIGEST_KEY: secrets.token_hex(32)} | {
        _variable(source): secrets.token_hex(32) for source in TENANTS
    }
    os.environ.update(made)  # the children inherit them
    _write_environment(folder / "env", {**made, "CONNECTOR_CONFIG": str(config)})
    return Setting(folder, config, load(config), ports)


def _variable(source: str) -> str:
    return f"DEMO_{source.upper().replace('-', '_')}"


def _configuration(servers: str, prefix: str, port: int) -> dict[str, object]:
    return {
        "kafka": {"bootstrap.servers": servers},
        "topics": {"prefix": prefix, "partitions": 12, "replication_factor": 1},
        "ingress": {"host": "127.0.0.1", "port": port, "drain_delay_s": 0},
        "operations": {"host": "127.0.0.1"},
        "worker": {"client_id": "demo"},
        "endpoints": [_endpoint(source, tenant) for source, tenant in TENANTS.items()],
        "digest_key": f"env:{DIGEST_KEY}",
    }


def _endpoint(source: str, tenant: str) -> dict[str, object]:
    secret = f"env:{_variable(source)}"
    ways: dict[str, object] = {"hmac": "x-vwd-signature-v1", "secrets": secret}
    if source == "duett":
        ways = {"header": "Authorization", "secrets": secret}
    elif source == "quickfile":
        ways = {"url_token": secret}
    return {
        "source": source,
        "id": f"demo-{source}",
        "tenant": tenant,
        "companies": COMPANIES[source],
        "authenticate": ways,
    }


def _write_environment(path: Path, variables: dict[str, str]) -> None:
    """Write what another terminal needs to join in: `. <folder>/env`."""
    path.touch(mode=0o600)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    path.write_text("\n".join(lines) + "\n")


def free_port(wanted: int) -> int:
    """Give the wanted port of 127.0.0.1 if nobody has it, else a free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return wanted
