"""No list of accounts ever scans or sorts, on either database: asked of the database itself."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from moorage.metadata import access_tokens, grants, groups, projects, robots, trust_rules, users
from moorage.metadata.database import Database
from moorage.metadata.pages import Page
from moorage.metadata.postgres import PostgresDatabase
from moorage.metadata.sqlite import SqliteDatabase
from tests.contract.test_database_plans import Postgres, Query, Sqlite

PAGES = {"first": Page(), "later": Page("m"), "prefix": Page("", 100, "m"), "later of a prefix": Page("ma", 100, "m")}


def _pages() -> dict[str, Query]:
    found: dict[str, Query] = {}
    for word, page in PAGES.items():
        found |= {
            f"users, {word}": lambda c, page=page: users.list_users(c, page),  # type: ignore[misc]
            f"groups, {word}": lambda c, page=page: groups.list_groups(c, page),  # type: ignore[misc]
            f"robots, {word}": lambda c, page=page: robots.list_robots(c, page),  # type: ignore[misc]
            f"robots of a project, {word}": lambda c, page=page: robots.list_project_robots(c, 1, page),  # type: ignore[misc]
            f"robots of the system, {word}": lambda c, page=page: robots.list_system_robots(c, page),  # type: ignore[misc]
            f"trust rules, {word}": lambda c, page=page: trust_rules.list_trust_rules(c, page),  # type: ignore[misc]
        }
    return found


SAME = grants.NewGrant(1, "", "user", 1, "allow", "reader", "", "", "", None)

LISTS: dict[str, Query] = {
    **_pages(),
    "members": lambda c: groups.list_members(c, 1, 5, 100),
    "tokens": lambda c: access_tokens.list_tokens(c, 5, 100),
}

LOOKED_UP: dict[str, Query] = {
    "a user": lambda c: users.find_user(c, 1),
    "a user by name": lambda c: users.find_user_by_name(c, "a"),
    "a user's password": lambda c: users.password_of(c, 1),
    "a user's logins": lambda c: users.end_logins(c, 1, access_tokens_too=True),
    "removing a user": lambda c: users.remove_user(c, 1),
    "a group by name": lambda c: groups.find_group_by_name(c, "a"),
    "removing a group": lambda c: groups.remove_group(c, 1),
    "a robot": lambda c: robots.find_robot(c, 1),
    "a robot by name": lambda c: robots.find_robot_by_name(c, "a+b"),
    "a robot's newest secret": lambda c: robots.newest_secret(c, 1, 5.0),
    "ending secrets": lambda c: robots.end_secrets(c, 1, 5, 7.0, 6.0),
    "removing a robot": lambda c: robots.remove_robot(c, 1),
    "a user's tokens": lambda c: access_tokens.list_tokens_of(c, 1, 5, 100),
    "how many tokens": lambda c: access_tokens.count_tokens_of(c, 1),
    "grants of a robot": lambda c: grants.remove_grants_of(c, "robot", 1),
    "the same grant": lambda c: grants.find_same(c, SAME),
    "trust rules of a robot": lambda c: trust_rules.list_trust_rules(c, Page("m 7"), robot_id=1),
    "trust rules of a name": lambda c: trust_rules.list_trust_rules(c, Page(), name="a"),
    "trust rules of an issuer": lambda c: trust_rules.live_rules_of(c, "a", "a+b"),
    "a rule of a robot": lambda c: trust_rules.has_trust_rule(c, 1, "a"),
    "a project by name": lambda c: projects.find_project_by_name(c, "a"),
}
"""A user has so few tokens that to sort them is no matter."""


@pytest.fixture
def planner(database: Database) -> Sqlite | Postgres:
    if isinstance(database, SqliteDatabase):
        return Sqlite(database)
    assert isinstance(database, PostgresDatabase)
    return Postgres(database)


@pytest.mark.parametrize("what", LISTS)
async def test_lists_come_in_order_from_an_index(planner: Sqlite | Postgres, what: str) -> None:
    plans = await planner.plans(LISTS[what])
    assert planner.scans(plans) == []
    assert planner.sorts(plans) == []


@pytest.mark.parametrize("what", LOOKED_UP)
async def test_nothing_is_scanned(planner: Sqlite | Postgres, what: str) -> None:
    assert planner.scans(await planner.plans(LOOKED_UP[what])) == []


async def test_admins_are_found_among_admins_alone(planner: Sqlite | Postgres) -> None:
    plans = await planner.plans(lambda c: users.is_another_admin(c, 1))
    assert "ix_users_admins" in str(plans) + str(planner.scans(plans))


async def test_a_scan_would_be_seen(planner: Sqlite | Postgres) -> None:
    def query(connection: Connection) -> object:
        return connection.exec_driver_sql("SELECT id FROM users WHERE email = 'a'").all()

    assert planner.scans(await planner.plans(query))
