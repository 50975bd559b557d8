"""Who gets in, with what, and what ends it, on both databases."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import insert, select

from moorage.accounts.certificate_login import CertificateLogin
from moorage.accounts.issue import Issue
from moorage.accounts.login import Challenges, Login
from moorage.accounts.login_watch import WatchedLogins
from moorage.auth.certificate_settings import CertificateRule
from moorage.auth.certificates import CertificateRefused
from moorage.auth.passwords import hash_password
from moorage.auth.ports import Arrival
from moorage.auth.random_secrets import PAT, REFRESH, ROBOT, SESSION, new_secret
from moorage.auth.registry_tokens import Claims, write_token
from moorage.core.access import ANONYMOUS, SYSTEM, Caller, Identity, Scope
from moorage.core.errors import Denied, TooManyRequests, Unauthorized, Unavailable
from moorage.metadata.tables_access import (
    access_tokens,
    group_members,
    groups,
    robots,
    users,
)
from tests.support.logins import PASSWORD, SETTINGS, World, basic, token_of


async def test_nothing_is_anonymous(world: World) -> None:
    for nothing in (None, "Basic Og=="):
        assert world.login.known(nothing) is ANONYMOUS
        assert await world.login.identify(nothing) is ANONYMOUS
    assert await world.login.check("", "") is ANONYMOUS


@pytest.mark.parametrize(
    "garbage", ["", "Basic", "Basic !", "Bearer", "Bearer x", "Digest x", "Basic YQ==", "bearer \ud800"]
)
async def test_garbage_is_unauthorized(world: World, garbage: str) -> None:
    assert world.login.known(garbage) is None
    with pytest.raises(Unauthorized):
        await world.login.identify(garbage)


async def test_a_password(world: World) -> None:
    row, name = await world.user(admin=True)
    expected = Identity(name, "user", row, admin=True, credential="password")
    assert await world.login.identify(basic(name, PASSWORD)) == expected
    assert await world.login.check(name.upper(), PASSWORD) == expected
    await world.refused(name, PASSWORD + "x")
    await world.refused(name, "")
    await world.refused("", PASSWORD)
    await world.refused("nobody", PASSWORD)
    await world.refused(f"{name}\0", PASSWORD)
    await world.change(users, row, disabled=True)
    await world.refused(name, PASSWORD)
    await world.change(users, row, disabled=False, password=hash_password("another one"))
    await world.refused(name, PASSWORD)
    assert (await world.login.check(name, "another one")).name == name
    await world.remove(users, row)
    await world.refused(name, "another one")


async def test_a_user_without_a_password_of_ours_has_none(world: World) -> None:
    _, name = await world.user(password=None)
    await world.refused(name, PASSWORD)
    await world.refused(name, "None")


async def test_a_personal_access_token(world: World) -> None:
    row, name = await world.user()
    token, secret = await world.pat(row, scopes='["repository:team/app:pull"]')
    scopes = (Scope("repository", "team/app", frozenset({"pull"})),)
    expected = Identity(name, "user", row, credential=f"pat:{token}", scopes=scopes, pat=token)
    for user in (name, name.upper(), "<token>", "oauth2accesstoken"):
        assert await world.login.identify(basic(user, secret)) == expected
    assert await world.login.identify(f"Bearer {secret}") == expected
    await world.refused("somebody", secret)
    await world.refused("", secret)
    await world.refused(name, secret[:-1] + ("A" if secret[-1] != "A" else "B"))


async def test_what_ends_a_personal_access_token(world: World) -> None:
    row, name = await world.user()
    token, secret = await world.pat(row, expires_at=world.clock.at + 10)
    assert (await world.login.check(name, secret)).scopes is None
    world.clock.at += 10
    await world.refused(name, secret)
    await world.change(access_tokens, token, expires_at=None)
    assert (await world.login.check(name, secret)).name
    await world.change(users, row, disabled=True)
    await world.refused(name, secret)
    with pytest.raises(Unauthorized) as caught:
        await world.login.identify(f"Bearer {secret}")
    assert caught.value.error == "invalid_token"
    await world.change(users, row, disabled=False)
    await world.remove(access_tokens, token)
    await world.refused(name, secret)


async def test_a_robot(world: World) -> None:
    row, name = await world.robot()
    old, new = await world.secret(row, expires_at=world.clock.at + 60), await world.secret(row)
    for secret in (old, new):
        who = await world.login.identify(basic(name, secret))
        assert (who.name, who.kind, who.id, who.admin, who.scopes) == (name, "robot", row, False, None)
    await world.refused(f"{name}x", new)
    await world.refused("<token>", new)
    world.clock.at += 60
    await world.refused(name, old)
    assert (await world.login.check(name, new)).name
    await world.change(robots, row, expires_at=world.clock.at)
    await world.refused(name, new)
    await world.change(robots, row, expires_at=None, disabled=True)
    await world.refused(name, new)


@pytest.mark.parametrize("kind", [REFRESH, SESSION])
async def test_other_secrets_are_no_passwords(world: World, kind: str) -> None:
    _, name = await world.user()
    await world.refused(name, new_secret(kind))


async def test_a_token_of_ours(world: World) -> None:
    now = int(world.clock.at)
    claims = Claims("moorage", "moorage", "alice", now + 300, now, now, "7", [], "user", 5)
    header = f"Bearer {write_token(world.keys.signer(), claims)}"
    assert world.login.known(header) is None
    who = await world.login.identify(header)
    assert (who.name, who.credential, who.access) == ("alice", "token:7", {})
    assert world.login.known(header) is who


async def test_logins_and_refusals_are_in_the_audit_log_once(world: World) -> None:
    row, name = await world.user()
    for _ in range(3):
        await world.login.check(name, PASSWORD, "10.0.0.1", "r1")
    await world.login.check(name, PASSWORD, "10.0.0.2", "r2")
    await world.refused(name, "wrong")
    await world.refused(name, "wrong")
    ok, refused = ("login", "ok", "password"), ("login", "refused", "")
    assert await world.entries(name) == [ok, ok, refused]
    world.clock.at += 600
    await world.login.check(name, PASSWORD, "10.0.0.1", "r1")
    assert (await world.entries(name))[3:] == [ok, refused]  # the second refusal, once its minute was over
    last = select(users.c.last_login_at).where(users.c.id == row)
    assert await world.database.read(lambda c: c.execute(last).scalar()) == world.clock.at


async def test_attempts_are_told(world: World) -> None:
    _, name = await world.user()
    await world.login.check(name.upper(), PASSWORD, "10.0.0.1")
    with pytest.raises(Unauthorized):
        await world.login.check(name, "wrong", "10.0.0.1")
    expected = [("check", name, "10.0.0.1"), ("succeeded", name, "10.0.0.1")]
    assert world.attempts.seen == [*expected, ("check", name, "10.0.0.1"), ("failed", name, "10.0.0.1")]


async def test_a_right_password_forgets_failures_whenever_there_are_some(world: World) -> None:
    _, name = await world.user()
    await world.login.check(name, PASSWORD, "10.0.0.1")
    world.attempts.seen.clear()
    await world.login.check(name, PASSWORD, "10.0.0.1")
    assert world.attempts.seen == [("check", name, "10.0.0.1")]
    world.attempts.failures = True
    await world.login.check(name, PASSWORD, "10.0.0.1")
    assert world.attempts.seen[1:] == [("check", name, "10.0.0.1"), ("succeeded", name, "10.0.0.1")]


async def test_failed_passwords_do_not_keep_out_what_nobody_guesses(world: World) -> None:
    user, name = await world.user()
    _, secret = await world.pat(user)
    robot, robot_name = await world.robot()
    robot_secret = await world.secret(robot)
    world.attempts.blocked = True
    assert (await world.login.check(name, secret, "10.0.0.1")).name == name
    assert (await world.login.check(robot_name, robot_secret, "10.0.0.1")).name == robot_name
    assert (await world.login.identify(f"Bearer {secret}", "10.0.0.1")).name == name
    assert world.attempts.seen == []
    for wrong in (basic(name, new_secret(PAT)), f"Bearer {new_secret(ROBOT)}"):
        with pytest.raises(TooManyRequests):  # wrong ones say no more than wrong passwords do
            await world.login.identify(wrong, "10.0.0.1")
    with pytest.raises(TooManyRequests):
        await world.login.check(name, PASSWORD, "10.0.0.1")
    world.attempts.blocked = False
    world.attempts.seen.clear()
    with pytest.raises(Unauthorized):
        await world.login.identify(f"Bearer {new_secret(ROBOT)}", "10.0.0.1")
    assert world.attempts.seen == [("check", "", "10.0.0.1"), ("failed", "", "10.0.0.1")]


class Jobs:
    """Takes one token for a robot's."""

    def recognises(self, password: str) -> bool:
        return password.count(".") == 2

    async def identify(
        self,
        token: str,
        user: str = "",
        address: str = "",
        request_id: str = "",
        scopes: Sequence[Scope] | None = None,
    ) -> Identity:
        if token != "right.job.token":
            raise Unauthorized
        return Identity("+ci", "robot", 1, credential="oidc:rule")


