"""What the doors need to know about the way that clients take to them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Addresses, headers and patience of the HTTP doors.

    prefix: path under which everything is served; begins and ends with "/".
    host: public base URL, such as `https://registry.example.com`; "" means: go by the request.
    headers: (name, value) pairs added to every answer, in order; a name may come more than once.
    trusted_proxies: networks in CIDR notation whose `X-Forwarded-For`, `-Proto` and `-Host`, and `Client-Cert`, are
        believed; `Forwarded` (RFC 7239) is not read.
    body_idle_seconds: a request whose body stands still for longer than this is given up, in seconds.
    """

    prefix: str = "/"
    host: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    body_idle_seconds: float = 60.0
