"""Connections to the servers of one directory: TLS, time limits, a small pool, and which servers are dead.

Everything here waits and runs in threads. ldap3 reads no certificate's host name by itself (and asks for none unless
told), so TLS is set up here with the context of the standard library. What it does on the network is limited by the
time that is left: a server that takes a connection and never answers is as dead as one that refuses it.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPException

from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from moorage.auth.ldap_settings import LdapSettings

DEAD_SECONDS = 15.0
"""How long a server that failed is not asked again."""

IDLE_SECONDS = 60.0
"""How long a connection that nobody uses is kept: firewalls and directories cut silent ones off."""

SUCCESS = 0
LDAP_PORT, LDAPS_PORT = 389, 636
NO_SUCH_OBJECT, REFERRAL = 32, 10
PAGES = "1.2.840.113556.1.4.319"
# operationsError, protocolError, strongerAuthRequired, adminLimitExceeded, confidentialityRequired, busy, unavailable,
# other: these say nothing about the password.
_NOT_ABOUT_THE_PASSWORD = frozenset({1, 2, 8, 11, 13, 51, 52, 80})

_log = logger(__name__)


class DirectoryError(Exception):
    """The directory did not answer, or not as it must; the message is for the operator's log, without secrets."""


class EntryError(DirectoryError):
    """The directory works, but what it says of one person cannot be used."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the directory; attributes by lower-cased name, values as bytes."""

    dn: str
    attributes: dict[str, tuple[bytes, ...]]

    def texts(self, name: str) -> tuple[str, ...]:
        """The values of an attribute that are UTF-8."""
        found = []
        for value in self.attributes.get(name.lower(), ()):
            with suppress(UnicodeDecodeError):
                found.append(value.decode())
        return tuple(found)


