"""In a pod: post signed callbacks at a steady rate, then look for every one of them in the changelog.

python steady_load.py URL ENDPOINT SECONDS RATE

Runs in the product's image, beside the settings of `helm test`. Nothing is sent twice. Its last line is one
JSON object: answers by status, and what of the acknowledged the changelog does not show.
"""

import http
import http.client
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from connector.cli.following import Follower
from connector.cli.samples import SAMPLES
from connector.core.authenticate import Endpoint, sign
from connector.core.times import from_dotnet
from connector.runtime.configuration import load
from connector.runtime.credentials import endpoint
from connector.runtime.desk import topics_under
from connector.runtime.registry import Registry, folder

SENDERS: Final = 24
CUSTOMERS: Final = 500
FIRST: Final = 700_000
SETTLE_S: Final = 120
SAMPLE: Final = json.loads(SAMPLES["visma-net-customer-changed"].body)
UNIX_EPOCH_TICKS: Final = 621_355_968_000_000_000
"""1970 on .NET's clock, in ticks of 100 ns."""


class Sending:
    """Many connections, each kept as long as the other side keeps it."""

    def __init__(self, url: str, to: Endpoint, rate: float) -> None:
        self.answers: Counter[str] = Counter()
        self.newest: dict[str, int] = {}
        """Customer -> greatest version that was acknowledged."""
        self._where = urlsplit(url).netloc
        self._to, self._rate = to, rate
        self._began = time.monotonic()
        self._numbers = count()
        self._lock = threading.Lock()

    def run(self, seconds: float) -> None:
        """Send for a while, and have every answer."""
        threads = [threading.Thread(target=self._send, args=[seconds]) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _send(self, seconds: float) -> None:
        connection = http.client.HTTPConnection(self._where, timeout=60)
        while True:
            with self._lock:
                number = next(self._numbers)
                ticks = time.time_ns() // 100 + UNIX_EPOCH_TICKS
            due_s = number / self._rate
            if due_s > seconds:
                return
            time.sleep(max(0.0, self._began + due_s - time.monotonic()))
            customer = f"{FIRST + number % CUSTOMERS}"
            answer = self._post(connection, customer, ticks)
            with self._lock:
                self.answers[answer] += 1
                if answer == "202":
                    self.newest[customer] = max(self.newest.get(customer, 0), from_dotnet(ticks))

    def _post(self, connection: http.client.HTTPConnection, customer: str, ticks: int) -> str:
        body = json.dumps({**SAMPLE, "resourceId": customer, "timeStamp": ticks}).encode()
        headers = {"content-type": "application/json"}
        for scheme in self._to.schemes:
            headers |= sign(scheme, body)
        try:
            connection.request("POST", f"/hooks/{self._to.source}/{self._to.id}", body, headers)
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return type(error).__name__
        if answer.status == http.HTTPStatus.ACCEPTED and json.loads(told)["accepted"] != 1:
            return "set aside"
        return str(answer.status)


def found(follower: Follower, newest: dict[str, int]) -> dict[str, Any]:
    """Read the changelog until it shows every acknowledged version, or for `SETTLE_S`."""
    shown: dict[str, int] = {}
    regressions = 0
    end_s = time.monotonic() + SETTLE_S
    while time.monotonic() < end_s and any(shown.get(one, 0) < version for one, version in newest.items()):
        for seen in follower.read(0.5):
            customer = seen.key.rpartition("/")[2]
            regressions += seen.version < shown.get(customer, 0)
            shown[customer] = seen.version
    behind = [one for one, version in newest.items() if shown.get(one, 0) < version]
    return {"customers": len(newest), "lost": len(behind), "regressions": regressions}


def durable(kafka: Mapping[str, str], topic: str, tenant: str) -> int:
    """Count the raw records of the callbacks that were sent."""
    consumer = Consumer({**kafka, "group.id": "steady-load", "enable.partition.eof": "true"})
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    left, records, prefix = len(partitions), 0, f"visma-net/{tenant}/customer/7".encode()
    while left:
        for message in consumer.consume(1000, 1.0):
            error = message.error()
            if error is None:
                records += bytes(message.key() or b"").startswith(prefix)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  how the client names it
                left -= 1
    consumer.close()
    return records


def main(url: str, name: str, seconds: float, rate: float) -> None:
    """Send, then compare."""
    settings = load(Path(os.environ["CONNECTOR_CONFIG"]))
    written = next(one for one in settings.endpoints if one.id == name)
    topics = topics_under(settings.topics.prefix, settings.topics.versions)
    follower = Follower(
        settings.kafka, {"customer": topics.changelog["customer"]}, Registry.load(folder()), earliest=True
    )
    sending = Sending(url, endpoint(written, f"endpoint {name}"), rate)
    print(json.dumps({"began": time.time()}), flush=True)
    sending.run(seconds)
    told = {"ended": time.time(), "answers": sending.answers, **found(follower, sending.newest)}
    told["raw"] = durable(settings.kafka, topics.raw[written.source], str(written.tenant))
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
