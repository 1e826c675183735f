"""The chart in a real Kubernetes, beside a Kafka with SCRAM: `make test-kubernetes`.

CONNECTOR_TEST_KUBERNETES names the context of kubectl; the images must be where its nodes find them. Two
namespaces are made for the run and deleted after it.
"""

import json
import secrets
import shutil
from collections.abc import Iterator

import chart
import kube
import pytest
from kube import BROKERS, CONTEXT, FULLNAME, IMAGE, NAMESPACE, RELEASE, kubectl

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]

RATE = 300
LOAD_S = 90
OLD, NEW = secrets.token_hex(32), secrets.token_hex(32)
VALUES: chart.Values = {
    "image": {"repository": IMAGE.rpartition(":")[0], "tag": IMAGE.rpartition(":")[2]},
    "kafka": {
        "bootstrapServers": f"kafka.{BROKERS}:9093",
        "securityProtocol": "sasl_plaintext",
        "sasl": {"mechanism": "SCRAM-SHA-512", "existingSecret": "erp-kafka"},
        "provisioning": "job",
    },
    "config": {
        "topics": {"partitions": 6, "replication_factor": 1},
        # a small cluster must not run into a deadline: none of them is the promise here
        "ingress": {"ack_timeout_ms": 30_000, "request_timeout_s": 60},
        "endpoints": [
            {
                "source": "visma-net",
                "id": "vendor",
                "tenant": "nordic",
                "companies": ["1262489"],
                "authenticate": {
                    "hmac": "x-vwd-signature-v1",
                    "secrets": ["file:/run/secrets/visma/current", "file:/run/secrets/visma/previous"],
                },
            },
            {
                "source": "quickfile",
                "id": "shop",
                "tenant": "shop-ltd",
                "authenticate": {"url_token": ["file:/run/secrets/quickfile/token"]},
            },
        ],
    },
    "secrets": [
        {"name": "visma", "existingSecret": "erp-visma"},
        {"name": "quickfile", "existingSecret": "erp-quickfile"},
    ],
    "digestKey": {"existingSecret": "erp-digest-key"},
    "ingress": {
        "autoscaling": {"enabled": False},
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
    },
    "worker": {"resources": {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}},
    "networkPolicy": {"gateway": [{"podSelector": {}}], "monitoring": [{"podSelector": {}}]},
    "test": {"enabled": True, "existingSecret": "erp-test", "timeoutS": 120},
}
MAKE_USER = """
import sys
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism
from confluent_kafka.admin import UserScramCredentialUpsertion
server, user, password = sys.argv[1:]
info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 8192)
made = UserScramCredentialUpsertion(user, info, password.encode())
admin = AdminClient({"bootstrap.servers": server})  # without a name it would be gone before the answer
admin.alter_user_scram_credentials([made])[user].result(60)
"""
POST = """
import base64, hashlib, hmac, http.client, sys
from connector.cli.samples import SAMPLES
url, secret = sys.argv[1:]
body = SAMPLES["visma-net-customer-changed"].body
proof = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
there = http.client.HTTPConnection(url, timeout=30)
headers = {"content-type": "application/json", "x-vwd-signature-v1": proof}
there.request("POST", "/hooks/visma-net/vendor", body, headers)
print(there.getresponse().status)
"""


@pytest.fixture(scope="module")
def installed() -> Iterator[chart.Object]:
    """Kafka, a user, the Secrets and the release, by the commands of docs/kubernetes.md."""
    if not CONTEXT or shutil.which("kubectl") is None:
        pytest.fail(
            "needs kubectl and CONNECTOR_TEST_KUBERNETES=<its context>; "
            "use a cluster where two namespaces may be made",
            pytrace=False,
        )
    password = secrets.token_hex(16)
    try:
        for namespace in (BROKERS, NAMESPACE):
            kubectl("create", "namespace", namespace)
            # pods are refused until the controller has made their account
            kubectl("-n", namespace, "wait", "--for=create", "serviceaccount/default", "--timeout=60s")
        kubectl("label", "namespace", NAMESPACE, kube.RESTRICTED)
        kube.make(BROKERS, *kube.kafka())
        kubectl("-n", BROKERS, "wait", "pod/kafka", "--for=condition=Ready", "--timeout=120s")
        kube.make(
            NAMESPACE,
            kube.secret("erp-kafka", username=kube.USER, password=password),
            kube.secret("erp-visma", current=OLD, previous=secrets.token_hex(32)),
            kube.secret("erp-quickfile", token=secrets.token_hex(32)),
            kube.secret("erp-digest-key", **{"digest-key": secrets.token_hex(32)}),
            kube.secret("erp-test", secret=secrets.token_hex(32)),
        )
        like = kube.rendered(VALUES)
        user = [f"kafka.{BROKERS}:9092", kube.USER, password]
        kube.make(NAMESPACE, *kube.script("make-user", MAKE_USER, user, like))
        kube.ended("make-user", 120)
        kube.helm(
            "install", RELEASE, str(chart.CHART), "-n", NAMESPACE, "--wait", "--timeout", "5m",
            "-f", "-", given=json.dumps(VALUES), within_s=330,
        )  # fmt: skip
        yield like
    finally:
        for namespace in (NAMESPACE, BROKERS):
            kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")


