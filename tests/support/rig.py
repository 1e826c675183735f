"""A whole ingress in the test's own event loop, and a client that sends exactly the bytes it is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import uvloop

from connector.core.authenticate import Endpoint, HeaderSecret, Hmac, Secret, UrlToken, sign
from connector.core.privacy import Privacy
from connector.entities import ENTITIES
from connector.runtime.broker import free_ports
from connector.runtime.ingress import Ingress
from connector.runtime.serving import serve
from connector.runtime.settings import IngressSettings
from connector.sources import SOURCES
from connector.topics import Topics

NOBODY: Final = "127.0.0.1:1"
"""A `bootstrap.servers` nobody listens on."""
PARTITIONS: Final = 12
SECRET: Final = b"a test's own secret, long enough"
TOKEN: Final = "0123456789abcdef-a-test-token"
HMAC: Final = Hmac(("x-vwd-signature-v1",), (Secret.of(SECRET, "rig"),))
HEADER: Final = HeaderSecret("authorization", (Secret.of(SECRET, "rig"),))
ENDPOINTS: Final = {
    (one.source, one.id): one
    for one in (
        Endpoint(
            source="visma-net", id="v1", tenant="acme", tenants={}, companies=frozenset(), schemes=(HMAC,)
        ),
        Endpoint(
            source="duett", id="d1", tenant="acme", tenants={}, companies=frozenset(), schemes=(HEADER,)
        ),
        Endpoint(
            source="quickfile",
            id="q1",
            tenant="shop",
            tenants={},
            companies=frozenset(),
            schemes=(UrlToken((Secret.of(TOKEN.encode(), "rig"),)),),
        ),
    )
}
HOOK: Final = "/hooks/visma-net/v1"


class Reply(NamedTuple):
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class Line:
    """One connection to the ingress."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *parts: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(b"".join(parts))

    async def reply(self) -> Reply:
        """Read one answer; raises IncompleteReadError when the connection ends without one."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(int(head[0].split()[1]), headers, body)

    async def closed(self, within_s: float = 5) -> bool:
        """Wait for the other side to close; False if it does not."""
        try:
            return await asyncio.wait_for(self.reader.read(1), within_s) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    def hang_up(self) -> None:
        """Close our side."""
        self.writer.close()


class Rig:
    """A running ingress and ways to call it."""

    def __init__(self, ingress: Ingress, stop: asyncio.Event, serving: asyncio.Task[None]) -> None:
        self.ingress = ingress
        self.stop = stop
        self.serving = serving

    async def dial(self) -> Line:
        """Open a connection."""
        return Line(*await asyncio.open_connection("127.0.0.1", self.ingress.settings.port))

    async def post(
        self,
        body: bytes,
        *,
        path: str = HOOK,
        headers: Mapping[str, str] | None = None,
        line: Line | None = None,
    ) -> Reply:
        """Post a body, signed unless other headers are given, and read the answer."""
        at = line or await self.dial()
        at.send(request(body, path=path, headers=signed(body) if headers is None else headers))
        reply = await at.reply()
        if line is None:
            at.hang_up()
        return reply

    async def ready(self, within_s: float = 10) -> None:
        """Wait until the ingress says that it is ready."""
        await until(lambda: self.ingress.ready()[0], within_s, lambda: self.ingress.ready()[1])


def signed(body: bytes) -> dict[str, str]:
    """Headers that prove a body to the visma-net endpoint."""
    return dict(sign(HMAC, body))


def request(
    body: bytes, *, path: str = HOOK, headers: Mapping[str, str] | None = None, method: str = "POST"
) -> bytes:
    """Write a request with a Content-Length."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(*pieces: bytes, path: str = HOOK, headers: Mapping[str, str] | None = None) -> bytes:
    """Write a request in chunks, without its end."""
    lines = [f"POST {path} HTTP/1.1", "Host: test", "Transfer-Encoding: chunked"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return (
        "\r\n".join(lines).encode()
        + b"\r\n\r\n"
        + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces)
    )


def notice(number: int) -> bytes:
    """One Visma.net event about customer so-and-so."""
    return json.dumps(
        {
            "event": "customer_changed",
            "contextId": "1000001",
            "relativeResourceUri": f"controller/api/v1/customer/{number}",
            "timeStamp": 638_600_000_000_000_000 + number,
        }
    ).encode()


def build(
    bootstrap: str, *, prefix: str = "erp", kafka: Mapping[str, str] | None = None, **limits: Any
) -> Ingress:
    """Make an ingress on a free port."""
    sources = limits.pop("sources", SOURCES)
    port = limits.pop("port", None) or free_ports(1)[0]
    settings = IngressSettings(host="127.0.0.1", port=port, **{"drain_delay_s": 0.0, **limits})
    return Ingress(
        ENDPOINTS,
        sources,
        Topics(prefix, SOURCES, ENTITIES),
        Privacy(b"k" * 32, ENTITIES),
        settings,
        {"bootstrap.servers": bootstrap, **(kafka or {})},
        PARTITIONS,
    )


def topics(prefix: str = "erp") -> list[str]:
    """Topics the rig's ingress writes to."""
    laid_out = Topics(prefix, SOURCES, ENTITIES)
    return [*(laid_out.raw[source] for source, _ in ENDPOINTS), laid_out.quarantine]


@asynccontextmanager
async def running(ingress: Ingress) -> AsyncIterator[Rig]:
    """Serve, and end in the proper way."""
    up, stop = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(serve(ingress, started=up.set, stop=stop))
    await asyncio.wait((serving, asyncio.create_task(up.wait())), return_when=asyncio.FIRST_COMPLETED)
    try:
        yield Rig(ingress, stop, serving)
    finally:
        stop.set()
        await serving


def play(scene: Callable[[], Awaitable[None]]) -> None:
    """Run a scene in a loop of its own."""

    async def whole() -> None:
        await scene()

    uvloop.run(whole())


async def until(
    true: Callable[[], bool], within_s: float = 10, otherwise: Callable[[], object] = lambda: "not in time"
) -> None:
    """Wait for something to become true."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not true():
        if loop.time() > deadline:
            raise AssertionError(otherwise())
        await asyncio.sleep(0.02)
