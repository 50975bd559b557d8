"""Names of hosts."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether that is this machine and can be nothing else: an address of loopback, or `localhost` (RFC 6761).

    A dot at the end changes nothing: it is how DNS writes that a name is complete, and browsers take it for addresses,
    too. Names below `localhost` are not taken for this machine: not every resolver does.

    Args:
        host: a name or an address, an IPv6 address without brackets; with or without IPv4 in IPv6's clothes.
    """
    host = host.removesuffix(".").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (inner or address).is_loopback
