"""People of a real directory: OpenLDAP, over plain, StartTLS and TLS connections, alive and dead."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from moorage.auth.ldap import LdapDirectory
from moorage.auth.ldap_people import escape, is_plain, subject_of
from moorage.auth.ldap_servers import Entry
from moorage.auth.ldap_settings import LdapGroups, LdapSettings
from moorage.core.errors import Unavailable
from tests.support.certificates import Authority
from tests.support.slapd import GROUPS, PEOPLE, SERVICE, SERVICE_PASSWORD, Slapd

pytestmark = pytest.mark.needs("slapd")

SEARCHED = LdapGroups("search", GROUPS)


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    server = Slapd(tmp_path_factory.mktemp("slapd") / "one").prepare()
    yield server
    server.stop()


@pytest.fixture
def settings(slapd: Slapd) -> LdapSettings:
    return LdapSettings(
        "corp",
        (slapd.url,),
        PEOPLE,
        bind_dn=SERVICE,
        bind_password=SERVICE_PASSWORD,
        groups=SEARCHED,
        connect_seconds=1.0,
        seconds=4.0,
    )


@asynccontextmanager
async def directory(settings: LdapSettings) -> AsyncIterator[LdapDirectory]:
    one = LdapDirectory(settings)
    try:
        yield one
    finally:
        await one.close()


async def test_right_password_tells_who_that_is(settings: LdapSettings) -> None:
    async with directory(settings) as corp:
        arrival = await corp.check("Alice", "alice-password")
        again = await corp.check("alice", "alice-password")
    assert arrival is not None
    assert (arrival.source, arrival.name, arrival.email) == ("ldap:corp", "alice", "alice@example.com")
    assert set(arrival.groups or ()) == {"developers", "engineering", "everybody", "admins"}
    assert arrival.admin is None
    assert len(arrival.subject) == 36
    assert again == arrival


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("alice", "wrong"),
        ("alice", ""),
        ("alice", "\0"),
        ("alice", "bob-password"),
        ("nobody", "alice-password"),
        ("", "alice-password"),
        ("*", "alice-password"),
        ("alic*", "alice-password"),
        ("alice)(uid=*", "alice-password"),
        ("*)(objectClass=*", "alice-password"),
        ("alice\\", "alice-password"),
        ("alice\0", "alice-password"),
        (" alice", "alice-password"),
        ("alice\u00ad", "alice-password"),
        ("al\uff49ce", "alice-password"),
        ("bob)(|(uid=alice", "alice-password"),
        ("(&(uid=alice)", "alice-password"),
        ("a" * 5000, "x"),
        ("\u5c71" * 50, "x"),
    ],
)
async def test_everything_else_is_nobody(settings: LdapSettings, user: str, password: str) -> None:
    async with directory(settings) as corp:
        assert await corp.check(user, password) is None


@pytest.mark.parametrize("user", ["d*ve", "er(in)", "fr\\ank", "user4999"])
async def test_strange_names_and_many_people(settings: LdapSettings, user: str) -> None:
    async with directory(settings) as corp:
        arrival = await corp.check(user, f"{user}-password")
    assert arrival is not None
    assert arrival.name == user
    assert arrival.groups == ()


async def test_password_that_a_library_would_take_for_empty_is_wrong(settings: LdapSettings) -> None:
    """RFC 4013 maps a soft hyphen to nothing: the bind would be anonymous, and be answered with success."""
    async with directory(settings) as corp:
        assert await corp.check("alice", "\u00ad") is None
        assert await corp.check("alice", "alice-\u00adpassword") is None


async def test_filter_that_finds_several_lets_nobody_in(settings: LdapSettings) -> None:
    async with directory(replace(settings, filter="(|(uid={user})(uid=bob))")) as corp:
        assert await corp.check("alice", "alice-password") is None
        assert await corp.check("bob", "bob-password") is not None


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (LdapGroups("search", GROUPS, nested=False), {"developers", "admins"}),
        (LdapGroups("memberof"), {"developers", "engineering", "everybody", "admins"}),
        (LdapGroups("memberof", nested=False), {"developers", "admins"}),
        (LdapGroups("search", GROUPS, filter="(cn=admins)"), {"admins"}),
        (LdapGroups("search", f"ou=absent,{PEOPLE}"), set()),
        (LdapGroups("none"), None),
    ],
)
async def test_groups(settings: LdapSettings, groups: LdapGroups, expected: set[str] | None) -> None:
    async with directory(replace(settings, groups=groups)) as corp:
        arrival = await corp.check("alice", "alice-password")
    assert arrival is not None
    assert (None if arrival.groups is None else set(arrival.groups)) == expected


async def test_groups_of_user_names(settings: LdapSettings) -> None:
    groups = LdapGroups("search", GROUPS, member="memberUid", by_name=True)
    async with directory(replace(settings, groups=groups)) as corp:
        arrival = await corp.check("carol", "carol-password")
    assert arrival is not None
    assert arrival.groups == ("posix",)


async def test_required_group_and_admin_group(settings: LdapSettings) -> None:
    chosen = replace(settings, required_group="engineering", admin_group=f"CN=admins, {GROUPS}")
    async with directory(chosen) as corp:
        alice, bob = await corp.check("alice", "alice-password"), await corp.check("bob", "bob-password")
        carol = await corp.check("carol", "carol-password")
    assert (alice is not None, bob is not None, carol) == (True, True, None)
    assert alice is not None
    assert bob is not None
    assert (alice.admin, bob.admin) == (True, False)


async def test_no_is_the_same_for_unknown_users_and_wrong_passwords(settings: LdapSettings) -> None:
    async def seconds(user: str) -> float:
        started = time.perf_counter()
        assert await corp.check(user, "wrong") is None
        return time.perf_counter() - started

    async with directory(settings) as corp:
        assert await corp.check("alice", "alice-password") is not None
        known = sorted([await seconds("alice") for _ in range(5)])
        unknown = sorted([await seconds("nobody") for _ in range(5)])
    assert abs(known[0] - unknown[0]) < 0.04
    assert known[0] >= 0.09
    assert unknown[0] >= 0.09


@pytest.mark.parametrize("how", ["ldaps", "starttls"])
async def test_encrypted(slapd: Slapd, settings: LdapSettings, how: str) -> None:
    starttls = how == "starttls"
    url = slapd.url if starttls else slapd.tls_url
    chosen = replace(settings, urls=(url,), starttls=starttls, ca=slapd.ca)
    async with directory(chosen) as corp:
        assert await corp.check("alice", "alice-password") is not None


@pytest.mark.parametrize("how", ["ldaps", "starttls"])
async def test_certificate_must_be_right(slapd: Slapd, settings: LdapSettings, how: str, tmp_path: Path) -> None:
    starttls = how == "starttls"
    url = slapd.url if starttls else slapd.tls_url
    other = tmp_path / "ca.pem"
    other.write_bytes(Authority("Somebody else").pem)
    wrong = [
        replace(settings, urls=(url,), starttls=starttls, ca=other),
        replace(settings, urls=(url,), starttls=starttls, ca=None),
        replace(settings, urls=(url.replace("localhost", "127.0.0.1"),), starttls=starttls, ca=slapd.ca),
        replace(settings, urls=(url,), starttls=starttls, ca=tmp_path / "absent.pem"),
    ]
    for chosen in wrong:
        async with directory(chosen) as corp:
            with pytest.raises(Unavailable):
                await corp.check("alice", "alice-password")


async def test_service_account_with_a_wrong_password_is_no_answer(settings: LdapSettings, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("wrong\n")
    async with directory(replace(settings, bind_password_file=password)) as corp:
        with pytest.raises(Unavailable):
            await corp.check("alice", "alice-password")
    password.write_text(f"{SERVICE_PASSWORD}\n")
    async with directory(replace(settings, bind_password_file=password)) as corp:
        assert await corp.check("alice", "alice-password") is not None


async def test_many_at_once(settings: LdapSettings) -> None:
    async with directory(settings) as corp:
        users = [f"user{number:04}" for number in range(25)]
        found = await asyncio.gather(*(corp.check(user, f"{user}-password") for user in users))
        assert [each is not None and each.name for each in found] == users
        crowd = [corp.check("alice", "alice-password") for _ in range(60)]
        answers = await asyncio.gather(*crowd, return_exceptions=True)
    assert sum(isinstance(each, Unavailable) for each in answers) == 60 - 32
    assert all(isinstance(each, Unavailable) or getattr(each, "name", "") == "alice" for each in answers)


async def test_restart_and_death_in_the_middle(settings: LdapSettings, tmp_path: Path) -> None:
    server = Slapd(tmp_path / "other").prepare()
    try:
        async with directory(replace(settings, urls=(server.url,))) as corp:
            assert await corp.check("alice", "alice-password") is not None
            server.stop()
            server.start()
            assert await corp.check("alice", "alice-password") is not None
            logins = [asyncio.create_task(corp.check("alice", "alice-password")) for _ in range(20)]
            await asyncio.sleep(0.02)
            server.stop(signal.SIGKILL)
            answers = await asyncio.gather(*logins, return_exceptions=True)
            assert all(isinstance(each, Unavailable) or getattr(each, "name", "") == "alice" for each in answers)
            started = time.perf_counter()
            with pytest.raises(Unavailable):
                await corp.check("alice", "alice-password")
            assert time.perf_counter() - started < 10
        async with directory(replace(settings, urls=(server.url, settings.urls[0]))) as corp:
            assert await corp.check("alice", "alice-password") is not None
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()


async def test_server_that_takes_connections_and_never_answers(settings: LdapSettings) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        url = f"ldap://127.0.0.1:{silent.getsockname()[1]}"
        async with directory(replace(settings, urls=(url,))) as corp:
            started = time.perf_counter()
            with pytest.raises(Unavailable):
                await corp.check("alice", "alice-password")
            first = time.perf_counter() - started
            with pytest.raises(Unavailable):
                await corp.check("alice", "alice-password")
            second = time.perf_counter() - started - first
        async with directory(replace(settings, urls=(url, settings.urls[0]))) as corp:
            assert await corp.check("alice", "alice-password") is not None
    assert 0.9 < first < 10
    assert second < first / 2


def test_active_directorys_guid_is_written_as_microsoft_writes_it(settings: LdapSettings) -> None:
    guid = bytes.fromhex("33221100554477668899aabbccddeeff")
    person = Entry("cn=a,dc=b", {"objectguid": (guid,)})
    assert subject_of(person, settings) == "00112233-4455-6677-8899-aabbccddeeff"
    assert subject_of(Entry("CN=A,dc=b", {}), settings) == "cn=a,dc=b"


def test_escaped_text_is_no_syntax() -> None:
    assert escape("a*(b)\\\0") == "a\\2a\\28b\\29\\5c\\00"
    assert is_plain("Jos\u00e9 M")
    assert not is_plain("a  b")


def test_secrets_are_not_shown(settings: LdapSettings) -> None:
    assert SERVICE_PASSWORD not in repr(settings)