class Link:
    """One connection. Used by one thread at a time.

    Args:
        url: of the server.
        settings: of the directory.
        deadline: of the login that it is opened for, on the clock of `time.monotonic`.

    Raises:
        DirectoryError: there is no connection to be had, or its certificate is not right.
    """

    def __init__(self, url: str, settings: LdapSettings, deadline: float) -> None:
        self.url = url
        self.used_at = 0.0
        self._settings = settings
        self._deadline = deadline
        self._as_service = False
        self._connection = self._open()

    def renew(self, deadline: float) -> None:
        """Begin another login on it."""
        self._deadline = deadline

    def be_service(self) -> None:
        """Bind as the account that searches.

        Raises:
            DirectoryError: it may not, or the server does not answer.
        """
        if self._as_service:
            return
        settings = self._settings
        password = service_password(settings) if settings.bind_dn else b""
        code = self._bind(settings.bind_dn, password, settings.connect_seconds)
        if code != SUCCESS:
            who = settings.bind_dn or "anonymous"
            raise DirectoryError(f"{self.url} refuses the account that searches ({who}): result code {code}")
        self._as_service = True

    def is_password_of(self, dn: str, password: str) -> bool:
        """Whether a bind as `dn` works. The connection is that person's (or nobody's) afterwards.

        Raises:
            DirectoryError: the server does not answer, or answers with what says nothing about the password.
        """
        if not dn or not password:
            return False  # the server would take it for an anonymous bind and say yes (RFC 4513 section 5.1.2)
        self._as_service = False
        code = self._bind(dn, password.encode(), self._settings.seconds / 2)
        if code in _NOT_ABOUT_THE_PASSWORD:
            raise EntryError(f"{self.url} does not check the password of {dn!r}: result code {code}")
        return code == SUCCESS

    def search(self, base: str, query: str, attributes: list[str], most: int, *, deep: bool = True) -> list[Entry]:
        """Up to `most` entries; one more where there are more. A base that does not exist holds none.

        Referrals to other servers are not followed.

        Raises:
            DirectoryError: the server does not answer, or cuts the result off.
        """
        scope = ldap3.SUBTREE if deep else ldap3.BASE
        found: list[Entry] = []
        cookie: Any = None
        while True:
            self._ask(
                lambda: self._connection.search(
                    base,
                    query,
                    scope,
                    dereference_aliases=ldap3.DEREF_NEVER,
                    attributes=attributes,
                    time_limit=max(1, ceil(self._left())),
                    paged_size=500 if deep else None,
                    paged_cookie=cookie,  # noqa: B023 - called at once
                ),
                self._settings.seconds / 2,
            )
            code = self._connection.result["result"]
            if code == NO_SUCH_OBJECT:
                return found
            if code not in (SUCCESS, REFERRAL):
                raise EntryError(f"{self.url} does not answer a search below {base!r}: result code {code}")
            found += [_entry(each) for each in self._connection.response or () if each["type"] == "searchResEntry"]
            controls = self._connection.result.get("controls") or {}
            cookie = controls.get(PAGES, {}).get("value", {}).get("cookie")
            if not cookie or len(found) > most:
                return found[: most + 1]

    def is_alive(self) -> bool:
        """Whether the server still answers on it."""
        try:
            self._ask(
                lambda: self._connection.search("", "(objectClass=*)", ldap3.BASE, attributes=["1.1"]),
                self._settings.connect_seconds,
            )
            self.be_service()
        except DirectoryError:
            return False
        return True

    def cut(self) -> None:
        """End it from another thread: whoever waits for an answer gets an error."""
        with suppress(Exception):
            self._connection.socket.shutdown(2)

    def close(self) -> None:
        """Say goodbye and close."""
        plain = self._connection.socket
        with suppress(Exception):
            plain.settimeout(0.5)
            self._connection.unbind()
        if plain is not None:
            plain.close()

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise DirectoryError(f"{self.url} took too long")
        return left

    def _open(self) -> Any:
        parts = urlsplit(self.url)
        encrypted = parts.scheme == "ldaps"
        seconds = min(self._settings.connect_seconds, self._left())
        server = ldap3.Server(
            parts.hostname or "",
            parts.port or (LDAPS_PORT if encrypted else LDAP_PORT),
            use_ssl=encrypted,
            tls=_Tls(self._settings) if encrypted or self._settings.starttls else None,
            get_info=ldap3.NONE,
            connect_timeout=seconds,
        )
        connection = ldap3.Connection(
            server,
            client_strategy=ldap3.SYNC,
            auto_referrals=False,
            check_names=False,
            raise_exceptions=False,
            receive_timeout=max(1, ceil(seconds)),
        )
        try:
            connection.open(read_server_info=False)
            if self._settings.starttls and not encrypted and not connection.start_tls(read_server_info=False):
                raise DirectoryError(f"{self.url} does not switch to TLS")
        except (LDAPException, OSError, ValueError) as error:
            with suppress(Exception):
                connection.socket.close()
            raise DirectoryError(f"{self.url} cannot be reached: {error}") from None
        return connection

    def _bind(self, dn: str, password: bytes, limit: float) -> int:
        connection = self._connection
        connection.authentication = ldap3.SIMPLE if dn else ldap3.ANONYMOUS
        # As bytes, and so as it is: of text ldap3 would drop characters (RFC 4013), in the end all of them.
        connection.user, connection.password = dn, password
        try:
            self._ask(lambda: connection.bind(read_server_info=False), limit)
        finally:
            connection.user = connection.password = None
        return int(connection.result["result"])

    def _ask(self, question: Callable[[], object], limit: float) -> None:
        try:
            self._connection.socket.settimeout(min(limit, self._left()))
            question()
        except (LDAPException, OSError, AttributeError) as error:  # AttributeError: ldap3 after the socket is gone
            raise DirectoryError(f"{self.url} does not answer: {type(error).__name__}") from None
        if not self._connection.result:
            raise DirectoryError(f"{self.url} ended the connection")


