"""What is known of a request beside its parameters."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from pannier.api.requests import client_address, new_id

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("192.0.2.7/32"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("203.0.113.5", [], "203.0.113.5"),
        ("203.0.113.5", ["198.51.100.1"], "203.0.113.5"),  # anybody can write a header
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # what stands before, the client itself wrote
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1,10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1,192.0.2.7"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1,192.0.2.8"], "192.0.2.8"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),  # trusted all the way
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
        ("fd00::1%eth0", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", [" , ,198.51.100.1 ,"], "198.51.100.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["_hidden, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["fe80::1%a\\nb"], "fe80::1"),  # what is logged is an address, and nothing else
        ("10.0.0.1", ["<script>"], "10.0.0.1"),
        ("", ["198.51.100.1"], ""),
    ],
)
def test_the_client_is_seen_through_trusted_proxies_only(remote: str, forwarded: list[str], client: str) -> None:
    headers = CIMultiDict([("X-Forwarded-For", value) for value in forwarded])
    request = make_mocked_request("GET", "/", headers=headers).clone(remote=remote)
    assert client_address(request, TRUSTED) == client


def test_nobody_is_trusted_unless_configured() -> None:
    request = make_mocked_request("GET", "/", headers={"X-Forwarded-For": "6.6.6.6"}).clone(remote="10.0.0.1")
    assert client_address(request, ()) == "10.0.0.1"


def test_requests_have_numbers_of_their_own() -> None:
    assert len({new_id() for _ in range(100)}) == 100
    assert len(new_id()) == 8
