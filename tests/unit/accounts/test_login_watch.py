"""What goes with a login in the modes without accounts of our own: counted as anywhere, and in the audit log."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bcrypt
import pytest

from moorage.accounts.attempts import LoginAttempts
from moorage.accounts.counters import LocalCounters
from moorage.accounts.login_watch import LOGIN_SECONDS, WatchedLogins
from moorage.accounts.settings import LoginLimits, Rate
from moorage.auth.basic import BasicAuthenticator
from moorage.auth.external_tokens import ExternalTokens
from moorage.auth.htpasswd import HtpasswdFile
from moorage.auth.settings import HtpasswdSettings
from moorage.core.audit import AuditEntry
from moorage.core.clock import SystemClock
from moorage.core.errors import TooManyRequests, Unauthorized
from moorage.testing.fakes import HeldClock
from tests.support.token_issuer import Issuer, rights

HERE, THERE = "192.0.2.1", "192.0.2.2"
LIMITS = LoginLimits(pair=Rate(3, 60), address=Rate(50, 60), account=Rate(200, 600))


class Notes:
    """What a journal is told."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    def note(self, entry: AuditEntry, *, gather: bool = False) -> None:
        self.entries.append(entry)

    def used(self, kind: str, row: int) -> None:
        raise AssertionError("there is no row")

    @property
    def told(self) -> list[tuple[str, str, object]]:
        return [(each.outcome, each.caller.name, each.detail.get("reason")) for each in self.entries]


class Counted(LocalCounters):
    """Counters in memory that say how often they were asked."""

    asked = 0

    async def get(self, key: str) -> int:
        self.asked += 1
        return await super().get(key)


class Setup:
    def __init__(self, file: Path, executor: ThreadPoolExecutor) -> None:
        self.clock = HeldClock()
        self.notes = Notes()
        self.counters = Counted(None, self.clock)
        attempts = LoginAttempts(self.counters, LIMITS, b"secret", self.clock)
        watch = WatchedLogins(self.notes, self.clock, attempts, patience=1.0)  # type: ignore[arg-type]
        file.write_bytes(b"alice:" + bcrypt.hashpw(b"right", bcrypt.gensalt(4)) + b"\n")
        self.auth = BasicAuthenticator(
            HtpasswdFile(HtpasswdSettings("realm", file)), executor, self.clock.now, watch=watch
        )

    async def ask(self, user: str, password: str, address: str = HERE) -> str:
        header = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        assert self.auth.known(header) is None
        try:
            return (await self.auth.identify(header, address, "r-1")).name
        except (Unauthorized, TooManyRequests) as error:
            return error.code


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    with ThreadPoolExecutor(1) as executor:
        yield Setup(tmp_path / "htpasswd", executor)


async def test_logins_by_htpasswd_are_noted_once_for_each_address(setup: Setup) -> None:
    for address in (HERE, HERE, THERE, HERE):
        assert await setup.ask("alice", "right", address) == "alice"
    assert setup.notes.told == [("ok", "alice", None)] * 2
    setup.clock.advance(LOGIN_SECONDS)
    await setup.ask("alice", "right")
    assert len(setup.notes.entries) == 3
    entry = setup.notes.entries[0]
    assert (entry.action, entry.caller.address, entry.caller.request_id) == ("login", HERE, "r-1")
    assert entry.caller.identity.credential == "password"


async def test_wrong_passwords_of_htpasswd_are_noted_and_counted(setup: Setup) -> None:
    assert await setup.ask("alice", "right") == "alice"
    for number in range(3):
        assert await setup.ask("alice", f"guess {number}") == "UNAUTHORIZED"
    # A password that is known to be right must not tell itself to whoever guesses on.
    assert await setup.ask("alice", "right") == "TOOMANYREQUESTS"
    assert await setup.ask("alice", "guess 3") == "TOOMANYREQUESTS"
    assert await setup.ask("alice", "right", THERE) == "alice"
    wrong, blocked = ("refused", "alice", "credentials"), ("refused", "alice", "too many failures")
    ok = ("ok", "alice", None)
    assert setup.notes.told == [ok, wrong, wrong, wrong, blocked, blocked, ok]
    setup.clock.advance(60)
    assert await setup.ask("alice", "right") == "alice"


async def test_who_fails_elsewhere_is_found_out_within_the_patience(setup: Setup) -> None:
    assert await setup.ask("alice", "right") == "alice"
    other = LoginAttempts(setup.counters, LIMITS, b"secret", setup.clock)  # another worker's
    for number in range(3):
        await other.failed("alice", HERE, f"guess {number}")
    asked = setup.counters.asked
    assert await setup.ask("alice", "right") == "alice"
    assert setup.counters.asked == asked  # nothing is looked up for each request
    setup.clock.advance(1)
    assert await setup.ask("alice", "right") == "TOOMANYREQUESTS"


async def test_tokens_of_another_server_are_noted(tmp_path: Path) -> None:
    issuer, notes = Issuer(tmp_path), Notes()
    watch = WatchedLogins(notes, SystemClock())  # type: ignore[arg-type]
    door = ExternalTokens(issuer.settings(), SystemClock(), watch=watch)
    for _ in range(3):
        await door.identify(f"Bearer {issuer.token(issuer.claims(rights('team/app', 'pull')))}", HERE)
    with pytest.raises(Unauthorized):
        await door.identify("Bearer x.y.z", HERE)
    with pytest.raises(Unauthorized):
        await door.identify(f"Bearer {issuer.token({**issuer.claims(), 'exp': 1})}", HERE)
    assert notes.told == [
        ("ok", "alice", None),
        ("refused", "", "token: not base64url"),
        ("refused", "", "token: it has expired"),
    ]
