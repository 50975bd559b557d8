"""Who a name or a secret belongs to, looked up at each request: one row by one index, straight on the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, or_, select

from moorage.metadata.database import Lookup
from moorage.metadata.prepared import Prepared
from moorage.metadata.tables_access import access_tokens, refresh_tokens, robot_secrets, robots, trust_rules, users

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

_USER = (users.c.id, users.c.name, users.c.admin, users.c.disabled, users.c.epoch)

USER_BY_NAME = Lookup(
    select(*_USER, users.c.password, users.c.source).where(users.c.name == bindparam("name")), ("name",)
)
"""name -> id, name, admin, disabled, epoch, password, source."""

USER_BY_ID = Lookup(select(*_USER, users.c.password, users.c.source).where(users.c.id == bindparam("id")), ("id",))
"""id -> the same."""

ACCESS_TOKEN = Lookup(
    select(*_USER, access_tokens.c.id, access_tokens.c.scopes, access_tokens.c.expires_at)
    .select_from(access_tokens)
    .join(users, users.c.id == access_tokens.c.user_id)
    .where(access_tokens.c.hash == bindparam("hash")),
    ("hash",),
)
"""hash -> the owner's id, name, admin, disabled, epoch; the token's id, scopes, expires_at."""

ROBOT_BY_NAME = Lookup(
    select(robots.c.id, robots.c.name, robots.c.disabled, robots.c.expires_at).where(
        robots.c.name == bindparam("name")
    ),
    ("name",),
)
"""name -> id, name, disabled, expires_at."""

ROBOT_SECRET = Lookup(
    select(
        robots.c.id,
        robots.c.name,
        robots.c.disabled,
        robots.c.epoch,
        robots.c.expires_at,
        robot_secrets.c.id,
        robot_secrets.c.expires_at,
    )
    .select_from(robot_secrets)
    .join(robots, robots.c.id == robot_secrets.c.robot_id)
    .where(robot_secrets.c.hash == bindparam("hash")),
    ("hash",),
)
"""hash -> the robot's id, name, disabled, epoch, expires_at; the secret's id, expires_at."""

_USED = {
    "pat": (access_tokens, access_tokens.c.last_used_at),
    "robot": (robots, robots.c.last_used_at),
    "refresh": (refresh_tokens, refresh_tokens.c.last_used_at),
    "user": (users, users.c.last_login_at),
    "rule": (trust_rules, trust_rules.c.last_used_at),
}
KINDS = tuple(_USED)
"""What is said of it when it was last used: personal access tokens, robots, refresh tokens, trust rules, and users'
logins."""

_TOUCH = {
    kind: Prepared(
        lambda _, table=table, column=column: (  # type: ignore[misc]
            table.update()
            .where(table.c.id == bindparam("id_"), or_(column.is_(None), column < bindparam("at_")))
            .values({column: bindparam("at_")})
        ),
        "id_",
        "at_",
    )
    for kind, (table, column) in _USED.items()
}


def mark_used(connection: Connection, used: Iterable[tuple[str, int, float]]) -> None:
    """Note when things were last used; what is gone meanwhile is passed over.

    used: kind (one of KINDS), id of the row, seconds since 1970. In a fixed order, so that writers do not wait for
        each other in a circle.
    """
    for kind, row, at in sorted(used):
        _TOUCH[kind].count(connection, row, at)