class Servers:
    """The servers of one directory and the connections to them. For several threads.

    Args:
        settings: of the directory.
        monotonic: seconds.
    """

    def __init__(self, settings: LdapSettings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._idle: list[Link] = []
        self._dead: dict[str, float] = {}
        self._closed = False

    def all_dead(self) -> bool:
        """Whether every server failed a moment ago: there is no use in waiting for them again."""
        now = self._monotonic()
        return all(now < self._dead.get(url, 0.0) for url in self._settings.urls)

    @contextmanager
    def link(self, deadline: float) -> Iterator[Link]:
        """A connection that is bound as the account that searches; of the first server that answers.

        Raises:
            DirectoryError: none does in time, or what was done with it failed.
        """
        link = self._reuse(deadline) or self._connect(deadline)
        try:
            yield link
        except BaseException as error:
            link.close()
            if isinstance(error, DirectoryError) and not isinstance(error, EntryError):
                self._mark(link.url)
            raise
        self._keep(link)

    def close(self) -> None:
        """End the connections that nobody uses; the others end when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for link in idle:
            link.close()

    def _reuse(self, deadline: float) -> Link | None:
        """A connection of before that still works; with one that does not, all to that server are given up."""
        with self._lock:
            link = self._idle.pop() if self._idle else None
        while link is not None:
            link.renew(deadline)
            if self._monotonic() - link.used_at < IDLE_SECONDS and link.is_alive():
                return link
            with self._lock:
                dropped = [link, *(each for each in self._idle if each.url == link.url)]
                self._idle = [each for each in self._idle if each.url != link.url]
                link = self._idle.pop() if self._idle else None
            for each in dropped:
                each.close()
        return None

    def _connect(self, deadline: float) -> Link:
        now = self._monotonic()
        urls = [url for url in self._settings.urls if now >= self._dead.get(url, 0.0)]
        problem = DirectoryError("no server answered a moment ago")
        for url in urls or self._settings.urls:
            link: Link | None = None
            try:
                link = Link(url, self._settings, deadline)
                link.be_service()
            except DirectoryError as error:
                problem = error
                if link is not None:
                    link.close()
                self._mark(url)
                _log.warning("directory server failed", directory=self._settings.name, reason=str(error))
                continue
            self._dead.pop(url, None)
            return link
        raise problem

    def _mark(self, url: str) -> None:
        self._dead[url] = self._monotonic() + DEAD_SECONDS

    def _keep(self, link: Link) -> None:
        link.used_at = self._monotonic()
        with self._lock:
            if not self._closed and len(self._idle) < self._settings.connections:
                self._idle.append(link)
                return
        link.close()


def service_password(settings: LdapSettings) -> bytes:
    """The password of the account that searches.

    Raises:
        DirectoryError: its file cannot be read, or holds none.
    """
    if settings.bind_password_file is None:
        return settings.bind_password.encode()
    try:
        password = settings.bind_password_file.read_bytes().removesuffix(b"\n").removesuffix(b"\r")
    except OSError as error:
        raise DirectoryError(f"{settings.bind_password_file} cannot be read: {error.strerror}") from None
    if not password:
        raise DirectoryError(f"{settings.bind_password_file} holds no password")
    return password


class _Tls(ldap3.Tls):
    """TLS with the certificate's authority and host name checked, as the standard library does it."""

    def __init__(self, settings: LdapSettings) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        try:
            self._context = ssl.create_default_context(cafile=settings.ca)
        except (OSError, ssl.SSLError) as error:
            raise DirectoryError(f"{settings.ca} is no file of authorities that can be used: {error}") from None

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:  # noqa: FBT001, FBT002
        """Called by ldap3, for `ldaps://` and for StartTLS alike."""
        connection.socket = self._context.wrap_socket(connection.socket, server_hostname=connection.server.host)


def _entry(found: dict[str, Any]) -> Entry:
    attributes = {name.lower(): tuple(values) for name, values in found["raw_attributes"].items()}
    return Entry(found["dn"], attributes)
