"""Refresh tokens and signing keys: what ends them, and what must not, on both databases."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace

import orjson
import pytest
from sqlalchemy import delete, select

from moorage.accounts.keys import PUBLISH_SECONDS, READ_SECONDS, Keys, rotate
from moorage.auth.random_secrets import REFRESH, hash_secret, new_secret
from moorage.auth.registry_tokens import InvalidToken
from moorage.core.access import ANONYMOUS, SYSTEM, Caller, Identity, Scope
from moorage.core.errors import Unauthorized
from moorage.metadata.database import Database
from moorage.metadata.tables_access import (
    access_tokens,
    refresh_tokens,
    signing_keys,
    users,
)
from tests.support.accounts import HeldClock
from tests.support.logins import PASSWORD, SETTINGS, World, token_of, worker

ROUNDS = 3
"""How often what must not happen is tried; the first time, connections are still to be made, one after the other."""

# Refresh tokens


async def refresh_token(world: World, user: str, password: str) -> str:
    proof = await world.login.prove(user, password)
    secret = await world.refresh.give(proof, Caller(proof.identity), "docker")
    assert secret is not None
    return secret


async def dead(world: World, secret: str) -> None:
    with pytest.raises(Unauthorized):
        await world.refresh.prove(secret, SYSTEM)


async def test_a_refresh_token_lives_as_long_as_it_is_used(world: World) -> None:
    row, name = await world.user(epoch=3)
    secret = await refresh_token(world, name, PASSWORD)
    for _ in range(4):
        world.clock.at += SETTINGS.refresh_seconds - 1
        proof = await world.refresh.prove(secret, SYSTEM)
        assert (proof.identity.name, proof.identity.id, proof.epoch) == (name, row, 3)
        assert proof.identity.credential.startswith("refresh:")
    world.clock.at += SETTINGS.refresh_seconds
    await dead(world, secret)
    kept = select(refresh_tokens.c.hash).where(refresh_tokens.c.user_id == row)
    assert await world.database.read(lambda c: c.execute(kept).scalars().all()) == [hash_secret(secret)]


@pytest.mark.parametrize("change", [{"epoch": 1}, {"disabled": True}])
async def test_a_refresh_token_ends_at_once_with_its_user(world: World, change: dict[str, object]) -> None:
    row, name = await world.user()
    secret = await refresh_token(world, name, PASSWORD)
    await world.refresh.prove(secret, SYSTEM)
    await world.change(users, row, **change)
    await dead(world, secret)
    await world.remove(users, row)
    await dead(world, secret)


async def test_a_refresh_token_ends_with_its_personal_access_token(world: World) -> None:
    row, name = await world.user()
    token, pat = await world.pat(row, scopes='["repository:a:pull"]', expires_at=world.clock.at + 100)
    secret = await refresh_token(world, name, pat)
    proof = await world.refresh.prove(secret, SYSTEM)
    assert proof.identity.scopes == (Scope("repository", "a", frozenset({"pull"})),)
    world.clock.at += 100
    await dead(world, secret)
    await world.change(access_tokens, token, expires_at=None)
    await world.refresh.prove(secret, SYSTEM)
    await world.remove(access_tokens, token)
    await dead(world, secret)


async def test_who_gets_no_refresh_token(world: World) -> None:
    robot, name = await world.robot()
    proof = await world.login.prove(name, await world.secret(robot))
    assert await world.refresh.give(proof, Caller(proof.identity), "") is None
    for credential in ("ldap:x", "oidc:rule", "token:1", "session", "refresh:1", "certificate", ""):
        other = replace(proof, identity=Identity("x", "user", 1, credential=credential))
        assert await world.refresh.give(other, SYSTEM, "") is None
    anonymous = replace(proof, identity=ANONYMOUS)
    assert await world.refresh.give(anonymous, SYSTEM, "") is None


async def test_made_up_refresh_tokens_are_dead(world: World) -> None:
    row, name = await world.user()
    _, pat = await world.pat(row)
    for secret in ("", "x", new_secret(REFRESH), pat, PASSWORD, hash_secret(await refresh_token(world, name, pat))):
        await dead(world, secret)


# Keys


async def test_workers_agree_on_one_key(world: World) -> None:
    one, _ = worker(world)
    other, _ = worker(world)
    await asyncio.gather(one.load(), other.load())
    assert one.signer().kid == other.signer().kid == world.keys.signer().kid
    assert (await one.identify(token_of(world, other))).name
    assert [key["kid"] for key in one.jwks()["keys"]] == [one.signer().kid]  # type: ignore[attr-defined]


def workers_of(world: World, *databases: Database) -> list[Keys]:
    """Eight workers that have read no key yet, over the processes' databases in turn."""
    return [worker(world, databases[number % len(databases)])[0] for number in range(8)]


class RunningClock(HeldClock):
    """No two moments are the same."""

    def now(self) -> float:
        self.at += 0.001
        return self.at


async def kept(world: World) -> list[tuple[str, float | None]]:
    """All keys that there are, and when each ends."""
    found = select(signing_keys.c.kid, signing_keys.c.ends_at)
    return [tuple(row) for row in await world.database.read(lambda connection: connection.execute(found).all())]


