"""`host:port`, as Go's `net.Listen` takes it."""

from __future__ import annotations

import ipaddress
import re

EVERYWHERE = ""
"""The host of `:5000`: every interface, of both families where this machine has both."""

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of `host:port`, `:port` (every interface) or `[v6 address]:port`.

    Raises ValueError with a sentence that says what is wrong.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon:
        raise ValueError("the port is missing; write for example `:5000` or `localhost:5000`")
    if not (port.isascii() and port.isdigit()) or int(port[:6]) > 65535:
        raise ValueError("the port must be a number from 0 to 65535")
    if host.startswith("[") and host.endswith("]"):
        return _ipv6(host[1:-1]), int(port)
    if ":" in host:
        raise ValueError("an IPv6 address needs brackets, as in `[::1]:5000`")
    if host and not _HOST.fullmatch(host):
        raise ValueError("the host is neither a name nor an address")
    return host, int(port)


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise ValueError("what is in brackets is not an IPv6 address") from None
