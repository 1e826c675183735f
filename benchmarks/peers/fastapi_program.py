"""I1's peer: a FastAPI program, `python -m benchmarks.peers.fastapi_program <bootstrap> <prefix> <port>`.

What one writes for a durable webhook receiver: a pydantic model as body, the secret from a header, one future
per record completed from the delivery callback through `call_soon_threadsafe`, a poll thread, an idempotent
producer with acks=all, and the answer after the delivery. uvicorn with uvloop and httptools, no access log.
It cuts no arrays, redacts nothing, limits nothing and mends nothing.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import threading
import uuid
from typing import Annotated, Any, Literal

import uvicorn
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from fastapi import FastAPI, Header, HTTPException
from pydantic import AwareDatetime, BaseModel, ConfigDict, Json
from pydantic.alias_generators import to_camel

from benchmarks import callbacks


class Voucher(BaseModel):
    """The model inside: what the key needs, the rest stays."""

    model_config = ConfigDict(alias_generator=to_camel, extra="allow")

    id: int


class Notification(BaseModel):
    """The body."""

    model_config = ConfigDict(alias_generator=to_camel)

    integration_key: str
    client_key: str
    tag: str | None = None
    subscription: Literal["Article", "Customer", "Project", "Supplier", "Voucher"]
    event: Literal["create", "update", "delete"]
    event_time: AwareDatetime
    data: Json[Voucher]


class Deliveries:
    """A producer whose deliveries can be awaited."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 2,
                "compression.type": "lz4",
            }
        )
        threading.Thread(target=self._poll, daemon=True).start()

    def _poll(self) -> None:
        while True:
            self._producer.poll(0.1)

    async def send(self, topic: str, key: str, value: bytes, headers: Any) -> None:
        """Write one record and wait until it is confirmed.

        Raises:
            KafkaException: It was not.
        """
        loop = asyncio.get_running_loop()
        delivered: asyncio.Future[None] = loop.create_future()

        def report(error: KafkaError | None, _: Message) -> None:
            if error is None:
                loop.call_soon_threadsafe(delivered.set_result, None)
            else:
                loop.call_soon_threadsafe(delivered.set_exception, KafkaException(error))

        self._producer.produce(topic, value, key, headers=headers, on_delivery=report)
        await delivered


def program(bootstrap: str, prefix: str) -> FastAPI:
    """Wire the program."""
    app = FastAPI()
    deliveries = Deliveries(bootstrap)
    topic = f"{prefix}.raw.duett"
    secret = callbacks.SECRET.encode()

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/hooks/duett/{endpoint}", status_code=202)
    async def receive(
        endpoint: str, notification: Notification, authorization: Annotated[str, Header()]
    ) -> dict[str, object]:
        if not secrets.compare_digest(authorization.encode(), secret):
            raise HTTPException(401)
        delivery_id = str(uuid.uuid4())
        key = f"duett/{callbacks.TENANT}/voucher_line/{notification.data.id}"
        value = notification.model_dump_json(by_alias=True, round_trip=True).encode()
        headers = [("meta", f'{{"delivery_id":"{delivery_id}","endpoint":"{endpoint}"}}'.encode())]
        try:
            await deliveries.send(topic, key, value, headers)
        except KafkaException:
            raise HTTPException(503) from None
        return {"id": delivery_id, "accepted": 1}

    return app


if __name__ == "__main__":
    uvicorn.run(
        program(sys.argv[1], sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[3]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
