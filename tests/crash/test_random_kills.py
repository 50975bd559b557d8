"""SIGKILL to all processes at a random moment while several clients write; then everything they were told must hold."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from tests.crash.checker import Facts, check, postgres_facts, sqlite_facts
from tests.crash.conftest import MakeServer
from tests.crash.harness import Server
from tests.crash.load import Auditor, Ledger, Writer
from tests.crash.server import SETTLE

WRITERS = 4
KILLS_OF_ONE_STORE = 10
LEAST_ANSWERS = 12
"""So many changes were answered before a kill, however slow the machine is."""


def wait_for_answers(ledgers: list[Ledger], number: int) -> None:
    end = time.monotonic() + 30
    while sum(ledger.acknowledged for ledger in ledgers) < number:
        assert time.monotonic() < end, "the load does not come on"
        time.sleep(0.002)


def kill_under_load(server: Server, ledgers: list[Ledger], seed: object, facts: Callable[[], Facts]) -> None:
    """One round: load, kill, look at what is on the disk, start, ask for everything."""
    answered = sum(ledger.acknowledged for ledger in ledgers)
    writers = [Writer(number, seed, ledger) for number, ledger in enumerate(ledgers)]
    for writer in writers:
        writer.begin(server.port)
    wait_for_answers(ledgers, answered + LEAST_ANSWERS)
    time.sleep(random.Random(repr(seed)).uniform(0, 0.5))
    server.kill()
    for writer in writers:
        writer.end()
        assert writer.wrong == [], seed
    assert check(server.root, facts()) == [], seed
    server.restart()
    for ledger in ledgers:
        assert Auditor(server.client(), ledger).audit() == [], seed
    assert check(server.root, facts()) == [], seed


def sqlite_of(server: Server) -> Callable[[], Facts]:
    return lambda: sqlite_facts(server.root / "moorage.db")


def many_kills(server: Server, seeds: list[int], facts: Callable[[], Facts]) -> None:
    ledgers = [Ledger() for _ in range(WRITERS)]
    for seed in seeds:
        kill_under_load(server, ledgers, seed, facts)


@pytest.mark.parametrize("seed", [1, 2])
def test_three_kills_under_load(make_server: MakeServer, seed: int) -> None:
    server = make_server(workers=2, env={SETTLE: "0.1"})
    many_kills(server, [seed * 1000 + number for number in range(3)], sqlite_of(server))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("store", range(200 // KILLS_OF_ONE_STORE))
def test_two_hundred_kills_under_load(make_server: MakeServer, store: int) -> None:
    server = make_server(workers=2, env={SETTLE: "0.1"})
    many_kills(server, [store * 100 + number for number in range(KILLS_OF_ONE_STORE)], sqlite_of(server))


def test_a_kill_under_load_on_postgres(make_server: MakeServer, postgres_url: str) -> None:
    server = make_server(workers=2, env={"REGISTRY_DATABASE_URL": postgres_url})
    many_kills(server, [1], lambda: postgres_facts(postgres_url))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("store", range(3))
def test_many_kills_under_load_on_postgres(make_server: MakeServer, postgres_url: str, store: int) -> None:
    server = make_server(workers=2, env={"REGISTRY_DATABASE_URL": postgres_url})
    many_kills(
        server,
        [store * 100 + number for number in range(KILLS_OF_ONE_STORE)],
        lambda: postgres_facts(postgres_url),
    )
