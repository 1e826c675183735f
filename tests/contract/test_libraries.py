"""The libraries the product is built on, each where it does its work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USED = {
    "faust": "connector/runtime/agents.py",
    "confluent_kafka": "connector/runtime/outlet.py",
    "fastavro": "connector/core/avro.py",
    "pydantic": "connector/runtime/endpoints.py",
    "testcontainers": "tests/support/container.py",
}


@pytest.mark.parametrize("library", USED)
def test_each_library_the_mission_names_is_used(library: str) -> None:
    """M-01."""
    text = (ROOT / USED[library]).read_text()

    assert re.search(rf"(?m)^ *(from|import) {library}\b", text)
