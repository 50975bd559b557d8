"""Who removes a project: those who could have made it, on both databases."""

from __future__ import annotations

import pytest

from moorage.accounts.grants import Grants
from moorage.accounts.projects import ProjectChange, Projects
from moorage.accounts.wanted_grants import WantedGrant
from moorage.core.access import Caller
from moorage.core.errors import Conflict, Denied, ObjectUnknown
from moorage.metadata.database import Database
from moorage.metadata.repositories import ensure_repository
from tests.contract.test_projects import user
from tests.support.accounts import ADMIN_CALLER, unique

NOW = 1_000_000.0


@pytest.fixture
async def alice(database: Database) -> Caller:
    return Caller(await user(database, unique("alice")))


async def made(making: Projects, name: str, visibility: str = "inherit") -> int:
    return (await making.create(ADMIN_CALLER, name, visibility=visibility)).id


async def test_its_own_admin_changes_a_project_and_does_not_remove_it(
    database: Database, making: Projects, granting: Grants, alice: Caller
) -> None:
    team = unique("team")
    row = await made(making, team)
    await granting.create(ADMIN_CALLER, row, WantedGrant("user", alice.name, role="admin"))
    await database.write(lambda connection: ensure_repository(connection, f"{team}/app", NOW))
    assert (await making.change(alice, row, ProjectChange(description="ours"))).description == "ours"
    for force in (False, True):
        with pytest.raises(Denied, match="lies in may remove it"):
            await making.delete(alice, row, force=force)
    assert (await making.get(alice, row)).description == "ours"
    with pytest.raises(Conflict):  # its repository is still there
        await making.delete(ADMIN_CALLER, row)
    await making.delete(ADMIN_CALLER, row, force=True)


async def test_the_admin_of_the_one_above_removes_it(making: Projects, granting: Grants, alice: Caller) -> None:
    team = unique("team")
    row, nested = await made(making, team), await made(making, f"{team}/web")
    await granting.create(ADMIN_CALLER, row, WantedGrant("user", alice.name, role="admin"))
    own = (await making.create(alice, f"{team}/own")).id
    for each in (nested, own):
        await making.delete(alice, each)
        with pytest.raises(ObjectUnknown):
            await making.get(ADMIN_CALLER, each)


async def test_whom_a_deny_keeps_from_it_does_not_remove_it(making: Projects, granting: Grants, alice: Caller) -> None:
    team = unique("team")
    row, nested = await made(making, team), await made(making, f"{team}/web")
    await granting.create(ADMIN_CALLER, row, WantedGrant("user", alice.name, role="admin"))
    await granting.create(ADMIN_CALLER, nested, WantedGrant("user", alice.name, role="admin", effect="deny"))
    with pytest.raises(ObjectUnknown):
        await making.delete(alice, nested)


async def test_removing_hands_out_nothing_that_one_is_denied(making: Projects, granting: Grants, alice: Caller) -> None:
    """What inherits from a private project would be public, were that gone."""
    team = unique("team")
    row = await made(making, team, "public")
    nested = await made(making, f"{team}/web", "private")
    secret = await made(making, f"{team}/web/secret")
    await granting.create(ADMIN_CALLER, row, WantedGrant("user", alice.name, role="admin"))
    denied = WantedGrant("user", alice.name, actions=("pull",), pattern=f"{team}/web/secret/**", effect="deny")
    deny = (await granting.create(ADMIN_CALLER, 1, denied)).grant.id
    with pytest.raises(Denied):
        await making.delete(alice, nested)
    assert not (await making.get(ADMIN_CALLER, secret)).public
    await granting.delete(ADMIN_CALLER, deny)
    await making.delete(alice, nested)
    assert (await making.get(ADMIN_CALLER, secret)).public


async def test_who_sees_nothing_of_it_learns_nothing(making: Projects, alice: Caller) -> None:
    row = await made(making, unique("team"), "private")
    outcomes = []
    for each in (row, 2**40):
        with pytest.raises(ObjectUnknown) as refused:
            await making.delete(alice, each)
        outcomes.append(str(refused.value))
    assert outcomes[0] == outcomes[1]
