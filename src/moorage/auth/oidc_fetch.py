"""Requests to OIDC issuers: bounded in time and size, without redirects, and never to where nobody meant to send them.

An issuer that the configuration names may be anywhere. One that only a trust rule names is some user's word, so it
must have a public address: names are resolved once, the address is looked at, and the connection goes to that address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from moorage.core.hosts import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moorage.auth.settings import IssuerSettings

LARGEST = 512 * 1024
"""Bytes of an answer that are read."""

SECONDS = 10.0
"""For a whole request."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_HEADERS = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "moorage"}


class FetchFailed(Exception):
    """No usable answer; the message is for the log."""


class Fetcher:
    """Asks one issuer.

    Args:
        settings: what the configuration says about it; None where only a trust rule names it.
    """

    def __init__(self, settings: IssuerSettings | None) -> None:
        self._settings = settings
        self._client: httpx.AsyncClient | None = None

    async def get(self, url: str, *, bearer: str = "") -> bytes:
        """The body of an answer 200.

        Args:
            url: of the issuer's document, or one that it names.
            bearer: an access token to show.

        Raises:
            FetchFailed: it may not be asked, does not answer, or answers with something else.
        """
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        status, body = await self._ask("GET", url, headers)
        if status != 200:
            raise FetchFailed(f"{url} answered {status}")
        return body

    async def post(self, url: str, form: Mapping[str, str], basic: tuple[str, str] | None = None) -> tuple[int, bytes]:
        """Status and body of the answer to a form, whatever the status.

        Raises:
            FetchFailed: it may not be asked, or does not answer.
        """
        return await self._ask("POST", url, {}, data=dict(form), auth=basic)

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], **more: Any) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(SECONDS):
                target, extra, extensions = await self._target(url)
                client = await self._opened()
                sent = {**_HEADERS, **headers, **extra}
                more = {name: value for name, value in more.items() if value is not None}
                async with client.stream(method, target, headers=sent, extensions=extensions, **more) as answer:
                    if answer.is_redirect:
                        raise FetchFailed(f"{url} answered with a redirect, which is not followed")
                    return answer.status_code, await _bounded(answer, url)
        except (TimeoutError, OSError, httpx.HTTPError, httpx.InvalidURL) as error:
            raise FetchFailed(f"{url} does not answer: {type(error).__name__}") from error

    async def _target(self, url: str) -> tuple[str, dict[str, str], dict[str, Any]]:
        """Where to connect: URL, headers, and what the connection needs to know."""
        parts = urlsplit(url)
        plain = self._settings is not None and may_be_plain(self._settings)
        if parts.scheme != "https" and not (plain and parts.scheme == "http"):
            raise FetchFailed(f"{url} is not reached by https")
        if not parts.hostname or "@" in parts.netloc:
            raise FetchFailed(f"{url} is no usable URL")
        if self._settings is not None:
            return url, {}, {}
        address = await public_address(parts.hostname, parts.port or 443)
        shown = f"[{address}]" if ":" in address else address
        port = f":{parts.port}" if parts.port else ""
        target = parts._replace(netloc=f"{shown}{port}").geturl()
        return target, {"host": parts.netloc}, {"sni_hostname": parts.hostname}

    async def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            # Reading the certificates of all authorities takes some 20 ms.
            self._client = await asyncio.to_thread(self._open)
        return self._client

    def _open(self) -> httpx.AsyncClient:
        context = httpx.create_ssl_context()
        if self._settings is not None and self._settings.ca is not None:
            context.load_verify_locations(self._settings.ca)
        return httpx.AsyncClient(
            verify=context,
            timeout=httpx.Timeout(5.0),
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=2),
            # A proxy of the environment would resolve names by itself, to any address.
            trust_env=self._settings is not None,
        )


async def public_address(host: str, port: int) -> str:
    """An address of a host that is one of the public internet.

    Raises:
        FetchFailed: it has none, or any that is not.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchFailed(f"{host} cannot be resolved") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(is_public(address) for address in addresses):
        raise FetchFailed(f"{host} has no public address; name the issuer in `auth.local.issuers` to allow that")
    return addresses[0]


def is_public(text: str) -> bool:
    """Whether an address is one of the public internet, in IPv6's clothes too."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return is_public(str(inner))
        if address.teredo is not None or address in _NAT64:
            return False
    return address.is_global and not address.is_multicast


def may_be_plain(settings: IssuerSettings) -> bool:
    """Whether an issuer may be asked without TLS: it is on this machine, or the operator said so."""
    if settings.insecure:
        return True
    return is_loopback(urlsplit(settings.issuer).hostname or "")


async def _bounded(answer: httpx.Response, url: str) -> bytes:
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchFailed(f"{url} answered in an encoding that was not asked for")
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > LARGEST:
            raise FetchFailed(f"{url} answered with more than {LARGEST} bytes")
    return bytes(body)
