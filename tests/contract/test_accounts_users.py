"""Users on both databases: what they may be, who may change them, and that what was given out ends with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from moorage.accounts.access_tokens import AccessTokens
from moorage.accounts.users import UserChange, Users
from moorage.core.access import SYSTEM, Caller, Scope
from moorage.core.errors import Conflict, Denied, Invalid, ObjectUnknown, PreconditionFailed, RegistryError
from moorage.metadata.database import Database
from moorage.metadata.tables_access import grants, users
from moorage.metadata.users import User
from tests.support.accounts import (
    ADMIN_CALLER,
    HeldClock,
    actions_on,
    as_user,
    epoch_of,
    give_logins,
    logins_of,
    quick_passwords,
    unique,
    whole_audit,
)

GOOD = "correct horse battery"
BETTER = "staple correct horse"


@pytest.fixture
def accounts(database: Database) -> Users:
    return Users(database, HeldClock(), quick_passwords())


@pytest.fixture
def elsewhere_accounts(elsewhere: Database) -> Users:
    return Users(elsewhere, HeldClock(), quick_passwords())


@pytest.fixture
async def alice(accounts: Users) -> User:
    return await accounts.create(ADMIN_CALLER, unique("alice"), password=GOOD, email="alice@example.com")


@pytest.fixture
async def only_admin(database: Database, accounts: Users) -> AsyncIterator[User]:
    """The only enabled admin there is."""
    await database.write(lambda connection: connection.execute(update(users).values(admin=False)))
    yield await accounts.create(ADMIN_CALLER, unique("boss"), admin=True)
    await database.write(lambda connection: connection.execute(update(users).values(admin=False)))


async def grant(database: Database, user: User) -> None:
    values = {
        "project_id": 1,
        "pattern": "",
        "principal_kind": "user",
        "principal_id": user.id,
        "effect": "allow",
        "role": "reader",
        "actions": "",
        "created_at": 1.0,
        "version": 1,
    }
    await database.write(lambda connection: connection.execute(insert(grants).values(values)))


async def grants_of(database: Database, user: User) -> int:
    statement = select(grants.c.id).where(grants.c.principal_kind == "user", grants.c.principal_id == user.id)
    return await database.read(lambda connection: len(connection.execute(statement).all()))


async def test_a_new_user(accounts: Users, database: Database) -> None:
    name = unique("Bob")
    made = await accounts.create(ADMIN_CALLER, name, password=GOOD, email="bob@example.com")
    assert (made.name, made.email, made.source, made.version) == (name.lower(), "bob@example.com", "local", 1)
    assert (made.has_password, made.admin, made.disabled, made.last_login_at) == (True, False, False, None)
    assert await accounts.get(ADMIN_CALLER, made.id) == made
    assert await accounts.find(ADMIN_CALLER, name.upper()) == made
    assert await actions_on(database, "user", made.name) == ["user.create"]
    assert GOOD not in await whole_audit(database)


async def test_without_a_password(accounts: Users) -> None:
    assert not (await accounts.create(ADMIN_CALLER, unique("carol"))).has_password


@pytest.mark.parametrize("name", ["", "a b", "-a", "a..b", "ä", "a/b", "a+b", "system", "a" * 65, "a\n"])
async def test_names_that_cannot_be(accounts: Users, name: str) -> None:
    with pytest.raises(Invalid):
        await accounts.create(ADMIN_CALLER, name)


@pytest.mark.parametrize("password", ["", "short12", "x" * 257, "password123", "PassWord123", "nul\0 in the middle"])
async def test_passwords_that_cannot_be(accounts: Users, password: str) -> None:
    with pytest.raises(Invalid) as refused:
        await accounts.create(ADMIN_CALLER, unique("dave"), password=password)
    assert not password or password not in str(refused.value)


async def test_the_name_is_no_password(accounts: Users) -> None:
    name = unique("erin")
    with pytest.raises(Invalid, match="user name"):
        await accounts.create(ADMIN_CALLER, name, password=name.upper())


@pytest.mark.parametrize("email", ["nothing", "@", "a@", "@b", "a b@c", "a\n@b", f"{'a' * 250}@bcde"])
async def test_addresses_that_cannot_be(accounts: Users, email: str) -> None:
    with pytest.raises(Invalid):
        await accounts.create(ADMIN_CALLER, unique("frank"), email=email)


async def test_a_name_is_taken_once(accounts: Users, elsewhere_accounts: Users) -> None:
    name = unique("grace")
    both = (accounts.create(ADMIN_CALLER, name), elsewhere_accounts.create(ADMIN_CALLER, name))
    results = await asyncio.gather(*both, return_exceptions=True)
    assert [type(result) for result in results if isinstance(result, Exception)] == [Conflict]


async def test_only_admins_make_users(accounts: Users, alice: User) -> None:
    with pytest.raises(Denied):
        await accounts.create(as_user(alice.id, alice.name), unique("heidi"))
    limited = replace(ADMIN_CALLER.identity, scopes=(Scope("repository", "**", frozenset({"pull"})),))
    with pytest.raises(Denied):
        await accounts.create(replace(ADMIN_CALLER, identity=limited), unique("heidi"))


async def test_others_are_not_seen(accounts: Users, alice: User) -> None:
    ivan = await accounts.create(ADMIN_CALLER, unique("ivan"))
    caller = as_user(ivan.id, ivan.name)
    assert await accounts.get(caller, ivan.id) == ivan
    absent = await refusal(accounts.get(caller, 987_654_321))
    tries: list[Any] = [
        accounts.get(caller, alice.id),
        accounts.find(caller, alice.name),
        accounts.change(caller, alice.id, UserChange(email="x@example.com")),
        accounts.delete(caller, alice.id),
    ]
    for attempt in tries:
        refused = await refusal(attempt)
        assert (type(refused), refused.message, refused.detail) == (ObjectUnknown, absent.message, absent.detail)
    assert await accounts.list(caller) == [ivan]
    assert await accounts.list(caller, after=ivan.name) == []


async def refusal(attempt: Any) -> RegistryError:
    with pytest.raises(RegistryError) as refused:
        await attempt
    return refused.value


async def test_oneself_changes_address_and_password_alone(accounts: Users, alice: User) -> None:
    caller = as_user(alice.id, alice.name)
    changed = await accounts.change(caller, alice.id, UserChange(email="new@example.com"))
    assert (changed.email, changed.version) == ("new@example.com", 2)
    for wanted in (UserChange(admin=True), UserChange(disabled=True), UserChange(admin=False)):
        with pytest.raises(Denied):
            await accounts.change(caller, alice.id, wanted)
    with pytest.raises(Denied):
        await accounts.delete(caller, alice.id)
    await accounts.change(caller, alice.id, UserChange(password=BETTER, old_password=GOOD))
    with pytest.raises(Denied):
        await accounts.change(caller, alice.id, UserChange(password=GOOD + "!", old_password=GOOD))


async def test_the_old_password_is_asked_of_admins_too(accounts: Users, database: Database) -> None:
    boss = await accounts.create(ADMIN_CALLER, unique("boss"), password=GOOD, admin=True)
    caller = as_user(boss.id, boss.name, admin=True)
    with pytest.raises(Denied):
        await accounts.change(caller, boss.id, UserChange(password=BETTER))
    assert (await actions_on(database, "user", boss.name))[-1] == "user.password"
    await accounts.change(caller, boss.id, UserChange(password=BETTER, old_password=GOOD))
    assert GOOD not in await whole_audit(database)
    assert BETTER not in await whole_audit(database)


async def test_a_personal_access_token_changes_no_account(accounts: Users, alice: User) -> None:
    caller = as_user(alice.id, alice.name, credential="pat:1")
    for wanted in (UserChange(email="x@example.com"), UserChange(password=BETTER, old_password=GOOD)):
        with pytest.raises(Denied):
            await accounts.change(caller, alice.id, wanted)


async def test_a_new_password_ends_what_was_given_out(accounts: Users, database: Database, alice: User) -> None:
    tokens = AccessTokens(database, HeldClock())
    await tokens.create(as_user(alice.id, alice.name), "laptop")
    await give_logins(database, alice.id)
    before = await epoch_of(database, alice.id)
    await accounts.change(ADMIN_CALLER, alice.id, UserChange(password=BETTER))
    assert await logins_of(database, alice.id) == (0, 0)
    assert await tokens.list(ADMIN_CALLER, user_id=alice.id) == []
    assert await epoch_of(database, alice.id) == before + 1


@pytest.mark.parametrize("disabled", [True, False])
async def test_disabling_and_enabling_end_logins(
    accounts: Users, database: Database, alice: User, disabled: bool
) -> None:
    tokens = AccessTokens(database, HeldClock())
    await tokens.create(as_user(alice.id, alice.name), "laptop")
    if not disabled:
        await accounts.change(ADMIN_CALLER, alice.id, UserChange(disabled=True))
    await give_logins(database, alice.id)
    before = await epoch_of(database, alice.id)
    changed = await accounts.change(ADMIN_CALLER, alice.id, UserChange(disabled=disabled))
    assert changed.disabled == disabled
    assert await logins_of(database, alice.id) == (0, 0)
    assert await epoch_of(database, alice.id) == before + 1
    assert await tokens.list(ADMIN_CALLER, user_id=alice.id) == []


async def test_an_address_ends_nothing(accounts: Users, database: Database, alice: User) -> None:
    await give_logins(database, alice.id)
    await accounts.change(ADMIN_CALLER, alice.id, UserChange(email="new@example.com"))
    assert await logins_of(database, alice.id) == (1, 1)


async def test_what_stays_as_it_is_is_no_change(accounts: Users, alice: User) -> None:
    wanted = UserChange(email=alice.email, admin=False, disabled=False)
    assert await accounts.change(ADMIN_CALLER, alice.id, wanted) == alice


async def test_a_deleted_user_leaves_nothing(accounts: Users, database: Database, alice: User) -> None:
    tokens = AccessTokens(database, HeldClock())
    await tokens.create(as_user(alice.id, alice.name), "laptop")
    await give_logins(database, alice.id)
    await grant(database, alice)
    await accounts.delete(ADMIN_CALLER, alice.id)
    assert await logins_of(database, alice.id) == (0, 0)
    assert await grants_of(database, alice) == 0
    assert await tokens.list(ADMIN_CALLER, user_id=alice.id) == []
    with pytest.raises(ObjectUnknown):
        await accounts.get(ADMIN_CALLER, alice.id)
    again = await accounts.create(ADMIN_CALLER, alice.name)
    assert again.id != alice.id


async def test_an_older_version_is_not_changed(accounts: Users, alice: User) -> None:
    await accounts.change(ADMIN_CALLER, alice.id, UserChange(email="new@example.com"), alice.version)
    with pytest.raises(PreconditionFailed):
        await accounts.change(ADMIN_CALLER, alice.id, UserChange(disabled=True), alice.version)
    with pytest.raises(PreconditionFailed):
        await accounts.delete(ADMIN_CALLER, alice.id, alice.version)
    assert not (await accounts.get(ADMIN_CALLER, alice.id)).disabled


async def test_a_directory_keeps_its_passwords(accounts: Users, database: Database, alice: User) -> None:
    def change(connection: Connection) -> None:
        connection.execute(update(users).where(users.c.id == alice.id).values(source="ldap:main", subject=alice.name))

    await database.write(change)
    with pytest.raises(Invalid, match="ldap:main"):
        await accounts.change(ADMIN_CALLER, alice.id, UserChange(password=BETTER))


async def test_the_last_admin_stays(accounts: Users, only_admin: User) -> None:
    for wanted in (UserChange(admin=False), UserChange(disabled=True)):
        with pytest.raises(Conflict):
            await accounts.change(SYSTEM, only_admin.id, wanted)
    with pytest.raises(Conflict):
        await accounts.delete(SYSTEM, only_admin.id)
    disabled = await accounts.create(SYSTEM, unique("spare"), admin=True, disabled=True)
    with pytest.raises(Conflict):
        await accounts.delete(SYSTEM, only_admin.id)
    await accounts.change(SYSTEM, disabled.id, UserChange(disabled=False))
    await accounts.delete(SYSTEM, only_admin.id)


@pytest.mark.parametrize("how", ["disable", "demote", "delete"])
async def test_two_admins_do_not_remove_each_other(
    accounts: Users, elsewhere_accounts: Users, only_admin: User, how: str
) -> None:
    async def remove(where: Users, row: int) -> None:
        caller: Caller = ADMIN_CALLER
        if how == "delete":
            await where.delete(caller, row)
        else:
            wanted = UserChange(disabled=True) if how == "disable" else UserChange(admin=False)
            await where.change(caller, row, wanted)

    for _ in range(5):
        left = [user for user in await accounts.list(SYSTEM, limit=1000) if user.admin and not user.disabled]
        other = await accounts.create(SYSTEM, unique("other"), admin=True)
        both = (remove(accounts, left[0].id), remove(elsewhere_accounts, other.id))
        results = await asyncio.gather(*both, return_exceptions=True)
        assert [type(result) for result in results if result is not None] == [Conflict]


async def test_pages_while_users_come_and_go(accounts: Users) -> None:
    prefix = unique("page")
    made = [await accounts.create(SYSTEM, f"{prefix}.{number:02}") for number in range(7)]
    seen: list[str] = []
    while found := await accounts.list(SYSTEM, prefix=prefix, after=seen[-1] if seen else "", limit=2):
        seen += [user.name for user in found]
        if len(seen) == 4:
            await accounts.create(SYSTEM, f"{prefix}.00x")
            await accounts.create(SYSTEM, f"{prefix}.05x")
            await accounts.delete(SYSTEM, made[1].id)
    assert seen == [f"{prefix}.{word}" for word in ("00", "01", "02", "03", "04", "05", "05x", "06")]
