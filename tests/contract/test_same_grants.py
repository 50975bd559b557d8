"""A grant is made once: races for it, changes into it, imports of it, and what older databases hold twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, select, text

from moorage.accounts.grants import Grants, ShownGrant
from moorage.accounts.policy_document import PolicyDocuments
from moorage.accounts.projects import Projects
from moorage.accounts.wanted_grants import GrantChange, WantedGrant
from moorage.core.errors import Conflict
from moorage.metadata.database import Database
from moorage.metadata.migrate import migrate
from moorage.metadata.tables_access import grants
from tests.contract.test_database_schema import ask
from tests.support.accounts import ADMIN_CALLER, HeldClock, unique

NOW = 1_000_000.0
READER = WantedGrant("authenticated", role="reader")
PULLING = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]


@pytest.fixture
def granting(database: Database) -> Grants:
    return Grants(database, HeldClock(NOW))


@pytest.fixture
async def project(database: Database) -> int:
    return (await Projects(database, HeldClock(NOW)).create(ADMIN_CALLER, unique("same"))).id


async def said(granting: Grants, project: int) -> list[ShownGrant]:
    return await granting.list(ADMIN_CALLER, project)


async def test_of_many_that_grant_the_same_at_once_one_does(
    granting: Grants, elsewhere: Database, project: int
) -> None:
    other = Grants(elsewhere, HeldClock(NOW))
    wanted = [WantedGrant("authenticated", role="reader", note=f"by {number}") for number in range(12)]
    asked = [(granting, other)[number % 2].create(ADMIN_CALLER, project, each) for number, each in enumerate(wanted)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    made = [each for each in outcomes if isinstance(each, ShownGrant)]
    refused = [each for each in outcomes if isinstance(each, Conflict)]
    assert (len(made), len(refused)) == (1, 11)
    assert {each.message.split()[1] for each in refused} == {str(made[0].grant.id)}
    assert [each.detail for each in refused] == [{"grant": made[0].grant.id}] * 11
    assert [each.grant.id for each in await said(granting, project)] == [made[0].grant.id]


async def test_what_differs_in_anything_that_counts_is_another_grant(
    database: Database, granting: Grants, project: int
) -> None:
    pattern = f"{(await Projects(database, HeldClock(NOW)).get(ADMIN_CALLER, project)).name}/*"
    several = (
        READER,
        WantedGrant("anonymous", role="reader"),
        WantedGrant("authenticated", role="writer"),
        WantedGrant("authenticated", actions=("pull",)),
        WantedGrant("authenticated", role="reader", pattern=pattern),
        WantedGrant("authenticated", role="reader", effect="deny"),
    )
    for wanted in several:
        await granting.create(ADMIN_CALLER, project, wanted)
    for wanted in several:
        with pytest.raises(Conflict, match="says the same already"):
            await granting.create(ADMIN_CALLER, project, wanted)
    assert len(await said(granting, project)) == len(several)


async def test_the_order_of_actions_makes_no_other_grant(granting: Grants, project: int) -> None:
    await granting.create(ADMIN_CALLER, project, WantedGrant("authenticated", actions=("pull", "push")))
    with pytest.raises(Conflict):
        await granting.create(ADMIN_CALLER, project, WantedGrant("authenticated", actions=("push", "pull")))


async def test_no_change_makes_a_grant_the_same_as_another(granting: Grants, elsewhere: Database, project: int) -> None:
    roles = ("reader", "writer", "maintainer")
    made = [await granting.create(ADMIN_CALLER, project, WantedGrant("authenticated", role=role)) for role in roles]
    with pytest.raises(Conflict, match=f"Grant {made[1].grant.id} "):
        await granting.change(ADMIN_CALLER, made[0].grant.id, GrantChange(role="writer"))
    other = Grants(elsewhere, HeldClock(NOW))
    both = (granting, other, granting)
    changes = [
        each.change(ADMIN_CALLER, one.grant.id, GrantChange(role="admin")) for each, one in zip(both, made, strict=True)
    ]
    outcomes = await asyncio.gather(*changes, return_exceptions=True)
    assert sorted(type(each).__name__ for each in outcomes) == ["Conflict", "Conflict", "ShownGrant"]
    assert len([each for each in await said(granting, project) if each.grant.role == "admin"]) == 1
    same = await granting.change(ADMIN_CALLER, made[0].grant.id, GrantChange(note="as before"))
    assert same.grant.note == "as before"


def document(*sids: str, principal: str = "*") -> dict[str, Any]:
    statements = [{"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": PULLING} for sid in sids]
    return {"Version": "2012-10-17", "Statement": statements}


async def test_statements_that_say_the_same_are_one_grant(granting: Grants, project: int) -> None:
    documents = PolicyDocuments(granting)
    found = await documents.apply(ADMIN_CALLER, project, document("first", "second"))
    assert (len(found.made), found.problems) == (1, ())
    assert [each.grant.note for each in await said(granting, project)] == ["policy first"]
    again = await documents.apply(ADMIN_CALLER, project, document("first", "second"))
    assert (again.made, again.kept, again.removed) == ((), found.made, ())


async def test_what_was_granted_by_hand_is_not_said_again_and_stays(granting: Grants, project: int) -> None:
    documents = PolicyDocuments(granting)
    wanted = WantedGrant("authenticated", actions=("pull",), note="by hand")
    by_hand = (await granting.create(ADMIN_CALLER, project, wanted)).grant.id
    found = await documents.apply(ADMIN_CALLER, project, document("s"))
    assert (found.made, found.kept, found.removed, found.problems) == ((), (by_hand,), (), ())
    nothing = await documents.apply(ADMIN_CALLER, project, {"Statement": []})
    assert nothing.removed == ()
    assert [each.grant.id for each in await said(granting, project)] == [by_hand]


async def test_a_grant_that_ends_does_not_do_for_a_document(granting: Grants, project: int) -> None:
    documents = PolicyDocuments(granting)
    wanted = WantedGrant("authenticated", actions=("pull",), expires_at=NOW + 60)
    by_hand = (await granting.create(ADMIN_CALLER, project, wanted)).grant.id
    found = await documents.apply(ADMIN_CALLER, project, document("s"))
    assert (found.made, [each.statement for each in found.problems]) == ((), ["s"])
    assert f"Grant {by_hand} says the same, but has an end" in found.problems[0].message
    await granting.change(ADMIN_CALLER, by_hand, GrantChange(expires_at=None))
    assert (await documents.apply(ADMIN_CALLER, project, document("s"))).kept == (by_hand,)


async def test_an_imported_grant_that_was_given_an_end_is_made_anew(granting: Grants, project: int) -> None:
    documents = PolicyDocuments(granting)
    (row,) = (await documents.apply(ADMIN_CALLER, project, document("s"))).made
    await granting.change(ADMIN_CALLER, row, GrantChange(expires_at=NOW + 60))
    found = await documents.apply(ADMIN_CALLER, project, document("s"))
    assert (len(found.made), found.removed) == (1, (row,))
    assert [each.grant.expires_at for each in await said(granting, project)] == [None]


async def test_the_same_document_twice_at_once(granting: Grants, elsewhere: Database, project: int) -> None:
    both = [PolicyDocuments(each) for each in (granting, Grants(elsewhere, HeldClock(NOW)))]
    asked = [both[number % 2].apply(ADMIN_CALLER, project, document("s")) for number in range(8)]
    outcomes = await asyncio.gather(*asked)
    (one,) = await said(granting, project)
    assert {(*each.made, *each.kept) for each in outcomes} == {(one.grant.id,)}
    assert sum(len(each.made) for each in outcomes) == 1


@pytest.mark.parametrize("turn", range(5))
async def test_of_documents_that_come_at_once_the_last_one_counts(
    granting: Grants, elsewhere: Database, project: int, turn: int
) -> None:
    """Each takes the place of the one before, so that the grants of two are never there together."""
    both = [PolicyDocuments(each) for each in (granting, Grants(elsewhere, HeldClock(NOW)))]
    await both[turn % 2].apply(ADMIN_CALLER, project, document("before"))
    asked = [both[number % 2].apply(ADMIN_CALLER, project, document(f"s{number}")) for number in range(8)]
    outcomes = await asyncio.gather(*asked)
    (one,) = await said(granting, project)
    made = [row for each in outcomes for row in each.made]
    removed = [row for each in outcomes for row in each.removed]
    assert len(made) == 8
    assert one.grant.id in made
    assert len(set(removed)) == len(removed) == 8  # each was there once, and went once


def test_what_was_said_twice_is_merged(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest of all ends counts, and what somebody granted by hand is what stays."""
    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0005"))
    migrate(empty_url)
    monkeypatch.undo()
    columns = "id, project_id, pattern, principal_kind, principal_id, effect, role, actions, note, created_at, "
    for row in (
        "(1, 1, '', 'user', 7, 'allow', 'reader', '', 'policy a', 1, '', 50, 1)",
        "(2, 1, '', 'user', 7, 'allow', 'reader', '', 'by hand', 1, '', 60, 1)",
        "(3, 1, '', 'user', 7, 'allow', 'reader', '', 'later', 1, '', 70, 1)",
        "(4, 1, '', 'user', 8, 'allow', 'reader', '', 'policy a', 1, '', 70, 1)",
        "(5, 1, '', 'user', 8, 'allow', 'reader', '', 'policy b', 1, '', NULL, 1)",
        "(6, 1, 'x', 'user', 8, 'allow', 'reader', '', '', 1, '', 5, 4)",
        "(7, 1, '', 'user', 8, 'allow', '', 'pull', '', 1, '', NULL, 1)",
        "(8, 1, '', 'user', 9, 'deny', 'reader', '', 'whole', 1, '', NULL, 1)",
        "(9, 1, '', 'user', 9, 'deny', 'reader', '', 'ends', 1, '', 5, 1)",
    ):
        sent = f"INSERT INTO grants ({columns} created_by, expires_at, version) VALUES {row}"
        ask(empty_url, lambda connection, sent=sent: connection.execute(text(sent)))  # type: ignore[misc]
    migrate(empty_url)

    def left(connection: Connection) -> list[tuple[Any, ...]]:
        statement = select(grants.c.id, grants.c.note, grants.c.expires_at, grants.c.version).order_by(grants.c.id)
        return [tuple(row) for row in connection.execute(statement)]

    assert ask(empty_url, left) == [
        (2, "by hand", 70, 2),
        (4, "policy a", None, 2),
        (6, "", 5, 4),
        (7, "", None, 1),
        (8, "whole", None, 1),
    ]
