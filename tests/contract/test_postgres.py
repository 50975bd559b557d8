"""The PostgreSQL that tests get: real, their own, and gone afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import asyncpg
import pytest

from tests.support import postgres
from tests.support.postgres import PostgresCluster, running_cluster


async def test_a_database_is_reached_by_its_address(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("SELECT current_setting('server_encoding')") == "UTF8"
        assert await connection.fetchval("SELECT 1 + 1") == 2
    finally:
        await connection.close()


def test_each_has_a_database_of_its_own(postgres_cluster: PostgresCluster) -> None:
    with postgres_cluster.database() as first, postgres_cluster.database() as second:
        name, other = first.rsplit("/", 1)[1], second.rsplit("/", 1)[1]
        postgres_cluster.sql("CREATE TABLE mine (id int)", name)
        assert postgres_cluster.sql("SELECT count(*) FROM pg_tables WHERE tablename = 'mine'", other).strip() == "0"
    assert (
        postgres_cluster.sql(f"SELECT count(*) FROM pg_database WHERE datname IN ('{name}', '{other}')").strip() == "0"
    )


async def test_a_database_is_dropped_under_an_open_connection(postgres_cluster: PostgresCluster) -> None:
    with postgres_cluster.database() as url:
        connection = await asyncpg.connect(url)
    with pytest.raises(asyncpg.PostgresError):
        await connection.fetchval("SELECT 1")
    connection.terminate()


def test_a_wrong_password_is_refused(postgres_cluster: PostgresCluster) -> None:
    right, postgres_cluster.password = postgres_cluster.password, "wrong"
    try:
        with pytest.raises(postgres.PostgresError, match="password authentication failed"):
            postgres_cluster.sql("SELECT 1")
    finally:
        postgres_cluster.password = right


def test_nothing_is_left_when_it_ends() -> None:
    with running_cluster() as cluster:
        assert cluster._process is not None
        pid, folder = cluster._process.pid, cluster.folder
        assert cluster.sql("SELECT 1").strip() == "1"
    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists() or os.getpid() == pid


def test_without_postgresql_it_is_a_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "find_binaries", lambda: None)
    monkeypatch.delenv("MOORAGE_TESTS_MUST_NOT_SKIP", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs program: postgres"), running_cluster():
        pass
