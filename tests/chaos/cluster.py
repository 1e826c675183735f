"""Brokers as local JVMs, a fault proxy between each and its clients; brokers talk past the proxies."""

import resource
import signal
from pathlib import Path
from typing import Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from faultproxy import FaultProxy

from connector.runtime.broker import LocalKafka, free_ports

PROPERTIES: Final = {
    "log.cleaner.enable": "false",  # the checker counts records, compacted ones are gone
    "log.segment.delete.delay.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "1000",
    "group.consumer.heartbeat.interval.ms": "1000",
}


class Cluster(LocalKafka):
    """Nodes that are killed, paused, cut off from their clients and slowed down."""

    def __init__(self, nodes: int) -> None:
        super().__init__(nodes, properties=PROPERTIES)
        taken = {*self.port.values(), *self._controller.values()}
        others = [port for port in free_ports(3 * nodes) if port not in taken]
        self._between: Final = dict(zip(self.port, others, strict=False))
        self._proxies: Final = {node: FaultProxy(port) for node, port in self.port.items()}
        self.advertise = {node: proxy.port for node, proxy in self._proxies.items()}
        self._dead: Final[set[int]] = set()

    def _node(self, node: int, home: Path) -> dict[str, str]:
        told = super()._node(node, home)
        between = f"BROKER://127.0.0.1:{self._between[node]}"
        return told | {
            "listeners": f"{told['listeners']},{between}",
            "advertised.listeners": f"{told['advertised.listeners']},{between}",
            "listener.security.protocol.map": f"{told['listener.security.protocol.map']},BROKER:PLAINTEXT",
            "inter.broker.listener.name": "BROKER",
        }

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop, whatever happened."""
        for proxy in self._proxies.values():
            proxy.stop()
        self.stop()

    def hurt(self, kind: str, node: int, size: float) -> bool:
        """Let a fault begin; says that it did."""
        proxy = self._proxies[node]
        if kind == "broker killed":
            self._dead.add(node)
            self.signal(node, signal.SIGKILL)
        elif kind == "broker's disk full":
            self._dead.add(node)
            _, hard = resource.prlimit(self._processes[node].pid, resource.RLIMIT_FSIZE)
            # the next write fails, and Kafka ends by itself
            resource.prlimit(self._processes[node].pid, resource.RLIMIT_FSIZE, (1, hard))
        elif kind == "broker paused":
            self.signal(node, signal.SIGSTOP)
        elif kind == "clients to broker cut":
            proxy.hole_up = True
        elif kind == "broker to clients cut":
            proxy.hole_down = True
        elif kind == "connections reset":
            proxy.reset()
        elif kind == "slow acknowledgements":
            proxy.delay_s = size
        else:
            raise ValueError(kind)
        return True

    def refuse(self, topics: list[str], *, writes: bool) -> bool:
        """Let topics want more replicas in sync than there are, or as many as usual; false if not done."""
        want = len(self.port) + 1 if writes else max(len(self.port) - 1, 1)
        entry = ConfigEntry("min.insync.replicas", str(want), incremental_operation=AlterConfigOpType.SET)
        asked = [
            ConfigResource(ConfigResource.Type.TOPIC, one, incremental_configs=[entry]) for one in topics
        ]
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        try:
            for done in admin.incremental_alter_configs(asked, request_timeout=5).values():
                done.result()
        except KafkaException:
            return False
        return True

    def heal(self, node: int) -> None:
        """Let every fault of a node end; one that was killed, or ended, is launched, not waited for."""
        proxy = self._proxies[node]
        if node in self._dead:
            self._dead.discard(node)
            self.launch(node)
        else:
            self.signal(node, signal.SIGCONT)
        cut = proxy.hole_up or proxy.hole_down
        proxy.hole_up = proxy.hole_down = False
        proxy.delay_s = 0.0
        if cut:  # bytes are missing in the middle of these streams: TCP would never do that
            proxy.reset()

    def settle(self) -> None:
        """Heal everything and wait until every node serves."""
        for node in self.port:
            self.heal(node)
        for node in self.port:
            self.ready(node)
