"""What tests of accounts start from: callers, quick passwords, a policy as a table, and rows of other rooms."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from sqlalchemy import Connection, insert, select

from moorage.auth.passwords import Passwords
from moorage.core.access import EVERYTHING, NOTHING, Binding, Caller, Identity, Scope
from moorage.metadata.database import Database
from moorage.metadata.tables_access import audit, projects, refresh_tokens, sessions, users

ADMIN_CALLER = Caller(
    Identity("root-admin", "user", 999_999_999, admin=True, credential="password"), address="10.0.0.1"
)


@dataclass
class HeldClock:
    """A clock that stands until it is set."""

    at: float = 1_000_000.0

    def now(self) -> float:
        return self.at


class QuickPasswords:
    """Passwords whose hash is the password backwards."""

    async def hash(self, password: str) -> str:
        return f"hash:{password[::-1]}"

    async def fits(self, user: str, password: bytes, stored: str | None, *, alone: bool = True) -> bool:
        return stored == f"hash:{password.decode()[::-1]}"


def quick_passwords() -> Passwords:
    """In the place of argon2."""
    return cast("Passwords", QuickPasswords())


@dataclass
class TablePolicy:
    """A policy that is a table: the names of projects that an identity's name is an admin of."""

    admins: dict[str, set[str]] = field(default_factory=dict)

    async def allowed(self, identity: Identity, name: str) -> frozenset[str]:
        if identity.admin or name in self.admins.get(identity.name, set()):
            return EVERYTHING
        return NOTHING

    async def granted(self, identity: Identity, scopes: Sequence[Scope]) -> list[Scope]:
        return []

    async def binding(self, name: str) -> Binding:
        return Binding(1, 0)


def unique(word: str) -> str:
    """A name that no other test has."""
    return f"{word}-{uuid.uuid4().hex[:12]}"


def as_user(row: int, name: str, *, admin: bool = False, credential: str = "password") -> Caller:
    """A user who asks."""
    return Caller(Identity(name, "user", row, admin=admin, credential=credential))


async def add_project(database: Database, name: str) -> int:
    """A project, by its row alone."""
    values = {
        "name": name,
        "visibility": "inherit",
        "create_on_push": "inherit",
        "public": False,
        "settings": "{}",
        "created_at": 1.0,
        "version": 1,
    }

    def change(connection: Connection) -> int:
        return int(connection.execute(insert(projects).values(values).returning(projects.c.id)).scalar_one())

    return await database.write(change)


async def give_logins(database: Database, user_id: int) -> None:
    """A session and a refresh token for a user."""
    word = uuid.uuid4().hex
    session = {"hash": f"s{word}", "user_id": user_id, "epoch": 1, "created_at": 1.0, "expires_at": 9e9}
    refresh = {"hash": f"r{word}", "user_id": user_id, "epoch": 1, "created_at": 1.0, "expires_at": 9e9}

    def change(connection: Connection) -> None:
        connection.execute(insert(sessions).values(**session, last_used_at=1.0))
        connection.execute(insert(refresh_tokens).values(**refresh, service="moorage"))

    await database.write(change)


async def logins_of(database: Database, user_id: int) -> tuple[int, int]:
    """How many sessions and refresh tokens a user has."""

    def query(connection: Connection) -> tuple[int, int]:
        counted = (
            len(connection.execute(select(table.c.user_id).where(table.c.user_id == user_id)).all())
            for table in (sessions, refresh_tokens)
        )
        first, second = counted
        return first, second

    return await database.read(query)


async def epoch_of(database: Database, user_id: int) -> int:
    """A user's epoch."""
    statement = select(users.c.epoch).where(users.c.id == user_id)
    return await database.read(lambda connection: int(connection.execute(statement).scalar_one()))


async def actions_on(database: Database, kind: str, target: str) -> list[str]:
    """What the audit log says was done to something, in order."""
    statement = select(audit.c.action).where(audit.c.target_kind == kind, audit.c.target == target)
    return await database.read(lambda connection: list(connection.scalars(statement.order_by(audit.c.id))))


async def whole_audit(database: Database) -> str:
    """The audit log as one text, to look for what must not be in it."""
    return await database.read(lambda connection: str(connection.execute(select(audit)).all()))
