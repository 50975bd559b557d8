"""Passwords of our own users."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from moorage.auth import passwords as module
from moorage.auth.passwords import Passwords, check_new_password, hash_password
from moorage.auth.slow_checks import password_executor
from moorage.core.errors import TooManyRequests

STORED = hash_password("right horse")


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with password_executor(2) as executor:
        yield executor


@pytest.fixture
def passwords(executor: ThreadPoolExecutor) -> Passwords:
    return Passwords(executor)


async def test_a_hash_is_argon2id_with_a_salt_of_its_own(passwords: Passwords) -> None:
    one, other = await passwords.hash("right horse"), await passwords.hash("right horse")
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != other
    assert await passwords.fits("alice", b"right horse", one)
    assert await passwords.fits("alice", b"right horse", other)


@pytest.mark.parametrize("wrong", [b"", b"right hors", b"right horse ", b"Right horse", b"right horse" * 200])
async def test_wrong_ones_do_not_fit(passwords: Passwords, wrong: bytes) -> None:
    assert not await passwords.fits("alice", wrong, STORED)


async def test_nothing_fits_a_user_who_is_not_there(passwords: Passwords) -> None:
    assert not await passwords.fits("nobody", b"right horse", None)
    assert not await passwords.fits("nobody", b"right horse", None, alone=False)


@pytest.mark.parametrize("stored", ["", "plain", "$2b$04$abc", "$argon2id$v=19$m=1"])
async def test_what_is_no_hash_fits_nothing(passwords: Passwords, stored: str) -> None:
    assert not await passwords.fits("alice", b"right horse", stored)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hashes that passwords were really checked against, at the cost of argon2 each."""
    checked: list[bytes] = []
    verify = module._verify

    def spy(password: bytes, stored: bytes) -> bool:
        checked.append(stored)
        return verify(password, stored)

    monkeypatch.setattr(module, "_verify", spy)
    return checked


def cost(stored: bytes) -> bytes:
    return stored.rsplit(b"$", 2)[0]


async def test_an_unknown_user_costs_as_much_as_a_wrong_password(
    checked: list[bytes], executor: ThreadPoolExecutor
) -> None:
    passwords = Passwords(executor)
    assert not await passwords.fits("alice", b"wrong", STORED)
    assert not await passwords.fits("nobody", b"wrong", None)
    known, unknown = checked
    assert cost(known) == cost(unknown)
    assert len(known) == len(unknown)


async def test_a_right_one_is_remembered_until_the_hash_changes(
    checked: list[bytes], executor: ThreadPoolExecutor
) -> None:
    passwords = Passwords(executor)
    assert await passwords.fits("alice", b"right horse", STORED)
    assert await passwords.fits("alice", b"right horse", STORED)
    assert len(checked) == 1
    assert not await passwords.fits("alice", b"right horse", hash_password("another one"))
    assert len(checked) == 2


async def test_only_so_many_hashes_are_made_at_a_time(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_HASHINGS", 2)
    found = await asyncio.gather(*(passwords.hash("right horse") for _ in range(5)), return_exceptions=True)
    assert [type(it) for it in found] == [str, str, TooManyRequests, TooManyRequests, TooManyRequests]
    assert await passwords.hash("right horse")


NO_PASSWORDS = ["", "short", "1234567", "x" * 1025, "ß" * 513, "with\0null", "with\nline", "\ud800" * 9]


@pytest.mark.parametrize("text", NO_PASSWORDS)
def test_what_is_no_password(text: str) -> None:
    with pytest.raises(ValueError, match="A password has") as caught:
        check_new_password(text)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize("text", ["12345678", "right horse battery", "Größe ist egal", "x" * 1024])
def test_what_is_one(text: str) -> None:
    assert check_new_password(text) == text
