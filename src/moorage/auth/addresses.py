"""Which addresses are one customer: an IPv4 address, or an IPv6 network of 64 bits, which is the least anybody gets."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=4096)
def customer(address: str) -> str:
    """What to count an address as: itself, for IPv6 `2001:db8:1:2::/64`, for text that is no address that text.

    An IPv4 address in IPv6's clothes (`::ffff:192.0.2.1`) is the IPv4 address.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
