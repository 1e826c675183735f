"""The image as the chart runs it: as uid 10001, on a read-only root, without a capability, beside Kafka.

Files, variables, arguments and limits of every container are the ones the chart renders; Docker stands in
for the kubelet. Needs an engine, the image (`make image`) and helm (`make tools`), and fails without.
"""

import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import version
from typing import Any

import chart
import pytest
from kubelet import LABEL, RATE, Cluster, Kafka, Traffic, until
from reader import Reader
from watch import Watch

pytestmark = [pytest.mark.image, pytest.mark.timeout(300)]

IMAGE = os.environ.get("CONNECTOR_TEST_IMAGE") or f"erp-connector:{version('erp-connector')}"
MOST_BYTES = 250_000_000
READY_S = 2.0
SLOW = 3
"""A machine may be this many times slower than promised."""
DRAINING_S = 2.0
"""How long callbacks still come after SIGTERM: less than the delay in which gateways look away."""
SECRET = secrets.token_hex(32)
VALUES: chart.Values = {
    "image": {"repository": IMAGE.rpartition(":")[0], "tag": IMAGE.rpartition(":")[2]},
    "kafka": {"bootstrapServers": "kafka:9093", "securityProtocol": "plaintext", "provisioning": "job"},
    "config": {
        "topics": {"partitions": 4, "replication_factor": 1},
        # a machine that others use must not run into a deadline: none of them is the promise here
        "ingress": {
            "drain_delay_s": 10,
            "drain_timeout_s": 30,
            "head_timeout_s": 60,
            "body_timeout_s": 60,
            "ack_timeout_ms": 30_000,
            "request_timeout_s": 60,
        },
        "worker": {"settle_timeout_s": 20, "session_timeout_ms": 45_000},
        "endpoints": [
            {
                "source": "visma-net",
                "id": "vendor",
                "tenant": "nordic",
                "companies": ["1262489"],
                "authenticate": {"hmac": "x-vwd-signature-v1", "secrets": "file:/run/secrets/visma/current"},
            }
        ],
    },
    "secrets": [{"name": "visma", "existingSecret": "erp-visma"}],
    "digestKey": {"existingSecret": "erp-digest-key"},
    "ingress": {"service": {"port": 8080}},
    "networkPolicy": {"enabled": False},
    "test": {"enabled": True, "existingSecret": "erp-test"},
}
STORED = {
    "erp-visma": {"current": SECRET},
    "erp-digest-key": {"digest-key": SECRET},
    "erp-test": {"secret": secrets.token_hex(32)},
}


@pytest.fixture(scope="module")
def engine() -> Any:
    """Docker, with the image in it."""
    import docker
    from docker.errors import DockerException

    try:
        found = docker.from_env(timeout=120)
        found.ping()
        found.images.get(IMAGE)
    except DockerException as error:
        pytest.fail(f"no engine with {IMAGE}: {error}\nStart Docker and run `make image`.", pytrace=False)
    return found


