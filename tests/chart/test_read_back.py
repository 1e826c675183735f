"""`helm test` on a real Kafka: the chart's own script, with the files the chart renders."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chart
import pytest
from stack import Child

from connector.runtime.broker import free_ports

pytestmark = [pytest.mark.kafka, pytest.mark.chart, pytest.mark.timeout(180)]

SCRIPT = chart.CHART / "files" / "read_back.py"


class Release:
    """The roles as processes, each with the file and variables of its pod."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path) -> None:
        values = chart.merged(
            chart.example("plain"),
            {
                "kafka": {"bootstrapServers": bootstrap},
                "config": {"topics": {"prefix": prefix, "partitions": 2}, "ingress": {"drain_delay_s": 0}},
            },
        )
        self.objects = chart.render(values)
        self.folder = folder
        self.port = free_ports(1)[0]
        self.children: list[Child] = []
        self._clean = {name: text for name, text in os.environ.items() if not name.startswith("CONNECTOR_")}

    def start(self, component: str, role: str) -> None:
        """Start a role and wait until it is ready."""
        operations = free_ports(1)[0]
        env = {
            **self._env(component),
            "CONNECTOR_INGRESS__PORT": str(self.port),
            "CONNECTOR_OPERATIONS__PORT": str(operations),
        }
        command = [sys.executable, "-m", "connector", role]
        child = Child(component, command, env, self.folder / f"{component}.log", operations)
        self.children.append(child)
        child.ready()

    def run(
        self, component: str, *arguments: str, secret: str = chart.SECRET
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end, as a pod of this component would."""
        return subprocess.run(
            [sys.executable, *arguments],
            env=self._env(component, secret),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def test(self, seconds: int, secret: str = chart.SECRET) -> "subprocess.CompletedProcess[str]":
        """Run the script of `helm test`."""
        url = f"http://127.0.0.1:{self.port}"
        return self.run("test", str(SCRIPT), url, "helm-test", str(seconds), secret=secret)

    def _env(self, component: str, secret: str = chart.SECRET) -> dict[str, str]:
        config, env = chart.laid_out(self.objects, component, self.folder / component, secret)
        return {**self._clean, **env, "CONNECTOR_CONFIG": str(config)}


@pytest.fixture
def release(bootstrap: str, prefix: str, tmp_path: Path) -> Iterator[Any]:
    made = Release(bootstrap, prefix, tmp_path)
    try:
        told = made.run("topics", "-m", "connector", "topics", "apply")
        assert told.returncode == 0, told.stderr
        made.start("ingress", "serve")
        yield made
    finally:
        for child in made.children:
            child.close()


def test_it_posts_a_signed_callback_and_finds_it_in_the_changelog_each_time(release):
    release.start("worker", "work")

    for _ in range(2):
        told = release.test(60)
        assert told.returncode == 0, told.stderr
        assert '"accepted": 1' in told.stdout.replace('":1', '": 1')
        assert "UPSERT visma-net/helm-test/customer/55555" in told.stdout


def test_it_fails_in_clear_words_while_nobody_works(release):
    told = release.test(5)

    assert told.returncode == 1
    assert "no such record within 5 s; do the workers run, and are they ready?" in told.stderr


def test_it_fails_in_clear_words_when_the_ingress_refuses(release):
    told = release.test(30, secret="another-secret-of-thirty-two-bytes")

    assert told.returncode == 1
    assert ": 401 " in told.stdout
    assert "the ingress did not take the callback" in told.stderr
