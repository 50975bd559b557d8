"""The first admin of a registry that several instances start at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from sqlalchemy import select

from moorage.accounts.bootstrap import ADMIN, make_first_admin
from moorage.auth.passwords import is_password
from moorage.metadata.tables_access import users
from tests.support.accounts import HeldClock
from tests.support.facts import opened

INSTANCES = 4


async def test_the_password_that_was_left_is_the_right_one(database_url: str, tmp_path: Path) -> None:
    """Each instance has a root of its own: who came too late leaves no password that is nobody's."""
    roots = [tmp_path / str(number) for number in range(INSTANCES)]
    for root in roots:
        root.mkdir()
    at_once = Barrier(INSTANCES)

    def start(root: Path) -> str | None:
        at_once.wait()
        return make_first_admin(database_url, root, None, HeldClock())

    with ThreadPoolExecutor(INSTANCES) as pool:
        shown = [password for password in pool.map(start, roots) if password is not None]
    left = [file.read_text(encoding="utf-8").strip() for file in tmp_path.glob("*/admin-password")]
    assert left == shown
    assert len(left) == 1
    async with opened(database_url) as database:
        query = select(users.c.password).where(users.c.name == ADMIN)
        stored = await database.read(lambda connection: connection.execute(query).scalar_one())
    assert is_password(left[0], stored)


def test_an_instance_that_starts_again_makes_nobody(database_url: str, tmp_path: Path) -> None:
    make_first_admin(database_url, tmp_path, "a password of the operator", HeldClock())
    assert make_first_admin(database_url, tmp_path, None, HeldClock()) is None
    assert list(tmp_path.iterdir()) == []
