"""Who is at the other end: the chain is believed as far as trusted proxies wrote it, and no further."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.http.forwarded import MAX_HOPS, Forwarded

TRUSTED = ("10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("peer", "chain", "client"),
    [
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.9,10.0.0.3 ,  10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.4, 10.0.0.3", "10.0.0.4"),
        ("203.0.113.9", "1.2.3.4", "203.0.113.9"),
        ("fd00::1", "2001:db8::5", "2001:db8::5"),
        ("fd00::1", "[2001:db8::5]", "2001:db8::5"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, , 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "203.0.113.9\r\nx: y", "10.0.0.1"),
        ("::ffff:10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("::ffff:10.0.0.1", "", "10.0.0.1"),
        ("::ffff:203.0.113.9", "1.2.3.4", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9:4711, 10.0.0.2:80", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9:471111", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9:", "10.0.0.1"),
        ("10.0.0.1", "[2001:db8::5]:443", "2001:db8::5"),
        ("10.0.0.1", "[2001:db8::5", "10.0.0.1"),
        ("10.0.0.1", "2001:db8::5]", "10.0.0.1"),
        ("10.0.0.1", "::FFFF:203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, ::FFFF:10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "fe80::1%eth0", "fe80::1"),
        ("10.0.0.1", 'fe80::1%" 200 forged', "10.0.0.1"),
        ("unix", "203.0.113.9", "203.0.113.9"),
        ("", "203.0.113.9", "203.0.113.9"),
    ],
)
def test_chains(peer: str, chain: str, client: str) -> None:
    assert Forwarded(TRUSTED).client(peer, {b"x-forwarded-for": chain.encode()}) == client


def test_nobody_is_trusted_unless_it_is_said() -> None:
    for peer in ("10.0.0.1", "127.0.0.1", "unix"):
        assert Forwarded(()).client(peer, {b"x-forwarded-for": b"203.0.113.9"}) == peer


def test_an_ipv4_proxy_on_an_ipv6_socket_is_trusted() -> None:
    forwarded = Forwarded(TRUSTED)
    assert forwarded.is_proxy("::ffff:10.0.0.1")
    assert not forwarded.is_proxy("::ffff:203.0.113.9")
    headers = {b"host": b"inside", b"x-forwarded-proto": b"https", b"x-forwarded-host": b"registry.example.com"}
    assert forwarded.origin("::ffff:10.0.0.1", headers, "http") == "https://registry.example.com"


@pytest.mark.parametrize("said", [b"", b"a b", b"a/b", b"outer, u@x"])
def test_a_forwarded_host_that_is_none_leaves_the_host(said: bytes) -> None:
    headers = {b"host": b"inside:80", b"x-forwarded-host": said}
    assert Forwarded(TRUSTED).origin("10.0.0.1", headers, "http") == "http://inside:80"


def test_an_ipv4_client_on_an_ipv6_socket_has_its_own_address() -> None:
    assert Forwarded(()).client("::ffff:203.0.113.9", {}) == "203.0.113.9"


def test_without_the_header_it_is_the_peer() -> None:
    assert Forwarded(TRUSTED).client("10.0.0.1", {}) == "10.0.0.1"


def test_a_network_may_be_written_as_an_address_in_it() -> None:
    assert Forwarded(("10.1.2.3/8",)).client("10.9.9.9", {b"x-forwarded-for": b"1.2.3.4"}) == "1.2.3.4"


def test_an_endless_chain_is_read_only_at_its_end() -> None:
    chain = b"203.0.113.9," + b"10.0.0.2," * 100_000 + b"10.0.0.3"
    assert Forwarded(TRUSTED).client("10.0.0.1", {b"x-forwarded-for": chain}) == "10.0.0.2"
    hops = ", ".join(["203.0.113.9"] + ["10.0.0.2"] * MAX_HOPS)
    assert Forwarded(TRUSTED).client("10.0.0.1", {b"x-forwarded-for": hops.encode()}) == "10.0.0.2"


@given(st.binary(max_size=60), st.sampled_from(["10.0.0.1", "203.0.113.9", "unix"]))
def test_whatever_stands_there_gives_an_address(chain: bytes, peer: str) -> None:
    assert Forwarded(TRUSTED).client(peer, {b"x-forwarded-for": chain})