async def test_workers_that_start_at_once_make_one_key(world: World, elsewhere: Database) -> None:
    for _ in range(ROUNDS):
        await world.database.write(lambda connection: connection.execute(delete(signing_keys)))
        workers = workers_of(world, world.database, elsewhere)
        await asyncio.gather(*(keys.load() for keys in workers))
        assert len(await kept(world)) == 1
        assert len({keys.signer().kid for keys in workers}) == 1


async def test_workers_that_find_a_key_old_at_once_replace_it_once(world: World, elsewhere: Database) -> None:
    workers = workers_of(world, world.database, elsewhere)
    for _ in range(ROUNDS):
        await asyncio.gather(*(keys.load() for keys in workers))
        before = dict(await kept(world))
        world.clock.at += SETTINGS.rotation_seconds + PUBLISH_SECONDS
        databases = (world.database, elsewhere)
        due = [databases[number % 2].write(keys._rotate_if_due) for number, keys in enumerate(workers)]
        await asyncio.gather(*due)
        found = dict(await kept(world))
        assert len(found.keys() - before.keys()) == 1
        assert [*found.values()].count(None) == 1


async def test_of_rotations_by_hand_at_once_one_key_stays(world: World, elsewhere: Database) -> None:
    """Each makes a key, as it was told; the ones before it end, also the one of a moment ago."""
    databases = (world.database, elsewhere)
    clock = RunningClock(world.clock.at)
    for at_once in (False, True) * ROUNDS:
        by_hand = [rotate(databases[n % 2], SETTINGS, clock, SYSTEM, at_once=at_once) for n in range(8)]
        await asyncio.gather(*by_hand)
        assert [ends for _, ends in await kept(world)].count(None) == 1


async def test_a_rotation_fails_no_request(world: World) -> None:
    """Two workers that read the keys at different times, a token made every second and used until it ends."""
    one, _ = worker(world)
    other, _ = worker(world)
    await one.load()
    await other.load()
    old = one.signer().kid
    new = await rotate(world.database, SETTINGS, world.clock, SYSTEM)
    begun, made = world.clock.at, []
    signed: set[str] = set()
    while world.clock.at < begun + PUBLISH_SECONDS + 2 * SETTINGS.token_seconds + 200:
        elapsed = int(world.clock.at - begun)
        if elapsed % READ_SECONDS == 7:
            await one.load()
        if elapsed % READ_SECONDS == 18:
            await other.load()
        made.append((world.clock.at, token_of(world, one), token_of(world, other)))
        signed |= {one.signer().kid, other.signer().kid}
        made = [each for each in made if each[0] > world.clock.at - SETTINGS.token_seconds + 1]
        for _, by_one, by_other in (made[0], made[len(made) // 2], made[-1]):
            assert (await one.identify(by_other)).name
            assert (await other.identify(by_one)).name
        world.clock.at += 1
    assert signed == {old, new}
    assert one.signer().kid == new
    assert [key["kid"] for key in one.jwks()["keys"]] == [new]  # type: ignore[attr-defined]


async def test_an_emergency_ends_every_token(world: World) -> None:
    keys, _ = worker(world)
    await keys.load()
    token = token_of(world, keys)
    await rotate(world.database, SETTINGS, world.clock, SYSTEM, at_once=True)
    world.clock.at += 2
    other, _ = worker(world)
    await other.load()
    fresh = token_of(world, other)
    assert (await keys.identify(fresh)).name, "the unknown key is looked up at once"
    with pytest.raises(InvalidToken):
        await keys.identify(token)


async def test_unknown_keys_do_not_make_us_read_again_and_again(world: World) -> None:
    keys, _ = worker(world)
    await keys.load()
    world.clock.at += 5
    reads = 0
    real = world.database.read

    async def counted(query):  # type: ignore[no-untyped-def]
        nonlocal reads
        reads += 1
        return await real(query)

    keys._database = type("Counting", (), {"read": staticmethod(counted)})()
    for number in range(50):
        with pytest.raises(InvalidToken):
            await keys.identify(f"Bearer {number}.b.c")
    assert reads == 1


async def test_another_master_key_gets_a_key_of_its_own_and_both_verify(world: World) -> None:
    stranger, _ = worker(world, secret="another secret, long enough as well")
    await stranger.load()
    assert stranger.signer().kid != world.keys.signer().kid
    world.clock.at += 2
    assert (await world.keys.identify(token_of(world, stranger))).name
    assert (await stranger.identify(token_of(world, world.keys))).name


async def test_no_private_key_is_kept_in_the_clear(world: World) -> None:
    rows = await world.database.read(lambda c: list(c.execute(select(signing_keys.c.public, signing_keys.c.private))))
    for shown, sealed in rows:
        assert set(orjson.loads(shown)) == {"kty", "crv", "x", "y"}
        assert b"PRIVATE" not in base64.b64decode(sealed)
        assert len(base64.b64decode(sealed)) > 100


async def test_a_changed_algorithm_makes_a_new_key(world: World) -> None:
    keys, _ = worker(world, algorithm="EdDSA")
    await keys.load()
    assert keys._is_due(keys._rows)
    await world.database.write(keys._rotate_if_due)
    await world.database.write(keys._rotate_if_due)
    world.clock.at += PUBLISH_SECONDS
    await keys.load()
    assert keys.signer().algorithm == "EdDSA"
    assert len(keys.jwks()["keys"]) == 2  # type: ignore[arg-type]
