"""Where the program listens: from what the operator wrote to an address that nobody else has."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from moorage.cli.errors import CannotStart
from moorage.config.addresses import EVERYWHERE
from moorage.core.hosts import is_loopback

if TYPE_CHECKING:
    from pathlib import Path

    from moorage.config.settings import ServeSettings


def with_address(serve: ServeSettings) -> ServeSettings:
    """The settings with an IP address for a host.

    Of a name it is the first one, IPv4 before IPv6 as Go does it. Every interface is `::`, which takes IPv4 too, or
    `0.0.0.0` on a machine that has no IPv6 or keeps the families apart.

    Raises:
        CannotStart: the name has no address.
    """
    if serve.unix is not None or _is_address(serve.host):
        return serve
    if serve.host == EVERYWHERE:
        return replace(serve, host="::" if _takes_both() else "0.0.0.0")  # noqa: S104 - the operator wants all
    try:
        found = socket.getaddrinfo(serve.host, serve.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:  # UnicodeError: no name may be written like that
        raise CannotStart(
            f"{serve.host}:{serve.port} cannot be listened on (the name has no address); "
            "name another with --host or http.addr."
        ) from error
    host = str(min(found, key=lambda entry: entry[0] != socket.AF_INET)[4][0])
    if is_loopback(serve.host) and not is_loopback(host):
        # That nobody else gets in was decided by the name.
        raise CannotStart(f"{serve.host} is {host} on this machine, which others can reach; listen on 127.0.0.1.")
    return replace(serve, host=host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _takes_both() -> bool:
    """Whether a socket on `::` is there for IPv4 too, which `net.ipv6.bindv6only` decides on Linux."""
    with suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        probe.bind(("::", 0))
        return not probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    return False


def check_free(serve: ServeSettings) -> None:
    """Workers share the port (SO_REUSEPORT), so a second program on it would go unnoticed: look first.

    Raises:
        CannotStart: somebody listens there, or nobody can.
    """
    if serve.unix is not None:
        _check_unix(serve.unix)
        return
    family = socket.AF_INET6 if ":" in serve.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((serve.host, serve.port))
        except OSError as error:
            raise CannotStart(
                f"{serve.host}:{serve.port} cannot be listened on ({error.strerror}); "
                "name another with --host and --port."
            ) from error


def _check_unix(path: Path) -> None:
    """A socket that nobody listens on any more is removed; one that somebody does, or any other file, is not ours."""
    if not path.exists():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        taken = not path.is_socket() or probe.connect_ex(str(path)) == 0
    if taken:
        raise CannotStart(f"{path} is in use, or no socket; name another file in http.addr.")
    path.unlink()
