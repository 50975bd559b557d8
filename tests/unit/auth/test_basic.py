"""Basic authentication: right and wrong, what is remembered and for how long, floods, and every kind of garbage."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.auth import basic, slow_checks
from moorage.auth.basic import BasicAuthenticator, password_executor, read_basic
from moorage.auth.htpasswd import HtpasswdFile
from moorage.auth.ports import Authenticator
from moorage.auth.settings import HtpasswdSettings
from moorage.core.access import ANONYMOUS, Identity
from moorage.core.errors import TooManyRequests, Unauthorized, Unavailable

ALICE = bcrypt.hashpw(b"right", bcrypt.gensalt(4))
LONG = "p" * 72
LONG_HASH = bcrypt.hashpw(LONG.encode(), bcrypt.gensalt(4))


def header(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def raw(data: bytes) -> str:
    return "Basic " + base64.b64encode(data).decode()


class Checks:
    """Counts bcrypt checks; while `gate` is closed they do not end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[tuple[bytes, bytes]] = []
        self.gate = threading.Event()
        self.gate.set()
        self._real = basic._check
        monkeypatch.setattr(basic, "_check", self)

    def __call__(self, password: bytes, hashed: bytes) -> bool:
        self.done.append((password, hashed))
        self.gate.wait(20)
        return self._real(password, hashed)


class Setup:
    def __init__(self, path: Path, executor: Executor) -> None:
        self.path = path
        self.at = 1000.0
        self.write(alice=ALICE, bob=bcrypt.hashpw(b"secret", bcrypt.gensalt(4)), long=LONG_HASH)
        settings = HtpasswdSettings("Registry Realm", path)
        self.htpasswd = HtpasswdFile(settings, lambda: self.at)
        self.auth = BasicAuthenticator(self.htpasswd, executor, lambda: self.at)

    def write(self, **users: bytes) -> None:
        self.path.write_bytes(b"".join(name.encode() + b":" + hashed + b"\n" for name, hashed in users.items()))

    async def refused(self, authorization: str) -> None:
        with pytest.raises(Unauthorized) as caught:
            await self.auth.identify(authorization)
        assert caught.value.challenge == 'Basic realm="Registry Realm"'
        assert self.auth.known(authorization) is None


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with password_executor(2) as executor:
        yield executor


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    return Checks(monkeypatch)


@pytest.fixture
def setup(tmp_path: Path, executor: ThreadPoolExecutor, checks: Checks) -> Iterator[Setup]:
    yield Setup(tmp_path / "htpasswd", executor)
    checks.gate.set()


def test_it_is_an_authenticator(setup: Setup) -> None:
    auth: Authenticator = setup.auth
    assert auth.challenge() == 'Basic realm="Registry Realm"'


async def test_the_right_password_is_let_in_and_remembered(setup: Setup, checks: Checks) -> None:
    right = header("alice", "right")
    assert setup.auth.known(right) is None
    assert await setup.auth.identify(right) == Identity("alice", "user", credential="password")
    assert setup.auth.known(right) == Identity("alice", "user", credential="password")
    assert await setup.auth.identify(right) == Identity("alice", "user", credential="password")
    assert len(checks.done) == 1


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
async def test_the_scheme_has_no_case(setup: Setup, scheme: str) -> None:
    assert (await setup.auth.identify(header("alice", "right").replace("Basic", scheme))).name == "alice"


async def test_no_credentials_are_anonymous(setup: Setup, checks: Checks) -> None:
    for nothing in (None, "Basic Og==", "basic  Og== "):
        assert setup.auth.known(nothing) is ANONYMOUS
        assert await setup.auth.identify(nothing) is ANONYMOUS
    assert checks.done == []


@pytest.mark.parametrize(
    ("user", "password"),
    [("alice", "wrong"), ("alice", ""), ("", "right"), ("nobody", "right"), ("ALICE", "right"), ("alice ", "right")],
)
async def test_wrong_credentials_are_refused(setup: Setup, user: str, password: str) -> None:
    await setup.refused(header(user, password))