async def test_failed_passwords_do_not_keep_out_a_job_either(world: World) -> None:
    watch = WatchedLogins(world.journal, world.clock, world.attempts)
    chain = (world.database, world.clock, world.passwords, world.keys, world.reader, world.journal)
    login = Login(*chain, challenges=Challenges(), jobs=Jobs(), watch=watch)
    world.attempts.blocked = True
    assert (await login.check("oidc", "right.job.token", "10.0.0.1")).name == "+ci"
    with pytest.raises(TooManyRequests):
        await login.check("oidc", "wrong.job.token", "10.0.0.1")
    world.attempts.blocked = False
    with pytest.raises(Unauthorized):
        await login.check("oidc", "wrong.job.token", "10.0.0.1")
    assert world.attempts.seen[-1] == ("failed", "", "10.0.0.1")


async def test_every_refusal_is_in_the_audit_log(world: World) -> None:
    _, name = await world.user()
    address = f"{name}.test"
    world.attempts.blocked = True
    with pytest.raises(TooManyRequests):
        await world.login.check(name, PASSWORD, address)
    world.attempts.blocked = False
    world.directory.silent = True
    with pytest.raises(Unavailable):
        await world.chain(world.directory).check("somebody else", PASSWORD, address)
    bearer = token_of(world, world.keys)
    for header in ("Basic !", f"{bearer[:-4]}AAAA", f"Bearer {new_secret(PAT)}", "Bearer x.y.z"):
        with pytest.raises(Unauthorized):
            await world.login.identify(header, address)
    with pytest.raises(Unauthorized):
        await world.login.enter(name, new_secret(PAT), address)
    for _ in range(100):
        with pytest.raises(Unauthorized):
            await world.login.identify("Bearer x.y.z", address)
    assert await world.noted(address) == [
        ("refused", name, {"reason": "too many failures"}),
        ("failed", "somebody else", {"reason": Unavailable().message}),
        ("refused", "", {"reason": "unreadable"}),
        ("refused", "", {"reason": "token: wrong signature"}),
        ("refused", "", {"reason": "credentials"}),
        ("refused", "", {"reason": "token: unknown key"}),
        ("refused", name, {"reason": "no password"}),
    ]
    begun = world.clock.at
    world.clock.at += 60
    assert (await world.noted(address))[7:] == [
        ("refused", "", {"reason": "token: unknown key", "count": 100, "since": begun})
    ]


