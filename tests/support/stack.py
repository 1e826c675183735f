"""The product as its users run it: ingress and workers as processes of their own, on a real Kafka."""

import base64
import hashlib
import hmac
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import yaml
from watch import Watch

from connector.runtime.broker import free_ports

ENTRY: Final = Path(__file__).with_name("entry.py")
READY_S: Final = 40.0
TAIL_LINES: Final = 40
SOURCES: Final = ("duett", "quickfile", "visma-journal", "visma-net", "visma-sales")
DELIVERIES: Final = ("exactly_once", "at_least_once")
COMPANY: Final = "1000001"
"""Visma's company number; also the tenant of its endpoints."""
TENANTS: Final = {"duett": "acme", "quickfile": "shop"}


class Child:
    """One process of the product, its log and its operations port."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], log: Path, port: int) -> None:
        self.name = name
        self.log = log
        self.port = port
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        # ends the process if the tests are killed: the pipe then ends too
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", 'read -r _; kill -9 "$0"', str(self.process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def url(self) -> str:
        """Where its probes, metrics and registry are."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> tuple[int, str]:
        """Ask the operations port; status 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=2) as answer:  # noqa: S310  our own address
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()
        except OSError:
            return 0, ""

    def ready(self, within_s: float = READY_S) -> Self:
        """Wait until /readyz says so."""
        deadline, told = time.monotonic() + within_s, ""
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}\n{self.tail()}")
            status, told = self.get("/readyz")
            if status == 200:
                return self
            time.sleep(0.1)
        raise AssertionError(f"{self.name} not ready within {within_s} s: {told}\n{self.tail()}")

    def signal(self, number: signal.Signals) -> None:
        """Send SIGSTOP, SIGCONT, SIGTERM."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it without a chance to say anything."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Leave nothing behind."""
        for process in (self.process, self._guard):
            process.kill()
            process.wait()
        if pipe := self._guard.stdin:
            pipe.close()

    def stop(self, within_s: float = 40) -> int:
        """Ask it to end in an orderly way; give the exit code."""
        self.process.terminate()
        return self.process.wait(within_s)

    def ended(self, within_s: float) -> int | None:
        """Wait for its own end; None if it goes on."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            return None

    @property
    def alive(self) -> bool:
        """Whether the process is there, paused or not."""
        return self.process.poll() is None

    def rss_bytes(self) -> int:
        """Resident memory of the process."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def tail(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        return "\n".join([f"--- {self.log.name} (pid {self.process.pid}) ---", *(one[:600] for one in lines)])


class Stack:
    """One prefix on one Kafka: configuration, topics, and whatever processes a test starts.

    A context manager; at the end every process is ended by its pid, and a failed test shows their logs.

    Args:
        bootstrap: The brokers.
        prefix: Of topics, group and transactional ids.
        folder: Where configuration and logs go.
        partitions: Of every topic.
        kafka: librdkafka properties, such as `group.protocol`.
        worker: Settings below `worker`.
        ingress: Settings below `ingress`.
    """

    def __init__(
        self,
        bootstrap: str,
        prefix: str,
        folder: Path,
        partitions: int = 4,
        *,
        kafka: Mapping[str, str] | None = None,
        worker: Mapping[str, Any] | None = None,
        ingress: Mapping[str, Any] | None = None,
    ) -> None:
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.delivery = (worker or {}).get("delivery", "exactly_once")
        self.folder = folder
        self.partitions = partitions
        self.children: list[Child] = []
        self.port = free_ports(1)[0]
        self.config = folder / "connector.yaml"
        self.secrets = {
            name: secrets.token_hex(24)
            for source in SOURCES
            for name in (f"STACK_{_upper(source)}_1", f"STACK_{_upper(source)}_2")
        }
        self.secrets["STACK_CLIENT_KEY"] = str(uuid.uuid4())
        self.secrets["CONNECTOR_DIGEST_KEY"] = secrets.token_hex(32)
        settings = {
            "kafka": {"bootstrap.servers": bootstrap, **(kafka or {})},
            "topics": {"prefix": prefix, "partitions": partitions, "replication_factor": 1},
            "ingress": {
                "host": "127.0.0.1",
                "port": self.port,
                "drain_delay_s": 0.2,
                "rate_per_endpoint": 1_000_000,
                **(ingress or {}),
            },
            "operations": {"host": "127.0.0.1"},
            "worker": {"session_timeout_ms": 6000, "transaction_timeout_ms": 6000, **(worker or {})},
            "endpoints": [_endpoint(source) for source in SOURCES],
            "digest_key": "env:CONNECTOR_DIGEST_KEY",
        }
        self.config.write_text(yaml.safe_dump(settings, sort_keys=False))
        clean = {name: text for name, text in os.environ.items() if not name.startswith("CONNECTOR_")}
        self.env = clean | self.secrets

    def __enter__(self) -> Self:
        self.run("topics", "apply")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for child in self.children:
            child.close()
        if kind is not None:
            for child in self.children:
                print(child.tail(), file=sys.stderr)

    def run(self, *arguments: str) -> str:
        """Run one command to its end; give what it printed."""
        told = subprocess.run(
            [*_command(), "--config", str(self.config), *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert told.returncode == 0, told.stderr[-3000:]
        return told.stdout

    def start(self, name: str, role: str, *, fault: str = "", **env: str) -> Child:
        """Start a process without waiting for it.

        Args:
            name: Of its log and, for a worker, its client id: the same name is the same worker restarted.
            role: `serve` or `work`.
            fault: One of `entry.FAULTS`.
            env: Further variables.
        """
        port = free_ports(1)[0]
        more = {"CONNECTOR_OPERATIONS__PORT": str(port), "CONNECTOR_WORKER__CLIENT_ID": name, **env}
        if fault:
            more["CONNECTOR_TEST_FAULT"] = fault
        command = [*_command(entry=bool(fault)), "--config", str(self.config), role]
        child = Child(name, command, self.env | more, self.folder / f"{name}.log", port)
        self.children.append(child)
        return child

    def serve(self, name: str = "ingress") -> Child:
        """Start an ingress and wait until it is ready."""
        return self.start(name, "serve").ready()

    def work(self, name: str = "worker-1", *, fault: str = "") -> Child:
        """Start a worker and wait until it reads all its partitions."""
        return self.start(name, "work", fault=fault).ready()

    def topic(self, *parts: str) -> str:
        """Name a topic under the prefix, such as `raw` and `duett`."""
        return ".".join((self.prefix, *parts))

    def request(self, source: str, body: bytes, *, slot: int = 1) -> tuple[str, dict[str, str]]:
        """URL and headers with which a vendor would post a body; `slot` chooses one of the two secrets."""
        secret = self.secrets[f"STACK_{_upper(source)}_{slot}"]
        url = f"http://127.0.0.1:{self.port}/hooks/{source}/{source}-1"
        headers = {"content-type": "application/json"}
        if source == "duett":
            return url, headers | {"authorization": secret}
        if source == "quickfile":
            return f"{url}/{secret}", headers
        proof = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
        return url, headers | {"x-vwd-signature-v1": proof}

    def post(
        self, source: str, body: bytes, *, slot: int = 1, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Post one body; give status and answer."""
        url, signed = self.request(source, body, slot=slot)
        return fetch(url, body, {**signed, **(headers or {})})

    def drained(self, within_s: float = 60) -> None:
        """Wait until the workers have committed everything that stands in the raw topics."""
        topics = [self.topic("raw", source) for source in SOURCES]
        watch = Watch(self.bootstrap, f"{self.prefix}-worker", topics, self.partitions)
        try:
            watch.wait(within_s)
        finally:
            watch.close()


def fetch(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
    """Post a body just so; give status and answer."""
    request = urllib.request.Request(url, body, dict(headers), method="POST")  # noqa: S310  our own address
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310  as above
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def _command(*, entry: bool = False) -> list[str]:
    return [sys.executable, str(ENTRY)] if entry else [sys.executable, "-m", "connector"]


def _upper(source: str) -> str:
    return source.upper().replace("-", "_")


def _endpoint(source: str) -> dict[str, Any]:
    both = [f"env:STACK_{_upper(source)}_1", f"env:STACK_{_upper(source)}_2"]
    endpoint: dict[str, Any] = {"source": source, "id": f"{source}-1"}
    if source == "duett":
        endpoint |= {"tenant": TENANTS[source], "companies": ["env:STACK_CLIENT_KEY"]}
        return endpoint | {"authenticate": {"header": "Authorization", "secrets": both}}
    if source == "quickfile":
        return endpoint | {"tenant": TENANTS[source], "authenticate": {"url_token": both}}
    endpoint |= {"tenant": COMPANY, "companies": [COMPANY]}
    return endpoint | {"authenticate": {"hmac": "x-vwd-signature-v1", "secrets": both}}
