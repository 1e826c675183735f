"""Apache Kafka in Docker; testcontainers' own class knows Confluent's images only."""

import io
import os
import tarfile
from typing import Final, Self

from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from connector.runtime.broker import CLUSTER_ID, node_properties

IMAGE: Final = os.environ.get("CONNECTOR_TEST_KAFKA_IMAGE", "apache/kafka-native:4.3.1")
START: Final = "/tmp/advertise-and-run.sh"  # noqa: S108  inside the container
CLIENT_PORT: Final = 9092
PROPERTIES: Final = {
    "node.id": "1",
    "listeners": f"HOST://:{CLIENT_PORT},BROKER://:9093,CONTROLLER://:9094",
    "listener.security.protocol.map": "HOST:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "BROKER",
    "controller.quorum.voters": "1@localhost:9094",
    "log.cleaner.backoff.ms": "100",
}


class KafkaContainer(DockerContainer):
    """One node of `apache/kafka-native`, `apache/kafka` or an image with the same contract."""

    def __init__(self, image: str = IMAGE) -> None:
        super().__init__(image)
        self.with_exposed_ports(CLIENT_PORT)
        properties = node_properties(1) | PROPERTIES
        names = {"KAFKA_" + name.replace(".", "_").upper(): value for name, value in properties.items()}
        self.with_envs(CLUSTER_ID=CLUSTER_ID, **names)

    @property
    def bootstrap(self) -> str:
        """`bootstrap.servers` for clients on the host."""
        return f"{self.get_container_host_ip()}:{self.get_exposed_port(CLIENT_PORT)}"

    def start(self) -> Self:
        """Start and wait until Kafka serves clients; 3.3 to 4.4 s."""
        try:
            self._launch()
            LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(60).wait_until_ready(self)
        except BaseException:
            self.stop()
            raise
        return self

    def _launch(self) -> None:
        """Start a container that waits for its start script: the host's port is known only now."""
        wait = f"until [ -f {START} ]; do sleep 0.05; done; exec bash {START}"
        self.with_command(["bash", "-c", wait])
        super().start()
        script = (
            f"export KAFKA_ADVERTISED_LISTENERS=HOST://{self.bootstrap},BROKER://localhost:9093\n"
            "exec /etc/kafka/docker/run\n"
        ).encode()
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo(START.lstrip("/"))
            entry.size = len(script)
            tar.addfile(entry, io.BytesIO(script))
        self.get_wrapped_container().put_archive("/", archive.getvalue())
