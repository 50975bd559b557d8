"""Who may read the audit log: system admins all of it, admins of a project what belongs to that project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from moorage.accounts.rights import is_system_admin
from moorage.core.access import ADMIN
from moorage.core.errors import Denied, ObjectUnknown
from moorage.metadata.tables_access import projects

if TYPE_CHECKING:
    from moorage.auth.ports import Policy
    from moorage.core.access import Caller
    from moorage.metadata.database import Database


class AuditReaders:
    """Lets through who may read what.

    Args:
        database: knows the projects.
        policy: knows their admins.
    """

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy

    async def check(self, caller: Caller, project: int | None) -> None:
        """Let pass who may read what belongs to a project, or everything where none is named.

        Raises:
            Denied: everything is for system admins.
            ObjectUnknown: there is no such project, or the caller is no admin of it.
        """
        if is_system_admin(caller):
            return
        if project is None:
            raise Denied("Only an admin of the system reads the whole audit log; name a project that you are admin of.")
        statement = select(projects.c.name).where(projects.c.id == project)
        name = await self._database.read(lambda connection: connection.execute(statement).scalar())
        if name is None or ADMIN not in await self._policy.allowed(caller.identity, str(name)):
            raise ObjectUnknown("There is no such project, or you are no admin of it.")