GARBAGE = [
    "",
    "Basic",
    "Basic ",
    "Basic !!!!",
    "Basic YWxpY2U",
    "Basic Og",
    "Basic Og= =",
    "Basic Og==\n",
    "Basic\tOg==",
    "Basic Og==, Basic Og==",
    "Basic jürgen",
    "Basic " + "A" * 1_000_000,
    "Bearer abc",
    "Basicx Og==",
    "Digest username=alice",
    "\ud800",
    "Basic \ud800",
    raw(b"alice"),
    raw(b"alice\x00:right"),
    raw(b"alice:right\x00"),
    raw(b"alice:right\x00more"),
    raw(b"\xff\xfe:right"),
    raw(b"alice:\xff"),
    raw(b""),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda text: ascii(text[:30]))
async def test_garbage_is_refused_at_once(setup: Setup, checks: Checks, garbage: str) -> None:
    started = time.process_time()
    await setup.refused(garbage)
    assert time.process_time() - started < 0.05
    assert checks.done == []


@given(st.text(max_size=100) | st.binary(max_size=60).map(raw))
def test_any_header_is_read_or_not_but_never_fails(text: str) -> None:
    for authorization in (text, f"Basic {text}"):
        found = read_basic(authorization)
        assert found is None or ("\0" not in found[0] and b"\0" not in found[1])


def test_a_password_may_have_colons_and_letters_of_any_language() -> None:
    assert read_basic(header("jürgen", "a:b:ß")) == ("jürgen", "a:b:ß".encode())


async def test_bcrypts_72_bytes(setup: Setup) -> None:
    assert (await setup.auth.identify(header("long", LONG))).name == "long"
    assert (await setup.auth.identify(header("long", LONG + "whatever follows"))).name == "long"
    await setup.refused(header("long", LONG[:71]))


async def test_a_result_is_forgotten_after_its_time(setup: Setup, checks: Checks) -> None:
    right = header("alice", "right")
    await setup.auth.identify(right)
    setup.at += 599
    assert setup.auth.known(right) is not None
    setup.at += 2
    assert setup.auth.known(right) is None
    await setup.auth.identify(right)
    assert len(checks.done) == 2


async def test_a_wrong_password_is_remembered_for_seconds(setup: Setup, checks: Checks) -> None:
    for _ in range(3):
        await setup.refused(header("alice", "wrong"))
        await setup.refused(header("nobody", "wrong"))
    assert len(checks.done) == 2
    setup.at += 6
    await setup.refused(header("alice", "wrong"))
    assert len(checks.done) == 3


async def test_a_new_password_voids_what_was_remembered(setup: Setup) -> None:
    old, new = header("alice", "right"), header("alice", "new")
    await setup.auth.identify(old)
    await setup.refused(new)
    setup.write(alice=bcrypt.hashpw(b"new", bcrypt.gensalt(4)), bob=ALICE, long=LONG_HASH)
    setup.at += 1
    assert setup.auth.known(old) is None
    await setup.refused(old)
    assert (await setup.auth.identify(new)).name == "alice"


async def test_a_removed_user_is_out(setup: Setup) -> None:
    right = header("alice", "right")
    await setup.auth.identify(right)
    setup.write(bob=ALICE)
    for _ in range(2):
        setup.at += 1
        setup.auth.known(right)
    await setup.refused(right)


async def test_a_user_that_is_added_gets_in_although_it_was_refused_a_moment_ago(setup: Setup) -> None:
    await setup.refused(header("carol", "right"))
    setup.write(alice=ALICE, bob=ALICE, long=LONG_HASH, carol=ALICE)
    setup.at += 1
    assert (await setup.auth.identify(header("carol", "right"))).name == "carol"