async def test_every_session_is_a_login_of_its_own(world: World) -> None:
    _, name = await world.user()
    for _ in range(5):
        await world.login.enter(name, PASSWORD, "10.0.0.1")
    assert await world.entries(name) == [("login", "ok", "password")] * 5


async def test_tokens_for_nobody_are_one_entry_a_minute(world: World) -> None:
    class Nothing:
        async def granted(self, identity: Identity, scopes: list[Scope]) -> list[Scope]:
            return []

    issue = Issue(Nothing(), world.keys, SETTINGS, world.journal, world.clock)  # type: ignore[arg-type]
    address = f"{uuid.uuid4().hex}.test"
    for identity in (ANONYMOUS, Identity("alice")):
        for _ in range(3):
            await issue.token(Caller(identity, address=address), [])
    assert [row[1] for row in await world.noted(address, "token.issue")] == ["", "alice", "alice", "alice"]
    world.clock.at += 60
    assert (await world.noted(address, "token.issue"))[-1][2]["count"] == 2


class Certificates:
    """Takes every certificate for that of one user, or none."""

    def __init__(self, user: str) -> None:
        self.user = user

    def rule_of(self, header: str, chain: str) -> CertificateRule:
        if not header:
            raise CertificateRefused("expired")
        return CertificateRule("dns", "host", user=self.user)