@pytest.fixture(scope="module")
def cluster(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Kafka in a container, and the topics made by the chart's own job."""
    from testcontainers.core.network import Network

    with ExitStack() as stack:
        network = stack.enter_context(Network())
        kafka = Kafka().with_network(network).with_network_aliases("kafka")
        stack.enter_context(kafka)
        folder = tmp_path_factory.mktemp("pods")
        cluster = Cluster(engine, network.name, kafka, folder, VALUES, STORED)
        stack.callback(lambda: [pod.container.remove(force=True) for pod in cluster.pods])
        job = cluster.pod("topics")
        assert job.ended(60) == 0, job.log()
        yield cluster


def raw_keys(cluster: Cluster) -> set[str]:
    """Read the keys of every committed raw record."""
    return {record.key for record in Reader(cluster.bootstrap).read(["erp.raw.visma-net"])}


def key(number: int) -> str:
    return f"visma-net/nordic/customer/{number}"


def test_the_image_is_small_and_says_what_it_is(engine):
    attrs = engine.images.get(IMAGE).attrs

    assert attrs["Size"] < MOST_BYTES
    assert attrs["Config"]["User"] == "10001:10001"
    labels = attrs["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == version("erp-connector")
    assert {"title", "description", "licenses", "revision"} <= {name.rpartition(".")[2] for name in labels}


def test_a_container_has_no_rights_and_no_installer(engine):
    asks = (
        "import json,os,importlib.util as u;s=open('/proc/self/status').read();"
        "print(json.dumps([os.getuid(),[l.split()[1] for l in s.splitlines() if l.startswith('Cap')],"
        "u.find_spec('pip') is None,os.access('/opt/connector',os.W_OK)]))"
    )
    told = engine.containers.run(
        IMAGE, entrypoint="/opt/connector/bin/python", command=["-c", asks],
        read_only=True, cap_drop=["ALL"], network_mode="none", remove=True, labels=LABEL,
    )  # fmt: skip

    assert json.loads(told) == [10001, ["0" * 16] * 5, True, False]


def test_a_sigterm_before_anything_is_set_up_ends_it_at_once(cluster):
    pod = cluster.pod("ingress")
    pod.container.kill("SIGTERM")

    pod.ended(pod.grace_s)  # as process 1 Python would go on until it is killed


def test_a_callback_becomes_a_changelog_record_and_a_drain_loses_none(cluster):
    worker = cluster.pod("worker", "worker-0")
    ingress = cluster.pod("ingress", "ingress-1")
    took_s = ingress.ready()
    print(f"\nready {took_s:.2f} s after the start, with {ingress.cpu_s():.2f} s of CPU")
    assert ingress.cpu_s() < READY_S * SLOW  # the wall's time is the machine's, when others use it
    worker.ready()

    # every tenth of a second counts: the traffic is well under way when the signal comes
    traffic = Traffic(ingress.port("http"), SECRET)
    until(lambda: len(traffic.answers) > 2 * RATE, 60, ingress.log)
    asked = time.monotonic()
    before = len(traffic.answers)
    ingress.container.kill("SIGTERM")
    time.sleep(DRAINING_S)
    traffic.stop()
    meanwhile = len(traffic.answers) - before
    code = ingress.ended(ingress.grace_s)
    ended_s = time.monotonic() - asked

    print(f"{len(traffic.answers)} callbacks, {meanwhile} of them after SIGTERM; ended after {ended_s:.1f} s")
    assert meanwhile > 0
    assert Counter(traffic.answers.values()).keys() == {202}, Counter(traffic.answers.values())
    assert code == 0, ingress.log()
    assert ended_s < ingress.grace_s
    keys = {key(number) for number in traffic.answers}
    assert keys - raw_keys(cluster) == set()

    # the worker, too, ends in order, and the next one of its name goes on where it was
    worker.container.kill("SIGTERM")
    assert worker.ended(worker.grace_s) == 0, worker.log()
    successor = cluster.pod("worker", "worker-0")
    successor.ready()
    watch = Watch(cluster.bootstrap, "erp-worker", ["erp.raw.visma-net"], 4)
    try:
        watch.wait(120)
    finally:
        watch.close()
    changelog = Reader(cluster.bootstrap).read(["erp.changelog.customer"])
    assert keys - {record.key for record in changelog} == set()


def test_helm_test_posts_and_reads_back(cluster):
    worker = cluster.pod("worker", "worker-1")
    ingress = cluster.pod("ingress", "ingress-2")
    ingress.ready()
    worker.ready()

    test = cluster.pod("test")

    assert test.ended(90) == 0, test.log()
    assert "UPSERT visma-net/helm-test/customer/55555" in test.log()


def test_the_bill_of_materials_names_what_is_installed(engine):
    asks = (
        "import json,importlib.metadata as m;d=json.load(open('/opt/connector/sbom.cdx.json'));"
        "print(json.dumps([sorted(c['name'].lower().replace('_','-') for c in d['components'] "
        "if c['purl'].startswith('pkg:pypi/')),sorted(x.name.lower().replace('_','-') for x in "
        "m.distributions() if x.name!='erp-connector')]))"
    )
    told = engine.containers.run(
        IMAGE, entrypoint="/opt/connector/bin/python", command=["-I", "-c", asks],
        network_mode="none", remove=True, labels=LABEL,
    )  # fmt: skip
    listed, installed = json.loads(told)

    assert listed == installed