async def test_an_unknown_user_costs_a_check_too(setup: Setup, checks: Checks) -> None:
    await setup.refused(header("nobody", "x"))
    await setup.refused(header("alice", "x"))
    (_, decoy), (_, real) = checks.done
    assert decoy[:7] == real[:7], "the same kind and cost"


async def test_equal_checks_at_the_same_time_are_one(setup: Setup, checks: Checks) -> None:
    right = header("alice", "right")
    found = await asyncio.gather(*(setup.auth.identify(right) for _ in range(200)))
    assert {who.name for who in found} == {"alice"}
    assert len(checks.done) == 1


async def test_a_client_that_leaves_takes_nobody_along(setup: Setup, checks: Checks) -> None:
    checks.gate.clear()
    right = header("alice", "right")
    leaving = asyncio.create_task(setup.auth.identify(right))
    staying = asyncio.create_task(setup.auth.identify(right))
    await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.sleep(0)
    checks.gate.set()
    assert (await staying).name == "alice"
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_the_result_is_kept_though_every_client_left(setup: Setup, checks: Checks) -> None:
    checks.gate.clear()
    right = header("alice", "right")
    task = asyncio.create_task(setup.auth.identify(right))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    checks.gate.set()
    async with asyncio.timeout(5):
        while setup.auth.known(right) is None:
            await asyncio.sleep(0.01)
    assert len(checks.done) == 1


async def results(setup: Setup, headers: list[str]) -> list[Any]:
    return await asyncio.gather(*(setup.auth.identify(it) for it in headers), return_exceptions=True)


async def test_one_user_can_fill_only_a_part_of_the_queue(setup: Setup, checks: Checks) -> None:
    checks.gate.clear()
    flood = asyncio.create_task(
        results(setup, [header("alice", f"wrong{n}") for n in range(50)] + [header(f"no{n}", "x") for n in range(50)])
    )
    await asyncio.sleep(0.01)
    honest = asyncio.create_task(setup.auth.identify(header("bob", "secret")))
    await asyncio.sleep(0.01)
    checks.gate.set()
    assert (await honest).name == "bob"
    answers = await flood
    refused = [it for it in answers if isinstance(it, TooManyRequests)]
    assert len(refused) == 84
    assert all(isinstance(it, Unauthorized | TooManyRequests) for it in answers)
    assert all(1 <= it.retry_after <= 60 for it in refused)
    assert len(checks.done) == 17


async def test_the_whole_queue_is_bounded_and_recovers(tmp_path: Path, executor: Executor, checks: Checks) -> None:
    setup = Setup(tmp_path / "many", executor)
    users = [f"user{number}" for number in range(60)]
    setup.write(**dict.fromkeys(users, ALICE))
    for _ in range(2):  # users of before are missing: that counts once the file rests
        setup.at += 1
        setup.htpasswd.hash_of("")
    checks.gate.clear()
    flood = asyncio.create_task(results(setup, [header(user, "wrong") for user in users]))
    await asyncio.sleep(0.05)
    checks.gate.set()
    answers = await flood
    assert sum(isinstance(it, TooManyRequests) for it in answers) == 28
    assert (await setup.auth.identify(header("user59", "right"))).name == "user59"
    assert not setup.auth._checks._running
    assert not setup.auth._checks._waiting


