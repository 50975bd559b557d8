"""From what is written to an address."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from moorage.cli.errors import CannotStart
from moorage.cli.listening import with_address
from moorage.config.settings import ServeSettings

SIX = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 5000, 0, 0))
FOUR = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 5000))


def known_as(monkeypatch: pytest.MonkeyPatch, *found: Any) -> None:
    """Let every name have these addresses."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: list(found))


def serve_on(host: str) -> ServeSettings:
    return ServeSettings(host=host, workers=1)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "::1"])
def test_an_address_stays_as_it_is(host: str) -> None:
    assert with_address(serve_on(host)).host == host


def test_every_interface_is_both_families_where_there_are_both(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_address(serve_on("")).host in ("::", "0.0.0.0")  # whatever this machine has
    monkeypatch.setattr("moorage.cli.listening._takes_both", lambda: True)
    assert with_address(serve_on("")).host == "::"
    monkeypatch.setattr("moorage.cli.listening._takes_both", lambda: False)
    assert with_address(serve_on("")).host == "0.0.0.0"


def test_a_machine_without_ipv6_has_one_family(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refuse)
    assert with_address(serve_on("")).host == "0.0.0.0"


def test_localhost_is_this_machine() -> None:
    assert with_address(serve_on("localhost")).host in ("127.0.0.1", "::1")


def test_a_name_with_several_addresses_means_the_first_of_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    known_as(monkeypatch, SIX, FOUR)
    assert with_address(serve_on("registry.example.com")).host == "192.0.2.1"


def test_a_name_with_ipv6_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    known_as(monkeypatch, SIX)
    assert with_address(serve_on("registry.example.com")).host == "2001:db8::1"


@pytest.mark.parametrize("host", ["registry.invalid", "a" * 64 + ".example.com"])
def test_a_name_without_an_address_is_said_in_one_sentence(host: str) -> None:
    with pytest.raises(CannotStart, match="the name has no address"):
        with_address(serve_on(host))


def test_a_localhost_that_others_reach_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    known_as(monkeypatch, FOUR)
    with pytest.raises(CannotStart, match="which others can reach"):
        with_address(serve_on("localhost"))
