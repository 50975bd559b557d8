"""OIDC issuers: what they publish about themselves, and their keys, fetched when needed and remembered.

An issuer that does not answer stops nobody whose keys are known: they serve on for a while. A token with an unknown
key makes us fetch the keys again, but not more often than every few seconds, whatever is sent to us.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from moorage.auth.oidc_fetch import Fetcher, FetchFailed, may_be_plain
from moorage.auth.oidc_tokens import IssuerKey, TokenRefused, Unverified, read_keys
from moorage.core.errors import ManifestInvalid, Unavailable
from moorage.core.strict_json import decode_object
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from moorage.auth.settings import IssuerSettings

_log = logger("moorage.auth")

FRESH_SECONDS = 3600.0
"""How long what an issuer published is used without asking again."""

STALE_SECONDS = 6 * 3600.0
"""How long it is used while the issuer does not answer."""

UNKNOWN_SECONDS = 10.0
"""How often at most a token with an unknown key makes us ask for keys."""

FAILED_SECONDS = 5.0
"""How long an issuer that did not answer is left alone."""

MOST_ISSUERS = 200
"""Issuers that are remembered."""

WELL_KNOWN = "/.well-known/openid-configuration"


class Issuer:
    """One issuer.

    Args:
        url: its identifier, exactly as in `iss`.
        settings: what the configuration says about it; None where only a trust rule names it.
        monotonic: seconds, for what is remembered.
    """

    def __init__(
        self, url: str, settings: IssuerSettings | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.url = url
        self.fetcher = Fetcher(settings)
        self._settings = settings
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._document: Mapping[str, Any] = {}
        self._keys: list[IssuerKey] = []
        self._read_at = float("-inf")
        self._failed_at = float("-inf")

    async def document(self) -> Mapping[str, Any]:
        """What it publishes about itself (OpenID Connect Discovery 1.0 section 3).

        Raises:
            Unavailable: it does not answer, or with something else.
        """
        await self._refresh(FRESH_SECONDS)
        return self._document

    async def verify(self, token: Unverified) -> Mapping[str, Any]:
        """The claims of a token that this issuer signed. Its times and audience are the caller's to check.

        Raises:
            TokenRefused: it did not.
            Unavailable: its keys cannot be fetched.
        """
        if token.issuer != self.url:
            raise TokenRefused("another issuer's token")
        await self._refresh(FRESH_SECONDS)
        if not token.fitting(self._keys):
            await self._refresh(UNKNOWN_SECONDS)
        return token.verify(self._keys)

    def check_url(self, url: object) -> str:
        """An address that the document names, if it may be used.

        Raises:
            FetchFailed: it is none, or not one reached by https.
        """
        plain = self._settings is not None and may_be_plain(self._settings)
        if not isinstance(url, str) or not url.startswith(("https://", "http://") if plain else "https://"):
            raise FetchFailed(f"{self.url} names no usable address for something that is needed")
        return url

    def unavailable(self, error: Exception) -> Unavailable:
        """The error for clients; the reason goes to the log."""
        _log.warning("an OIDC issuer cannot be used", issuer=self.url, reason=str(error)[:500])
        return Unavailable("The OIDC provider that has to vouch for you cannot be reached at the moment; try again.")

    async def _refresh(self, age: float) -> None:
        """Fetch what is older than that many seconds. Who comes while somebody fetches waits for that."""
        if self._monotonic() - self._read_at < age:
            return
        async with self._lock:
            now = self._monotonic()
            if now - self._read_at < age:
                return
            usable = now - self._read_at < STALE_SECONDS
            if now - self._failed_at < FAILED_SECONDS:
                if usable:
                    return
                raise Unavailable("The OIDC provider that has to vouch for you cannot be reached at the moment.")
            try:
                await self._read()
            except (FetchFailed, ManifestInvalid, OSError) as error:
                self._failed_at = self._monotonic()
                if not usable:
                    raise self.unavailable(error) from None
                _log.warning("an OIDC issuer does not answer; its keys serve on", issuer=self.url, reason=str(error))

    async def _read(self) -> None:
        document = await self._read_document()
        if self._settings is not None and self._settings.jwks is not None:
            data = await asyncio.to_thread(self._settings.jwks.read_bytes)
        else:
            data = await self.fetcher.get(self.check_url(document.get("jwks_uri")))
        # Importing keys costs little, the library that does it some 30 ms at its first use.
        keys = await asyncio.to_thread(lambda: read_keys(decode_object(data)))
        if not keys:
            raise FetchFailed(f"{self.url} publishes no usable key")
        self._document, self._keys, self._read_at = document, keys, self._monotonic()

    async def _read_document(self) -> Mapping[str, Any]:
        if self._settings is not None and self._settings.jwks is not None:
            return {"issuer": self.url}
        document = decode_object(await self.fetcher.get(self.url.rstrip("/") + WELL_KNOWN))
        if document.get("issuer") != self.url:
            raise FetchFailed(f"the document of {self.url} is that of {str(document.get('issuer'))[:200]!r}")
        return document


class Issuers:
    """All issuers that tokens come from.

    Args:
        configured: those that the configuration names.
        monotonic: see `Issuer`.
    """

    def __init__(
        self, configured: Iterable[IssuerSettings] = (), monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = {one.issuer: one for one in configured}
        self._monotonic = monotonic
        self._known: OrderedDict[str, Issuer] = OrderedDict()

    @property
    def plain(self) -> frozenset[str]:
        """Those that may be reached without TLS."""
        return frozenset(url for url, settings in self._settings.items() if may_be_plain(settings))

    def get(self, url: str) -> Issuer:
        """The issuer with this identifier; only ask for one that the configuration or a trust rule names."""
        found = self._known.get(url)
        if found is None:
            found = self._known[url] = Issuer(url, self._settings.get(url), self._monotonic)
            if len(self._known) > MOST_ISSUERS:
                # Its connections end with the last request that uses them.
                self._known.popitem(last=False)
        self._known.move_to_end(url)
        return found

    async def close(self) -> None:
        """Let go of all connections."""
        while self._known:
            _, issuer = self._known.popitem()
            await issuer.fetcher.close()
