"""One worker's login chain over a database, for tests, and the rows that it looks at."""

from __future__ import annotations

import base64
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import orjson
import pytest
from sqlalchemy import delete, insert, select, update

from moorage.accounts.journal import Journal
from moorage.accounts.keys import Keys
from moorage.accounts.login import Challenges, Login
from moorage.accounts.login_watch import WatchedLogins
from moorage.accounts.refresh import RefreshTokens
from moorage.auth.passwords import Passwords, hash_password
from moorage.auth.ports import Arrival
from moorage.auth.random_secrets import PAT, ROBOT, hash_secret, new_secret
from moorage.auth.registry_tokens import Claims, TokenReader, write_token
from moorage.auth.settings import LocalSettings
from moorage.core.errors import TooManyRequests, Unauthorized, Unavailable
from moorage.metadata.database import Database
from moorage.metadata.tables_access import (
    access_tokens,
    audit,
    robot_secrets,
    robots,
    users,
)
from tests.support.accounts import HeldClock

SETTINGS = LocalSettings(secret="a secret that is long enough for this")
PASSWORD = "right horse"
HASH = hash_password(PASSWORD)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass
class Directory:
    """Knows people by name."""

    name: str = "ldap:test"
    people: dict[str, tuple[str, Arrival]] = field(default_factory=dict)
    silent: bool = False
    asked: int = 0

    async def check(self, user: str, password: str) -> Arrival | None:
        self.asked += 1
        if self.silent:
            raise Unavailable
        found = self.people.get(user)
        return found[1] if found is not None and found[0] == password else None

    async def close(self) -> None:
        """Nothing to let go of."""


class Attempts:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.failures = False
        self.blocked = False

    async def check(self, account: str, address: str) -> bool:
        self.seen.append(("check", account, address))
        if self.blocked:
            raise TooManyRequests("Too many failed logins.", 1)
        return self.failures

    async def failed(self, account: str, address: str, password: str) -> None:
        self.seen.append(("failed", account, address))

    async def succeeded(self, account: str, address: str) -> None:
        self.seen.append(("succeeded", account, address))


class World:
    """One worker's login chain over a database, and the rows that it looks at."""

    def __init__(self, database: Database, executor: ThreadPoolExecutor) -> None:
        self.database = database
        self.clock = HeldClock(1_700_000_000.0)
        self.directory = Directory(f"ldap:{uuid.uuid4().hex[:8]}")
        self.attempts = Attempts()
        self.journal = Journal(database, self.clock)
        self.reader = TokenReader("moorage", "moorage", self.clock)
        self.keys = Keys(database, SETTINGS, self.reader, self.clock, lambda: self.clock.at)
        self.refresh = RefreshTokens(database, self.clock, SETTINGS, self.journal)
        self.passwords = Passwords(executor, lambda: self.clock.at)
        self.login = self.chain()

    def chain(self, *sources: Directory) -> Login:
        return Login(
            self.database,
            self.clock,
            self.passwords,
            self.keys,
            self.reader,
            self.journal,
            challenges=Challenges(),
            sources=sources,
            watch=WatchedLogins(self.journal, self.clock, self.attempts),
        )

    async def user(self, **values: object) -> tuple[int, str]:
        name = f"u{uuid.uuid4().hex[:12]}"
        row = {
            "name": name,
            "email": "",
            "password": HASH,
            "admin": False,
            "disabled": False,
            "source": "local",
            "epoch": 0,
            "created_at": 1.0,
            "updated_at": 1.0,
            "version": 1,
        } | values
        return await self.add(users, row), name

    async def pat(self, user_id: int, **values: object) -> tuple[int, str]:
        secret = new_secret(PAT)
        row = {
            "user_id": user_id,
            "name": secret[-8:],
            "hash": hash_secret(secret),
            "scopes": "[]",
            "created_at": 1.0,
            "version": 1,
        }
        return await self.add(access_tokens, row | values), secret

    async def robot(self, **values: object) -> tuple[int, str]:
        name = f"+r{uuid.uuid4().hex[:12]}"
        row = {"name": name, "disabled": False, "epoch": 0, "created_at": 1.0, "version": 1}
        return await self.add(robots, row | values), name

    async def secret(self, robot_id: int, **values: object) -> str:
        secret = new_secret(ROBOT)
        row = {"robot_id": robot_id, "hash": hash_secret(secret), "created_at": 1.0}
        await self.add(robot_secrets, row | values)
        return secret

    async def add(self, table, row: dict[str, object]) -> int:  # type: ignore[no-untyped-def]
        statement = insert(table).values(row).returning(table.c.id)
        return int(await self.database.write(lambda c: c.execute(statement).scalar_one()))

    async def change(self, table, row: int, **values: object) -> None:  # type: ignore[no-untyped-def]
        await self.database.write(lambda c: c.execute(update(table).where(table.c.id == row).values(values)))

    async def remove(self, table, row: int) -> None:  # type: ignore[no-untyped-def]
        await self.database.write(lambda c: c.execute(delete(table).where(table.c.id == row)))

    async def refused(self, user: str, password: str) -> None:
        with pytest.raises(Unauthorized) as caught:
            await self.login.check(user, password)
        assert caught.value.message == "The user name, password or token is wrong, or no longer valid."

    async def entries(self, name: str) -> list[tuple[str, str, str]]:
        await self.journal.flush()
        found = select(audit.c.action, audit.c.outcome, audit.c.credential).where(audit.c.actor == name)
        return await self.database.read(lambda c: [tuple(row) for row in c.execute(found.order_by(audit.c.id))])

    async def noted(self, address: str, action: str = "login") -> list[tuple[str, str, dict[str, object]]]:
        """Outcome, actor and detail of what the audit log has of logins (or another action) from an address."""
        await self.journal.flush()
        found = select(audit.c.outcome, audit.c.actor, audit.c.detail).where(
            audit.c.address == address, audit.c.action == action
        )
        rows = await self.database.read(lambda c: c.execute(found.order_by(audit.c.id)).all())
        return [(outcome, actor, orjson.loads(detail)) for outcome, actor, detail in rows]


def worker(world: World, database: Database | None = None, **settings: object) -> tuple[Keys, TokenReader]:
    """Another worker's keys; of another process where it has a database of its own."""
    reader = TokenReader("moorage", "moorage", world.clock)
    chosen = replace(SETTINGS, **settings)  # type: ignore[arg-type]
    return Keys(database or world.database, chosen, reader, world.clock, lambda: world.clock.at), reader


def token_of(world: World, keys: Keys) -> str:
    now = int(world.clock.at)
    claims = Claims("moorage", "moorage", "a", now + SETTINGS.token_seconds, now, now, "1", [], "user", 1)
    return f"Bearer {write_token(keys.signer(), claims)}"