async def test_a_certificate_is_a_login_too(world: World) -> None:
    row, name = await world.user()
    watch = WatchedLogins(world.journal, world.clock)
    owners = CertificateLogin(world.database, world.clock, Certificates(name), watch)  # type: ignore[arg-type]
    address = f"{name}.test"
    for _ in range(5):
        found = await owners.identify("one", "", address, "r")
        assert found is not None
        assert found.id == row
    with pytest.raises(Unauthorized):
        await owners.identify("", "", address, "r")
    await world.change(users, row, disabled=True)
    with pytest.raises(Unauthorized):
        await owners.identify("one", "", address, "r")
    assert await world.noted(address) == [
        ("ok", name, {}),
        ("refused", "", {"reason": "expired"}),
        ("refused", "", {"reason": f"no such account: {name}"}),
    ]


async def test_the_last_use_is_written_once_a_minute(world: World) -> None:
    row, name = await world.user()
    token, secret = await world.pat(row)

    async def used() -> object:
        await world.journal.flush()
        column = select(access_tokens.c.last_used_at).where(access_tokens.c.id == token)
        return await world.database.read(lambda c: c.execute(column).scalar())

    begun = world.clock.at
    await world.login.check(name, secret)
    assert await used() == begun
    world.clock.at += 59
    await world.login.check(name, secret)
    assert await used() == begun
    world.clock.at += 1
    await world.login.check(name, secret)
    assert await used() == begun + 60


# Directories


async def test_a_directory_is_asked_for_users_who_are_not_ours(world: World) -> None:
    _, local = await world.user()
    login, name = world.chain(world.directory), f"d{uuid.uuid4().hex[:12]}"
    arrival = Arrival(world.directory.name, uuid.uuid4().hex, name, "d@example.com", (f"g-{name}",))
    world.directory.people = {name: ("pw", arrival), local: ("pw", replace(arrival, subject="x", name=local))}
    who = await login.check(name, "pw")
    assert (who.name, who.kind, who.admin, who.credential) == (name, "user", False, world.directory.name)
    assert await login.check(name, "pw") == who
    assert world.directory.asked == 1, "a yes is remembered for a minute"
    for user, password in ((name, "wrong"), (local, "pw")):
        with pytest.raises(Unauthorized):
            await login.check(user, password)
    assert (await login.check(local, PASSWORD)).name
    assert ("user.create", "ok", world.directory.name) in await world.entries(name)


