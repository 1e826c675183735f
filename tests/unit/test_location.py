from __future__ import annotations

import pytest

from connector.core.location import tail


@pytest.mark.parametrize(
    ("location", "found"),
    [
        ("https://integration.visma.net/API/controller/api/v1/salesorder/1286", ("salesorder", "1286")),
        ("https://api.finance.visma.net/v1/customer/55555", ("customer", "55555")),
        ("HTTPS://API.FINANCE.VISMA.NET/V1/Customer/55555", ("customer", "55555")),
        ("v1/customer/55555", ("customer", "55555")),
        ("api/v1/customer/55555", ("customer", "55555")),
        ("/controller/api/v1/customer/55555/", ("customer", "55555")),
        ("controller/v2/customer/55555", ("customer", "55555")),
        ("customer/55555", ("customer", "55555")),
        ("//customer//55555", ("customer", "55555")),
        ("https://api.finance.visma.net/v1/inventory/A%2F1*2", ("inventory", "A/1*2")),
        ("v1/salesorder/SO/000123", ("salesorder", "SO/000123")),
        ("https://salesorder.visma.net/api/v3/SalesOrders/SO/000223", ("salesorders", "SO/000223")),
        ("v1/customer/55555?expand=a/b#top", ("customer", "55555")),
        ("v1/customer/50%25", ("customer", "50%")),
        ("v1/customer/5%zz", ("customer", "5%zz")),
        ("v1/customer/%C3%98", ("customer", "Ø")),
        (" v1/customer/55555 ", ("customer", "55555")),
        ("v1/customer/v1/2", ("customer", "v1/2")),
        ("api/v1/api/5", ("api", "5")),
    ],
)
def test_every_printed_form_gives_resource_and_id(location: str, found: tuple[str, str]) -> None:
    """A-15, V-08, vendors 3.2."""
    assert tail(location) == found


def test_what_was_escaped_twice_is_decoded_once() -> None:
    assert tail("v1/inventory/A%252F1") == ("inventory", "A%2F1")


def test_an_escaped_path_trick_stays_one_id_of_its_own_resource() -> None:
    """Threat 13: it names no other resource, and is one escaped segment in every key and URL."""
    assert tail("v1/customer/..%2fsupplier%2f1") == ("customer", "../supplier/1")


@pytest.mark.parametrize(
    "location",
    [
        "",
        "/",
        "https://api.finance.visma.net",
        "https://api.finance.visma.net/v1/customer",
        "https://api.finance.visma.net?x=/v1/customer/5",
        "v1/customer/..",
        "v1/customer/../supplier/1",
        "v1/customer/%2e%2E/5",
        "v1/customer/.",
        "v1/customer/%FF",
        "v1/customer/%ED%A0%80",
    ],
)
def test_without_an_id_or_with_one_that_names_another_path_there_is_nothing(location: str) -> None:
    assert tail(location) is None


def test_a_location_of_a_mebibyte_is_read_in_linear_time() -> None:
    assert tail("v1/customer/" + "%41" * 350_000) == ("customer", "A" * 350_000)
    assert tail("/" * 1_000_000) is None
