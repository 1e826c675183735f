import logging
from pathlib import Path
from typing import Any

import pytest
from rig import NOBODY

from connector.runtime import rotation
from connector.runtime.credentials import resolve_kafka
from connector.runtime.rotation import Rotation


class Heard(rotation.Producer):
    """A producer that remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        super().__init__({"bootstrap.servers": NOBODY, "log_level": 0})

    def set_sasl_credentials(self, *told: Any) -> None:
        self.heard.append(told)


@pytest.fixture(autouse=True)
def _nothing_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "_newest", [])


@pytest.fixture
def client() -> Heard:
    return Heard()


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("the old one\n")
    return path


@pytest.fixture
def kafka(password: Path, tmp_path: Path) -> dict[str, str]:
    certificate = tmp_path / "ca.pem"
    certificate.write_text("an authority")
    written = {"bootstrap.servers": NOBODY, "sasl.username": "somebody", "sasl.password": f"file:{password}"}
    return resolve_kafka({**written, "ssl.ca.location": str(certificate)})


def test_a_new_password_reaches_clients_that_live_and_those_made_later(
    kafka: dict[str, str], password: Path, client: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "connector")
    here = Rotation(kafka)
    here.look()
    before = list(client.heard)
    password.write_text("the new one\n")
    here.look()
    here.look()

    assert before == []
    assert client.heard == [("somebody", "the new one")]
    assert kafka["sasl.password"] == "the new one"
    assert Heard().heard == [("somebody", "the new one")]
    assert [one.message for one in caplog.records] == ["Kafka's credentials were read anew"]
    assert "new one" not in caplog.text


def test_a_password_that_cannot_be_read_stays_as_it_was_and_that_is_told_once(
    kafka: dict[str, str], password: Path, client: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    here = Rotation(kafka)
    password.unlink()
    here.look()
    here.look()

    assert kafka["sasl.password"] == "the old one"
    assert client.heard == []
    assert [one.message for one in caplog.records] == ["Kafka's credentials stay as they were"]


def test_a_certificate_that_changed_asks_for_a_restart_once(
    kafka: dict[str, str], tmp_path: Path, client: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    here = Rotation(kafka)
    (tmp_path / "ca.pem").write_text("another authority")
    here.look()
    here.look()

    assert client.heard == []
    (told,) = caplog.records
    assert told.message == "restart this process: its Kafka clients keep the old files"
    assert vars(told)["changed"] == ["ssl.ca.location"]
