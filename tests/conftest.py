"""A real Kafka for every test that asks for one; without it such a test fails, it is never skipped."""

import gc
import os
import signal
import uuid
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka.admin import AdminClient

REAL_TIMEOUT_S = 180


def _given() -> Iterator[str]:
    servers = os.environ.get("CONNECTOR_TEST_BOOTSTRAP")
    if not servers:
        raise LookupError("CONNECTOR_TEST_BOOTSTRAP is not set")
    AdminClient({"bootstrap.servers": servers}).list_topics(timeout=5)
    yield servers


def _docker() -> Iterator[str]:
    import docker
    from container import KafkaContainer

    docker.from_env(timeout=3).ping()
    with KafkaContainer() as kafka:
        yield kafka.bootstrap


def _jvm() -> Iterator[str]:
    from connector.runtime.broker import LocalKafka

    with LocalKafka(properties={"log.cleaner.backoff.ms": "100"}) as kafka:
        yield kafka.bootstrap


WAYS: dict[str, Callable[[], Iterator[str]]] = {"given": _given, "docker": _docker, "jvm": _jvm}


@pytest.fixture(scope="session")
def bootstrap() -> Iterator[str]:
    """`bootstrap.servers` of one real broker, the same for all tests: keep apart by `prefix`."""
    forced = os.environ.get("CONNECTOR_TEST_KAFKA")
    tried = []
    for name in [forced] if forced else WAYS:
        if name not in WAYS:
            pytest.fail(f"CONNECTOR_TEST_KAFKA is {name}, not one of {', '.join(WAYS)}", pytrace=False)
        way = WAYS[name]()
        try:
            servers = next(way)
        except Exception as error:  # noqa: BLE001  whatever it is, the next way may work
            tried.append(f"{name}: {type(error).__name__}: {error}")
            continue
        yield servers
        next(way, None)  # lets the context managers above end
        return
    pytest.fail(
        "no real Kafka:\n  "
        + "\n  ".join(tried)
        + "\nSet CONNECTOR_TEST_BOOTSTRAP, start Docker, or run `make setup` for the local JVM.",
        pytrace=False,
    )


@pytest.fixture
def prefix() -> str:
    """Topic prefix of one test, also good for its group and transactional ids."""
    return f"t{uuid.uuid4().hex[:8]}"


def pytest_configure() -> None:
    """Let programs under test hear SIGINT, which a shell lets what it starts in the background ignore."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        real = item.get_closest_marker("cluster") or item.get_closest_marker("kafka")
        if real and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(REAL_TIMEOUT_S))


def pytest_collection_finish() -> None:
    """Take what was collected out of the garbage collector's sight, which else walks it again and again."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a skipped test is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and exitstatus == 0 and reporter and reporter.stats.get("skipped"):
        reporter.write_line("skipped tests are failures where CI is set", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that rewrites what golden cases expect."""
    parser.addoption(
        "--bless", action="store_true", help="rewrite expected.json of golden cases; read the diff"
    )
