"""librdkafka's mock cluster: real sockets, and exactly the protocol faults a test asks for.

Not there: admin calls and topic configuration, compaction, retention, hidden aborted records, stored
transactional offsets. Those need a real broker.
"""

import ctypes
from pathlib import Path
from typing import Final, Self

import confluent_kafka

PRODUCE, FETCH, OFFSET_COMMIT, JOIN_GROUP, HEARTBEAT, INIT_PRODUCER_ID, END_TXN = 0, 1, 8, 11, 12, 22, 26
"""Kafka's API keys."""

POINTER, TEXT, INT, INT32, SIZE = (
    ctypes.c_void_p,
    ctypes.c_char_p,
    ctypes.c_int,
    ctypes.c_int32,
    ctypes.c_size_t,
)
API_KEY: Final = ctypes.c_int16
SIGNATURES: Final = {
    "conf_new": (POINTER,),
    "new": (POINTER, INT, POINTER, TEXT, SIZE),
    "destroy": (None, POINTER),
    "mock_cluster_new": (POINTER, POINTER, INT),
    "mock_cluster_destroy": (None, POINTER),
    "mock_cluster_bootstraps": (TEXT, POINTER),
    "mock_topic_create": (INT, POINTER, TEXT, INT, INT),
    "mock_topic_set_error": (None, POINTER, TEXT, INT),
    "mock_partition_set_leader": (INT, POINTER, TEXT, INT32, INT32),
    "mock_push_request_errors_array": (None, POINTER, API_KEY, SIZE, ctypes.POINTER(INT)),
    "mock_clear_request_errors": (None, POINTER, API_KEY),
    "mock_broker_set_down": (INT, POINTER, INT32),
    "mock_broker_set_up": (INT, POINTER, INT32),
    "mock_broker_set_rtt": (INT, POINTER, INT32, INT),
    "mock_coordinator_set": (INT, POINTER, TEXT, TEXT, INT32),
    "mock_start_request_tracking": (None, POINTER),
    "mock_get_requests": (ctypes.POINTER(POINTER), POINTER, ctypes.POINTER(SIZE)),
    "mock_request_api_key": (API_KEY, POINTER),
    "mock_request_destroy_array": (None, ctypes.POINTER(POINTER), SIZE),
}
"""Result and arguments of `rd_kafka_<name>`."""


class MockKafka:
    """A cluster of so many mock brokers, up after 4 ms; a context manager.

    Calling it calls `rd_kafka_mock_<name>` on it: `kafka("broker_set_down", 1)`, `kafka("broker_set_up", 1)`,
    `kafka("broker_set_rtt", 1, 50)` (ms, per broker), `kafka("partition_set_leader", "raw", 0, 2)`,
    `kafka("topic_set_error", "raw", 29)` (0 heals), `kafka("start_request_tracking")`.
    """

    def __init__(self, brokers: int = 3) -> None:
        # The library that confluent_kafka itself uses, as the Linux wheels carry it.
        libraries = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
        self._library = ctypes.CDLL(str(next(libraries.glob("librdkafka*.so*"))))
        for name, (result, *arguments) in SIGNATURES.items():
            function = getattr(self._library, f"rd_kafka_{name}")
            function.restype, function.argtypes = result, arguments
        why = ctypes.create_string_buffer(512)
        self._client = self._library.rd_kafka_new(0, self._library.rd_kafka_conf_new(), why, len(why))
        if not self._client:
            raise RuntimeError(why.value.decode())
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, brokers)
        self.brokers = brokers
        self.bootstrap: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def __call__(self, name: str, *arguments: object) -> None:
        """Call `rd_kafka_mock_<name>`; RuntimeError with librdkafka's code if it refuses."""
        function = getattr(self._library, f"rd_kafka_mock_{name}")
        encoded = [one.encode() if isinstance(one, str) else one for one in arguments]
        if code := function(self._cluster, *encoded):
            raise RuntimeError(f"{name}: {code}")

    def topic(self, name: str, partitions: int) -> None:
        """Create a topic; one that a client asks for is created with four partitions."""
        self("topic_create", name, partitions, min(3, self.brokers))

    def fail(self, api: int, *codes: int) -> None:
        """Answer the next requests of this kind with these Kafka error codes, one each."""
        self("push_request_errors_array", api, len(codes), (INT * len(codes))(*codes))

    def requests(self, api: int) -> int:
        """Count the requests of this kind since `start_request_tracking`."""
        count = SIZE()
        rows = self._library.rd_kafka_mock_get_requests(self._cluster, ctypes.byref(count))
        found: int = sum(
            self._library.rd_kafka_mock_request_api_key(rows[index]) == api for index in range(count.value)
        )
        self._library.rd_kafka_mock_request_destroy_array(rows, count.value)
        return found

    def close(self) -> None:
        """End the cluster; clients then find nobody."""
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
