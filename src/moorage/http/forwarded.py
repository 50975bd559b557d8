"""The client's address behind proxies: `X-Forwarded-For` is believed only as far as trusted proxies wrote it."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
MAX_HOPS = 20
MAX_CHAIN = 1500
"""Characters at the end of `X-Forwarded-For` that are looked at: enough for that many hops with ports."""

_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?")

# An address as proxies write it: some with the port, IPv6 with brackets or without, with or without a zone.
_HOP = re.compile(
    r"([0-9.]{7,15})(?::[0-9]{1,5})?"
    r"|(?P<bracket>\[)?([0-9A-Fa-f:.]{2,45})(?:%[A-Za-z0-9._-]{1,32})?(?(bracket)\](?::[0-9]{1,5})?)"
)


class Forwarded:
    """Finds out who is at the other end.

    Args:
        trusted: networks of the proxies, in CIDR notation; none: nobody is believed.
    """

    def __init__(self, trusted: tuple[str, ...]) -> None:
        self._trusted: list[Network] = [ipaddress.ip_network(network, strict=False) for network in trusted]

    def client(self, peer: str, headers: Mapping[bytes, bytes]) -> str:
        """The address of the client: the peer's, or the last one in the chain that is no trusted proxy.

        An IPv4 address in IPv6's clothes (`::ffff:192.0.2.1`) is the IPv4 address, here and in the other methods.
        """
        peer = _plain(peer)
        if not self._trusted or not self._is_trusted(peer):
            return peer
        chain = headers.get(b"x-forwarded-for", b"")[-MAX_CHAIN:].decode("latin-1").split(",")
        address = peer
        for hop in reversed(chain[-MAX_HOPS:]):
            candidate = _address_of(hop.strip(" \t"))
            if candidate is None:
                break
            address = str(candidate)
            if not self._holds(candidate):
                break
        return address

    def origin(self, peer: str, headers: Mapping[bytes, bytes], scheme: str) -> str:
        """Scheme and host by which the client reached us, `https://registry.example.com`; empty without a sane Host.

        scheme: of the connection; what a trusted proxy says of its own counts instead.
        """
        host = headers.get(b"host", b"")
        if self._trusted and self._is_trusted(peer):
            said = _last(headers.get(b"x-forwarded-proto", b"")).lower()
            scheme = said.decode("latin-1") if said in (b"http", b"https") else scheme
            outer = _last(headers.get(b"x-forwarded-host", b""))
            host = outer if is_host(outer) else host
        return f"{scheme}://{host.decode('latin-1')}" if is_host(host) else ""

    def is_proxy(self, peer: str) -> bool:
        """Whether the peer is one of the trusted proxies."""
        return bool(self._trusted) and self._is_trusted(peer)

    def _is_trusted(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(_plain(text))
        except ValueError:
            return text in ("", "unix")  # a local socket: only the proxy on this machine is there
        return self._holds(address)

    def _holds(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


@lru_cache(maxsize=64)
def is_host(value: bytes) -> bool:
    """Whether it is the name or address of a host, with a port or without, as the header `Host` has it."""
    return _HOST.fullmatch(value) is not None


def _plain(address: str) -> str:
    """A socket that takes both families calls an IPv4 client `::ffff:192.0.2.1`; networks and logs know it without."""
    return address[7:] if address.startswith("::ffff:") and "." in address else address


def _last(value: bytes) -> bytes:
    """What the proxy next to us wrote: it appends to what was there."""
    return value.rpartition(b",")[2].strip()


def _address_of(hop: str) -> Address | None:
    match = _HOP.fullmatch(hop)
    if match is None:
        return None
    try:
        address = ipaddress.ip_address(match[1] or match[3])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


NO_PROXIES = Forwarded(())
"""Nobody is believed."""
