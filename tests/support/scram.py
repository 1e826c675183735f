"""A real broker with a SCRAM listener beside its plain one, and secrets as a kubelet mounts them."""

from pathlib import Path
from typing import Final

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # not re-exported (2.16)
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from connector.runtime.broker import LocalKafka, free_ports

SHA_512: Final = ScramMechanism.SCRAM_SHA_512
REAUTHENTICATION_S: Final = 6
"""The broker asks a connection for its credentials again this often."""


class ScramKafka:
    """One node; `kafka.bootstrap` is the plain listener, `properties` lead a client to the other one."""

    def __init__(self) -> None:
        plain, scram, controller = free_ports(3)
        self.kafka: Final = LocalKafka(
            ports=[plain],
            properties={
                "listeners": f"CLIENT://127.0.0.1:{plain},SCRAM://127.0.0.1:{scram},"
                f"CONTROLLER://127.0.0.1:{controller}",
                "advertised.listeners": f"CLIENT://127.0.0.1:{plain},SCRAM://127.0.0.1:{scram}",
                "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
                "SCRAM:SASL_PLAINTEXT",
                "controller.quorum.voters": f"1@127.0.0.1:{controller}",
                "sasl.enabled.mechanisms": "SCRAM-SHA-512",
                "listener.name.scram.scram-sha-512.sasl.jaas.config": (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                ),
                "listener.name.scram.connections.max.reauth.ms": str(REAUTHENTICATION_S * 1000),
            },
        )
        self._bootstrap = f"127.0.0.1:{scram}"

    def properties(self, secret: "Secret") -> dict[str, str]:
        """What stands under `kafka` of a role."""
        return {
            "bootstrap.servers": self._bootstrap,
            "security.protocol": "sasl_plaintext",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": f"file:{secret.folder}/username",
            "sasl.password": f"file:{secret.folder}/password",
        }

    def let_in(self, user: str, password: str) -> None:
        """Make a user, or give one another password."""
        new = UserScramCredentialUpsertion(user, ScramCredentialInfo(SHA_512, 4096), password.encode())
        self._alter(new)

    def shut_out(self, user: str) -> None:
        """Remove a user."""
        self._alter(UserScramCredentialDeletion(user, SHA_512))

    def _alter(self, change: UserScramCredentialUpsertion | UserScramCredentialDeletion) -> None:
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
        for future in admin.alter_user_scram_credentials([change]).values():
            future.result(30)


class Secret:
    """User and password in two files that change together: a link to their folder is replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "kafka"
        self._versions = 0

    def write(self, user: str, password: str) -> None:
        """Put a user and a password in the place of others."""
        self._versions += 1
        version = self.folder.with_name(f"kafka.{self._versions}")
        version.mkdir()
        (version / "username").write_text(user)
        (version / "password").write_text(f"{password}\n")
        link = self.folder.with_name("kafka.new")
        link.symlink_to(version)
        link.replace(self.folder)
