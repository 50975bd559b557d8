"""Users of a directory (LDAP, Active Directory): an implementation of `moorage.auth.ports.PasswordSource`.

The account that searches finds exactly one entry for the typed name; a bind as that entry says whether the password is
right; then the account that searches finds the person's groups. For a name that is not there a bind is tried too, with
a DN that cannot exist, and every no is held back to a round time, so that the two look and take the same.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from moorage.auth.ldap_people import find_person, group_names, groups_of, is_in, is_plain, name_of, subject_of
from moorage.auth.ldap_servers import DirectoryError, EntryError, Link, Servers
from moorage.auth.ports import Arrival
from moorage.core.errors import Unavailable
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from moorage.auth.ldap_settings import LdapSettings

NO_SECONDS = 0.1
"""A no is given at a multiple of this after the question."""

WAITING_PER_CONNECTION = 8
"""Logins that may wait for each connection; further ones are sent away at once."""

_SILENT = "The directory that knows this user does not answer at the moment; try again."
_BUSY = "The directory is busy with other logins; try again."

_log = logger(__name__)


class LdapDirectory:
    """One directory. For one event loop; the waiting is done by `settings.connections` threads.

    Args:
        settings: where it is and how people and groups are found in it.
    """

    def __init__(self, settings: LdapSettings) -> None:
        self._settings = settings
        self._servers = Servers(settings)
        self._executor = ThreadPoolExecutor(settings.connections, thread_name_prefix="ldap")
        self._waiting = 0

    @property
    def name(self) -> str:
        """`ldap:<name>`."""
        return source_of(self._settings)

    async def check(self, user: str, password: str) -> Arrival | None:
        """See `PasswordSource.check`.

        An empty password is nobody's: a directory would take it for an anonymous bind and say yes.

        Raises:
            Unavailable: no server answers in time, answered a moment ago, or too many logins wait.
        """
        started = time.monotonic()
        arrival = None
        if password and "\0" not in password and is_plain(user):
            arrival = await self._ask(user, password, started + self._settings.seconds)
        if arrival is None:
            passed = time.monotonic() - started
            await asyncio.sleep(NO_SECONDS - passed % NO_SECONDS)
        return arrival

    async def close(self) -> None:
        """Let go of connections; logins that run now end by their own time limit."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        await asyncio.get_running_loop().run_in_executor(None, self._servers.close)

    async def _ask(self, user: str, password: str, deadline: float) -> Arrival | None:
        if self._servers.all_dead():
            raise Unavailable(_SILENT)
        if self._waiting >= self._settings.connections * WAITING_PER_CONNECTION:
            raise Unavailable(_BUSY)
        job = _Login(self._settings, self._servers, user, password, deadline)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await asyncio.wait_for(loop.run_in_executor(self._executor, job.run), deadline - time.monotonic())
        except TimeoutError:
            job.cut()
            _log.warning("directory took too long", directory=self._settings.name)
            raise Unavailable(_SILENT) from None
        except DirectoryError as error:
            _log.warning("directory failed", directory=self._settings.name, reason=str(error))
            raise Unavailable(_SILENT) from None
        except RuntimeError:  # the executor was shut down: the program is ending
            raise Unavailable(_SILENT) from None
        finally:
            self._waiting -= 1


class _Login:
    """One login, in a thread."""

    def __init__(self, settings: LdapSettings, servers: Servers, user: str, password: str, deadline: float) -> None:
        self._settings = settings
        self._servers = servers
        self._user = user
        self._password = password
        self._deadline = deadline
        self._link: Link | None = None

    def cut(self) -> None:
        """End what the thread waits for."""
        if self._link is not None:
            self._link.cut()

    def run(self) -> Arrival | None:
        """Who that is.

        Raises:
            DirectoryError: no server answers.
        """
        with self._servers.link(self._deadline) as link:
            self._link = link
            return self._look(link)

    def _look(self, link: Link) -> Arrival | None:
        settings = self._settings
        person = find_person(link, settings, self._user)
        if person is None:
            link.is_password_of(f"cn={secrets.token_hex(12)},{settings.base}", self._password)
            return None
        if not link.is_password_of(person.dn, self._password):
            return None
        link.be_service()
        name = name_of(person, settings, self._user)
        if not name:
            raise EntryError(f"{person.dn!r} has no {settings.name_attribute} that could be seen")
        groups = groups_of(link, settings, person, name)
        if settings.required_group and not is_in(groups or [], settings.required_group, settings):
            _log.info("not in the required group", directory=settings.name, user=name)
            return None
        return Arrival(
            source_of(settings),
            subject_of(person, settings),
            name,
            next(iter(person.texts(settings.mail_attribute)), ""),
            None if groups is None else group_names(groups, settings),
            is_in(groups or [], settings.admin_group, settings) if settings.admin_group else None,
        )


def source_of(settings: LdapSettings) -> str:
    """What users of this directory have as their source."""
    return f"ldap:{settings.name}"