@pytest.mark.usefixtures("installed")
def test_every_pod_is_ready_and_none_was_started_twice():
    for component, count in (("ingress", 2), ("worker", 2)):
        found = kube.pods(component)
        assert len(found) == count
        for pod in found:
            (status,) = pod["status"]["containerStatuses"]
            assert status["ready"], pod["metadata"]["name"]
            assert status["restartCount"] == 0, kube.log(pod["metadata"]["name"])


@pytest.mark.usefixtures("installed")
def test_helm_test_posts_a_callback_and_reads_it_back():
    told = kube.helm("test", RELEASE, "-n", NAMESPACE, "--logs", "--timeout", "4m")

    assert ": 202 " in told
    assert "UPSERT visma-net/helm-test/customer/" in told


def test_a_rolling_restart_of_both_roles_under_load_refuses_and_loses_nothing(installed):
    asked = [f"http://{FULLNAME}-ingress:80", "helm-test", str(LOAD_S), str(RATE)]
    kube.make(NAMESPACE, *kube.script("steady-load", kube.read("steady_load.py"), asked, installed))
    kube.until(lambda: '"began"' in kube.log("steady-load"), 60, lambda: kube.log("steady-load"))

    both = (f"deployment/{FULLNAME}-ingress", f"statefulset/{FULLNAME}-worker")
    before = {pod["metadata"]["uid"] for part in ("ingress", "worker") for pod in kube.pods(part)}
    kubectl("-n", NAMESPACE, "rollout", "restart", *both)
    for one in both:
        kubectl("-n", NAMESPACE, "rollout", "status", one, "--timeout=120s")
    meanwhile = '"ended"' not in kube.log("steady-load")
    after = {pod["metadata"]["uid"] for part in ("ingress", "worker") for pod in kube.pods(part)}
    told = json.loads(kube.ended("steady-load", LOAD_S + 180).splitlines()[-1])

    print(told)
    assert meanwhile, "the load ended before the restart did"
    assert not before & after
    assert told["answers"] == {"202": RATE * LOAD_S + 1}
    assert (told["lost"], told["regressions"]) == (0, 0)
    assert told["raw"] == told["answers"]["202"]


def post(name: str, secret: str, like: chart.Object) -> int:
    """Post one callback from a pod, signed with a secret."""
    kube.make(NAMESPACE, *kube.script(name, POST, [f"{FULLNAME}-ingress:80", secret], like))
    status = int(kube.ended(name, 60).split()[-1])
    kubectl("-n", NAMESPACE, "delete", "pod", name)
    return status


def test_a_secret_rotates_without_a_restart(installed):
    before = {pod["metadata"]["uid"] for pod in kube.pods("ingress")}
    assert (post("post", OLD, installed), post("post", NEW, installed)) == (202, 401)

    kube.make(NAMESPACE, kube.secret("erp-visma", current=NEW, previous=OLD))

    # the kubelet brings a changed Secret into running pods within a minute or two; both pods must have it
    tries = iter(range(1000))
    took_s = kube.until(
        lambda: all(post(f"post-{next(tries)}", NEW, installed) == 202 for _ in range(4)), 240, lambda: "401"
    )
    print(f"the new secret was good {took_s:.0f} s after the Secret changed")
    assert post("post", OLD, installed) == 202
    assert {pod["metadata"]["uid"] for pod in kube.pods("ingress")} == before


def test_workers_scale_to_none_and_back_and_nothing_is_lost(installed):
    kubectl("-n", NAMESPACE, "scale", f"statefulset/{FULLNAME}-worker", "--replicas=0")
    kube.until(lambda: not kube.pods("worker"), 120, lambda: "workers do not end")
    assert post("post", NEW, installed) == 202  # the door does not need them

    kubectl("-n", NAMESPACE, "scale", f"statefulset/{FULLNAME}-worker", "--replicas=3")
    kubectl("-n", NAMESPACE, "rollout", "status", f"statefulset/{FULLNAME}-worker", "--timeout=180s")
    told = kube.helm("test", RELEASE, "-n", NAMESPACE, "--logs", "--timeout", "4m")

    assert "UPSERT visma-net/helm-test/customer/" in told


@pytest.mark.usefixtures("installed")
def test_without_a_topic_readiness_says_which_and_what_to_do():
    other = chart.merged(
        VALUES, {"config": {"topics": {"prefix": "other"}}, "kafka": {"provisioning": "none"}}
    )
    kube.helm("install", "other", str(chart.CHART), "-n", NAMESPACE, "-f", "-", given=json.dumps(other))

    def told() -> str:
        events = kubectl("-n", NAMESPACE, "get", "events", "-o", "json")
        return " ".join(one.get("message", "") for one in json.loads(events)["items"])

    def explained() -> bool:
        logs = [kube.log(pod["metadata"]["name"]) for pod in kube.pods("ingress")]
        return any("other.raw.visma-net" in one and "connector topics" in one for one in logs)

    kube.until(explained, 120, told)
    kube.helm("uninstall", "other", "-n", NAMESPACE)
