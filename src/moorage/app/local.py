"""The management API over a local root, without a server: what the command line calls in its own process."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from moorage.accounts.bootstrap import read_secret
from moorage.app.api import ApiParts, services
from moorage.auth.settings import LocalSettings
from moorage.core.access import Caller, Identity
from moorage.core.clock import SystemClock
from moorage.metadata.factory import SQLITE, open_database, sqlite_path
from moorage.metadata.migrate import SchemaTooNew, migrate

if TYPE_CHECKING:
    from moorage.config.settings import Settings
    from moorage.metadata.database import Database


class NoRegistry(Exception):
    """There is none at that root, or it cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class LocalApi:
    """The API, to be started and closed in the event loop that it is called in."""

    application: Any
    database: Database

    async def start(self) -> None:
        """Open the database."""
        await self.database.start()

    async def close(self) -> None:
        """Let go of it."""
        await self.database.close()


def local_api(settings: Settings) -> LocalApi:
    """The API over the database of a configuration; whoever calls it is the system, and the audit log says who that is.

    Raises:
        NoRegistry: no server ever ran there, a newer one did, or the database does not answer.
    """
    url = settings.metadata.url
    if url == "sqlite://" or (url.startswith(SQLITE) and not sqlite_path(url).exists()):
        raise NoRegistry(
            f"There is no registry in {settings.root}; "
            "name its root with --root or --config, or a server with --server."
        )
    try:
        migrate(url)
    except SchemaTooNew as error:
        raise NoRegistry(str(error)) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise NoRegistry(f"The database of {settings.root} cannot be used: {reason}") from error
    from moorage.http.api.app import build

    caller = Caller(Identity(_person(), "system", admin=True, credential="cli"))

    async def system(_request: object) -> Caller:
        return caller

    database = open_database(url)
    parts = ApiParts(
        database,
        SystemClock(),
        settings.auth,
        settings.htpasswd,
        guessed=settings.auth == "none",  # `--auth` of the server's command line stands in no file
        local=_local(settings),
    )
    return LocalApi(build(services(parts), system), database)


def _person() -> str:
    """The name of the operating system's user that the process runs as; where that has none, its number."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _local(settings: Settings) -> LocalSettings | None:
    """The settings of accounts with the secret that keys are sealed with; None where there never was one."""
    local = settings.local or LocalSettings(secret_file=settings.root / "secret.key")
    if local.secret:
        return local
    file = local.secret_file
    return replace(local, secret=read_secret(file)) if file is not None and file.exists() else None
