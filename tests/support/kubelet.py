"""Docker in the kubelet's place: pods as the chart renders them, beside a real Kafka, and traffic to them."""

import base64
import hashlib
import hmac
import http.client
import itertools
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self

import chart
from container import START, KafkaContainer

LABEL: Final = {"org.testcontainers.session-id": "test-image"}
RATE: Final = 500
"""Callbacks per second."""
SENDERS: Final = 25


class Kafka(KafkaContainer):
    """A real Kafka that containers of its network reach as kafka:9093."""

    def with_command(self, command: Any) -> Self:
        """Advertise the name, too, once the script that starts Kafka is there."""
        *head, script = command
        named = f"sed -i s/localhost:9093/kafka:9093/ {START}; exec bash"
        super().with_command([*head, script.replace("exec bash", named)])
        return self


class Pod:
    """One container, started as the chart's pod of a component says.

    Args:
        cluster: Where it runs.
        component: ingress, worker, topics or test.
        folder: Where its files are laid out.
        name: Of the pod.
    """

    def __init__(self, cluster: "Cluster", component: str, folder: Path, name: str) -> None:
        objects = chart.render(cluster.values)
        ((_, spec),) = [(meta, spec) for part, meta, spec in chart.pods(objects) if part == component]
        one = spec["containers"][0]
        rights, user = one["securityContext"], spec["securityContext"]
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        mounted, scratch = {}, {}
        for mount in one["volumeMounts"]:
            volume = volumes[mount["name"]]
            if "emptyDir" in volume:
                scratch[mount["mountPath"]] = "size=16m,uid=10001,gid=10001"
                continue
            written = _lay_out(objects, volume, folder / name, user["fsGroup"], cluster.stored)
            mounted[str(written)] = {"bind": mount["mountPath"], "mode": "ro"}
        self.grace_s: int = spec.get("terminationGracePeriodSeconds", 30)
        ports = {port["name"]: port["containerPort"] for port in one.get("ports", [])}
        self.container = cluster.engine.containers.create(
            one["image"],
            entrypoint=one.get("command"),
            command=one["args"],
            environment={each["name"]: each.get("value", name) for each in one["env"]},
            user=f"{user['runAsUser']}:{user['runAsGroup']}",
            read_only=rights["readOnlyRootFilesystem"],
            cap_drop=rights["capabilities"]["drop"],
            security_opt=[] if rights["allowPrivilegeEscalation"] else ["no-new-privileges"],
            mem_limit=one["resources"]["limits"]["memory"].replace("Mi", "m").replace("Gi", "g"),
            volumes=mounted,
            tmpfs=scratch,
            network=cluster.network,
            hostname=f"{chart.RELEASE}-erp-connector-{component}",
            ports={f"{port}/tcp": ("127.0.0.1", None) for port in ports.values()},
            labels=LABEL,
        )
        self._ports = ports

    def start(self) -> Self:
        """Start it; the ports are known afterwards."""
        self.container.start()
        self.container.reload()
        return self

    def port(self, name: str) -> int:
        """Give the port of the host that leads to one of its ports."""
        return int(self.container.ports[f"{self._ports[name]}/tcp"][0]["HostPort"])

    def get(self, path: str) -> int:
        """Ask the operations port; status 0 where nobody answers."""
        url = f"http://127.0.0.1:{self.port('operations')}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            return 0

    def ready(self) -> float:
        """Wait until /readyz says so; give the seconds it took."""
        began = time.monotonic()
        until(lambda: self.get("/readyz") == 200, 120, self.log)
        return time.monotonic() - began

    def cpu_s(self) -> float:
        """Give the CPU seconds it has used, which other work on the machine does not stretch."""
        stats = self.container.stats(stream=False, one_shot=True)
        return float(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9

    def ended(self, within_s: float) -> int:
        """Wait for its end; give the exit code."""
        return int(self.container.wait(timeout=within_s)["StatusCode"])

    def log(self) -> str:
        """What it wrote."""
        return str(self.container.logs(tail=60).decode(errors="replace"))


def _lay_out(
    objects: list[chart.Object],
    volume: chart.Object,
    above: Path,
    group: int,
    stored: Mapping[str, Mapping[str, str]],
) -> Path:
    """Write a volume as a kubelet would: readable for the pod's group alone where it is a secret."""
    folder: Path = above / volume["name"]
    folder.mkdir(parents=True)
    files: Mapping[str, str]
    if "secret" in volume:
        files, mode = stored[volume["secret"]["secretName"]], volume["secret"]["defaultMode"]
    else:
        named = volume["configMap"]["name"]
        (config,) = [one for one in chart.of(objects, "ConfigMap") if one["metadata"]["name"] == named]
        files, mode = config["data"], 0o644
    for name, text in files.items():
        path = folder / name
        path.write_text(text)
        if os.geteuid() == 0:
            os.chown(path, 0, group)
            path.chmod(mode)
    folder.chmod(0o755)
    return folder


def until(well: Callable[[], bool], seconds: float, told: Callable[[], str]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not well():
        assert time.monotonic() < end, told()
        time.sleep(0.02)


class Cluster:
    """A network with a Kafka, and whatever pods a test starts in it.

    Args:
        engine: Docker.
        network: Name of the network.
        kafka: Running in it.
        folder: Where files of pods are laid out.
        values: Of the chart.
        stored: What the Secrets hold: name -> key -> text.
    """

    def __init__(
        self,
        engine: Any,
        network: str,
        kafka: Kafka,
        folder: Path,
        values: chart.Values,
        stored: Mapping[str, Mapping[str, str]],
    ) -> None:
        self.engine, self.network = engine, network
        self.values, self.stored = values, stored
        self.bootstrap = kafka.bootstrap
        self._folder = folder
        self._numbers = itertools.count()
        self.pods: list[Pod] = []

    def pod(self, component: str, name: str | None = None) -> Pod:
        """Start a pod."""
        pod = Pod(self, component, self._folder / str(next(self._numbers)), name or component)
        self.pods.append(pod)
        return pod.start()


def callback(number: int) -> bytes:
    """Make the announcement that customer `number` changed, now."""
    ticks = time.time_ns() // 100 + 621_355_968_000_000_000
    return json.dumps(
        {
            "contextId": "1262489",
            "event": "customer_changed",
            "action": "UPDATED",
            "resourceId": str(number),
            "resourceUri": f"https://api.example.com/v1/customer/{number}",
            "timeStamp": ticks,
        }
    ).encode()


def signed(body: bytes, secret: str) -> dict[str, str]:
    """Sign as Visma does."""
    proof = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return {"content-type": "application/json", "x-vwd-signature-v1": proof}


class Traffic:
    """Callbacks at a steady rate over kept connections, and what became of each.

    A connection is opened again where the answer closed it; nothing is sent twice.
    """

    def __init__(self, port: int, secret: str) -> None:
        self.answers: dict[int, int | str] = {}
        """Number of the customer -> status, or what happened instead."""
        self._port, self._secret = port, secret
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._stop.is_set():
            with self._lock:
                number = next(self._numbers)
            if (early_s := self._began + number / RATE - time.monotonic()) > 0:
                time.sleep(early_s)
            body = callback(number)
            try:
                connection.request("POST", "/hooks/visma-net/vendor", body, signed(body, self._secret))
                answer = connection.getresponse()
                answer.read()
                self.answers[number] = answer.status
            except (OSError, http.client.HTTPException) as error:
                self.answers[number] = repr(error)
                connection.close()
        connection.close()

    def stop(self) -> None:
        """Send nothing more, and wait for every answer."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads)