async def test_a_remembered_yes_ends_with_epoch_and_disabling(world: World) -> None:
    login, name = world.chain(world.directory), f"d{uuid.uuid4().hex[:12]}"
    world.directory.people = {name: ("pw", Arrival(world.directory.name, name, name))}
    who = await login.check(name, "pw")
    await world.change(users, who.id, epoch=1)
    await login.check(name, "pw")
    assert world.directory.asked == 2
    await world.change(users, who.id, disabled=True)
    with pytest.raises(Unauthorized):
        await login.check(name, "pw")


async def test_a_directory_that_is_down_leaves_local_users_alone(world: World) -> None:
    _, local = await world.user()
    world.directory.silent = True
    login = world.chain(world.directory)
    assert (await login.check(local, PASSWORD)).name
    with pytest.raises(Unauthorized):
        await login.check(local, "wrong")
    with pytest.raises(Unavailable):
        await login.check("somebody", "pw")


async def test_a_name_of_somebody_else_is_refused(world: World) -> None:
    _, local = await world.user(password=None, source="oidc:x", subject=uuid.uuid4().hex)
    world.directory.people = {local: ("pw", Arrival(world.directory.name, "s", local))}
    with pytest.raises(Denied, match="belongs to another account"):
        await world.chain(world.directory).check(local, "pw")


async def memberships(world: World, user_id: int) -> dict[str, str]:
    found = (
        select(groups.c.name, group_members.c.source)
        .join(group_members, group_members.c.group_id == groups.c.id)
        .where(group_members.c.user_id == user_id)
    )
    return await world.database.read(lambda c: {str(row[0]): str(row[1]) for row in c.execute(found)})


async def test_what_a_directory_says_of_groups_replaces_what_it_had_said(world: World) -> None:
    from moorage.accounts.arrivals import arrive

    mark, source = uuid.uuid4().hex[:8], world.directory.name
    mine = await world.add(
        groups, {"name": f"{mark}-local", "description": "", "source": "local", "created_at": 1.0, "version": 1}
    )
    arrival = Arrival(source, mark, f"p{mark}", groups=(f"{mark}-a", f"{mark}-b", f"{mark}-local", "", "b\nad"))
    first = await arrive(world.database, world.clock, arrival, SYSTEM)
    assert first.created
    assert await memberships(world, first.id) == {f"{mark}-a": source, f"{mark}-b": source}
    await world.database.write(
        lambda c: c.execute(insert(group_members).values(group_id=mine, user_id=first.id, source="local"))
    )
    fewer = replace(arrival, groups=(f"{mark}-b",), name="another", admin=True, email="p@example.com")
    again = await arrive(world.database, world.clock, fewer, SYSTEM)
    assert (again.id, again.name, again.admin, again.created) == (first.id, f"p{mark}", True, False)
    assert await memberships(world, first.id) == {f"{mark}-b": source, f"{mark}-local": "local"}
    silent = await arrive(world.database, world.clock, replace(fewer, groups=None, admin=None), SYSTEM)
    assert silent.admin
    assert len(await memberships(world, first.id)) == 2
    assert [it[0] for it in await world.entries(f"p{mark}")][:4] == [
        "user.create",
        "group.create",
        "group.create",
        "user.groups",
    ]


async def test_who_was_never_here_may_be_kept_out(world: World) -> None:
    from moorage.accounts.arrivals import arrive

    with pytest.raises(Denied, match="no account"):
        await arrive(world.database, world.clock, Arrival("oidc:x", "new", "new"), SYSTEM, create=False)
    with pytest.raises(Denied, match="cannot be used here"):
        await arrive(world.database, world.clock, Arrival("oidc:x", "bad", "not a name"), SYSTEM)


async def test_two_first_logins_at_the_same_time_are_one_user(world: World) -> None:
    from moorage.accounts.arrivals import arrive

    mark = uuid.uuid4().hex[:12]
    arrival = Arrival("oidc:x", mark, f"t{mark}", groups=(f"{mark}-a",))
    found = await asyncio.gather(*(arrive(world.database, world.clock, arrival, SYSTEM) for _ in range(5)))
    assert len({each.id for each in found}) == 1
