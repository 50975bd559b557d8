"""What a command prints is its answer alone; whatever else there is to say goes to standard error."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from moorage.metadata.migrate import migrate
from tests.support.nursery import nursery


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_what_goes_wrong_inside_is_told_beside_the_output(tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "moorage.db"
    migrate(f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("ALTER TABLE users RENAME TO lost")
    done = nursery().run(["user", "list", "--root", str(tmp_path), *words], {"HOME": str(tmp_path)})
    assert done.returncode == 1
    assert done.stdout == ""
    assert "no such table: users" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("moorage: ")