async def test_a_hundred_wrong_passwords_do_not_hold_the_loop(
    tmp_path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = Setup(tmp_path / "real", executor)
    setup.write(alice=bcrypt.hashpw(b"right", bcrypt.gensalt(10)), bob=ALICE, long=ALICE)
    setup.at += 1
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    ticker = asyncio.create_task(tick())
    answers = await results(setup, [header("alice", f"wrong{number}") for number in range(100)])
    ticker.cancel()
    checked = sum(not isinstance(each, TooManyRequests) for each in answers)
    assert checked >= 8
    assert turns > 2 * checked, "a loop that a check holds turns once for each"


async def test_memories_are_bounded_and_wrong_ones_cannot_push_out_right_ones(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_checks, "MOST_RESULTS", 20)
    right = header("alice", "right")
    await setup.auth.identify(right)
    for number in range(60):
        await setup.refused(header("nobody", f"x{number}"))
    assert len(setup.auth._checks._wrong) == 20
    assert setup.auth.known(right) is not None


async def test_the_least_recently_used_goes_first(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_checks, "MOST_RESULTS", 2)
    alice, bob, long = header("alice", "right"), header("bob", "secret"), header("long", LONG)
    await setup.auth.identify(alice)
    await setup.auth.identify(bob)
    setup.auth.known(alice)
    await setup.auth.identify(long)
    assert setup.auth.known(alice) is not None
    assert setup.auth.known(bob) is None


async def test_no_password_stays_in_memory(setup: Setup) -> None:
    await setup.auth.identify(header("alice", "right"))
    checks = setup.auth._checks
    kept = repr([vars(part) for part in (setup.auth, checks, checks._right, checks._wrong)])
    assert "right'" not in kept.replace("_right'", "")
    assert base64.b64encode(b"alice:right").decode() not in kept
    assert {len(digest) for digest in setup.auth._checks._right._found} == {32}


async def test_two_processes_have_different_keys(setup: Setup, executor: Executor) -> None:
    other = BasicAuthenticator(setup.htpasswd, executor)
    assert other._checks._digest("a", b"b", b"c") != setup.auth._checks._digest("a", b"b", b"c")


def test_parts_of_a_digest_cannot_be_shifted(setup: Setup) -> None:
    assert setup.auth._checks._digest("a", b"bc", b"d") != setup.auth._checks._digest("ab", b"c", b"d")
    assert setup.auth._checks._digest("a", b"b", b"cd") != setup.auth._checks._digest("a", b"bc", b"d")


async def test_a_salt_that_bcrypt_does_not_take_is_a_wrong_password(setup: Setup) -> None:
    setup.write(alice=b"$2b$04$" + b"9" * 53, bob=ALICE, long=ALICE)
    setup.at += 1
    await setup.refused(header("alice", "right"))


async def test_a_stopped_executor_is_unavailable(setup: Setup, executor: ThreadPoolExecutor) -> None:
    executor.shutdown()
    with pytest.raises(Unavailable):
        await setup.auth.identify(header("alice", "right"))
    assert not setup.auth._checks._running


async def test_a_check_that_fails_is_an_error_and_is_not_remembered(tmp_path: Path) -> None:
    class Broken(Executor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(MemoryError())
            return future

    setup = Setup(tmp_path / "htpasswd", Broken())
    with pytest.raises(MemoryError):
        await setup.auth.identify(header("alice", "right"))
    assert not setup.auth._checks._running
    assert not setup.auth._checks._waiting
    assert len(setup.auth._checks._wrong) == 0


@pytest.mark.parametrize(
    ("realm", "quoted"),
    [
        ("basic-realm", "basic-realm"),
        ('a"b\\c', 'a\\"b\\\\c'),
        ("a\r\nSet-Cookie: x", "a??Set-Cookie: x"),
        ("Registrì", "Registr?"),
        ("", ""),
    ],
)
def test_the_realm_is_quoted(tmp_path: Path, executor: Executor, realm: str, quoted: str) -> None:
    htpasswd = HtpasswdFile(HtpasswdSettings(realm, tmp_path / "none"))
    assert BasicAuthenticator(htpasswd, executor).challenge() == f'Basic realm="{quoted}"'


@pytest.mark.parametrize(("cpus", "threads"), [(1, 1), (2, 1), (3, 1), (8, 4)])
def test_half_the_processors_check_passwords(cpus: int, threads: int) -> None:
    with password_executor(cpus) as executor:
        assert executor._max_workers == threads
