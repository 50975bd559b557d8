"""The audit log on both databases: sealed into a chain, append-only, kept for a time, and any tampering is found."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import orjson
import pytest
from sqlalchemy import Connection, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from moorage.accounts import audit_log, audit_pulls
from moorage.accounts.audit_log import AuditFilter, AuditLog, Finding, as_json
from moorage.accounts.audit_pulls import BLOB, PullLog
from moorage.accounts.audit_seal import remove_old_entries, seal_entries
from moorage.core.access import ANONYMOUS, Caller, Identity
from moorage.core.audit import FAILED, OK, REFUSED, AuditEntry
from moorage.core.errors import Invalid, Unavailable
from moorage.metadata.audit import record
from moorage.metadata.audit_chain import BEGINNING, Mark, Row, chained, head, link, mark, newest_anchor
from moorage.metadata.database import Database
from moorage.metadata.repositories import ensure_repository
from moorage.metadata.tables_access import audit, audit_anchors
from moorage.testing.fakes import NOON, HeldClock
from tests.support.facts import Facts, SqliteTemplate
from tests.support.postgres import PostgresCluster

ALICE = Caller(Identity("alice", "user", 7, credential="password"), address="192.0.2.1", request_id="r-1")
BOB = Caller(Identity("team+bob", "robot", 8, credential="secret:4"), address="2001:db8::1", request_id="r-2")

TABLES = ("audit", "audit_anchors", "audit_marks")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database for one test alone: the chain is one for all."""
    if request.param == "sqlite":
        template: SqliteTemplate = request.getfixturevalue("sqlite_template")
        yield template.copy_to(tmp_path_factory.mktemp("facts") / "moorage.db")
        return
    cluster: PostgresCluster = request.getfixturevalue("postgres_cluster")
    with cluster.database(migrated=True) as url:
        yield url


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def log(database: Database) -> AuditLog:
    return AuditLog(database)


async def write(facts: Facts, count: int, at: float = NOON, action: str = "tag.delete") -> None:
    """Entries, one a second, in transactions of several."""

    def some(connection: Connection, numbers: range) -> None:
        for number in numbers:
            caller = (ALICE, BOB)[number % 2]
            outcome = (OK, REFUSED, FAILED)[number % 3]
            detail = {"number": number, "word": "müßig"}
            project = 1 + number % 2
            target = f"team/app{number % 4}"
            record(connection, AuditEntry(action, outcome, caller, "repository", target, project, detail), at + number)

    for start in range(0, count, 50):
        await facts.write(some, range(start, min(start + 50, count)))


async def sealed(facts: Facts, clock: HeldClock, count: int) -> list[Row]:
    await write(facts, count)
    assert await seal_entries(facts.database, clock) == count
    return await facts.read(chained, 0, count)


async def tamper(facts: Facts, *statements: object) -> None:
    """Change the log behind its back, as somebody who owns the database can."""

    def change(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            for table in TABLES:
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        else:
            triggers = text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'audit%'")
            for name in connection.execute(triggers).scalars().all():
                connection.execute(text(f"DROP TRIGGER {name}"))
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]

    await facts.write(change)


def change_of(sequence: int, /, **values: object) -> object:
    return update(audit).where(audit.c.sequence == sequence).values(**values)


async def findings(log: AuditLog) -> list[tuple[str, int]]:
    verdict = await log.verify()
    assert verdict.intact is (not verdict.findings)
    assert verdict.wrong == len(verdict.findings)
    return [(finding.kind, finding.sequence) for finding in verdict.findings]


async def test_entries_are_chained_in_the_order_of_their_ids(facts: Facts, clock: HeldClock, log: AuditLog) -> None:
    rows = await sealed(facts, clock, 1201)
    assert [row.sequence for row in rows] == list(range(1, 1202))
    assert [row.id for row in rows] == sorted(row.id for row in rows)
    previous = BEGINNING
    for row in rows:
        # The promise of the documentation, written once more.
        fields = [*row[:12], row.detail]
        text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
        assert row.hash == hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()
        previous = row.hash
    verdict = await log.verify()
    assert verdict.intact
    assert (verdict.checked, verdict.first, verdict.last, verdict.hash) == (1201, 1, 1201, previous)
    assert (verdict.anchor, verdict.removed, verdict.waiting, verdict.waiting_since) == (0, 0, 0, None)
    assert await facts.read(head) == Mark(1201, previous)


async def test_nothing_at_all_verifies(log: AuditLog) -> None:
    verdict = await log.verify()
    assert (verdict.intact, verdict.checked, verdict.last, verdict.hash) == (True, 0, 0, BEGINNING)


async def test_what_is_not_sealed_yet_is_told(facts: Facts, clock: HeldClock, log: AuditLog) -> None:
    await sealed(facts, clock, 3)
    await write(facts, 2, NOON + 50)
    verdict = await log.verify()
    assert (verdict.intact, verdict.checked, verdict.waiting, verdict.waiting_since) == (True, 3, 2, NOON + 50)


async def test_several_sealers_make_one_chain(
    database: Database, elsewhere: Database, facts: Facts, clock: HeldClock, log: AuditLog
) -> None:
    async def keep_writing() -> None:
        for _ in range(10):
            await write(facts, 30)

    async def keep_sealing(one: Database) -> int:
        count = 0
        for _ in range(25):
            count += await seal_entries(one, clock)
            await asyncio.sleep(0)
        return count

    counts = await asyncio.gather(
        keep_writing(), keep_writing(), *(keep_sealing(one) for one in (database, elsewhere) * 3)
    )
    rest = await seal_entries(database, clock)
    assert sum(count or 0 for count in counts) + rest == 600
    verdict = await log.verify()
    assert verdict.intact, verdict.findings
    assert (verdict.checked, verdict.last, verdict.waiting) == (600, 600, 0)


@pytest.mark.parametrize(
    "values",
    [
        {"actor": "mallory"},
        {"outcome": "ok "},
        {"at": NOON + 0.5},
        {"target": "team/other"},
        {"project_id": None},
        {"detail": "{}"},
        {"hash": "0" * 64},
        {"hash": None},
    ],
    ids=str,
)
async def test_a_changed_entry_is_found(
    facts: Facts, clock: HeldClock, log: AuditLog, values: dict[str, object]
) -> None:
    await sealed(facts, clock, 20)
    await tamper(facts, change_of(8, **values))
    found = await findings(log)
    # A hash that is gone cannot be followed by the next one either.
    assert found == ([("changed", 8), ("changed", 9)] if "hash" in values else [("changed", 8)])


async def test_an_entry_changed_with_its_hash_is_found_by_the_next(
    facts: Facts, clock: HeldClock, log: AuditLog
) -> None:
    rows = await sealed(facts, clock, 20)
    forged = rows[7]._replace(actor="mallory")
    await tamper(facts, change_of(8, actor="mallory", hash=link(rows[6].hash or "", forged)))
    verdict = await log.verify()
    assert verdict.findings == [Finding("changed", 9, rows[8].id, 9)]
    assert "or the one before it" in verdict.findings[0].sentence


@pytest.mark.parametrize("gone", [(1,), (8,), (8, 9, 10), (20,), (19, 20)])
async def test_missing_entries_are_found(facts: Facts, clock: HeldClock, log: AuditLog, gone: tuple[int, ...]) -> None:
    await sealed(facts, clock, 20)
    await tamper(facts, delete(audit).where(audit.c.sequence.in_(gone)))
    verdict = await log.verify()
    assert verdict.findings == [Finding("missing", gone[0], 0, gone[-1])]
    assert str(gone[0]) in verdict.findings[0].sentence


async def test_all_of_it_missing_is_found(facts: Facts, clock: HeldClock, log: AuditLog) -> None:
    await sealed(facts, clock, 20)
    await tamper(facts, delete(audit))
    assert (await log.verify()).findings == [Finding("missing", 1, 0, 20)]


@pytest.mark.parametrize("first", [1, 8, 18])
async def test_entries_in_another_order_are_found(facts: Facts, clock: HeldClock, log: AuditLog, first: int) -> None:
    await sealed(facts, clock, 20)
    await tamper(
        facts, change_of(first, sequence=-1), change_of(first + 1, sequence=first), change_of(-1, sequence=first + 1)
    )
    assert await findings(log) == [("reordered", first)]


async def test_an_entry_put_in_between_is_found(facts: Facts, clock: HeldClock, log: AuditLog) -> None:
    rows = await sealed(facts, clock, 20)
    new = rows[3]._replace(id=900, sequence=8, actor="mallory")
    shifts = [change_of(sequence, sequence=sequence + 1) for sequence in range(20, 7, -1)]
    await tamper(facts, *shifts, insert(audit).values(new._replace(hash=link(rows[6].hash or "", new))._asdict()))
    found = await findings(log)
    assert found[0] == ("changed", 9)  # the first that does not follow is the one after it
    await tamper(facts, update(audit).where(audit.c.id == 900).values(hash="1" * 64))
    assert ("added", 8) in await findings(log)


async def test_an_entry_put_at_the_end_is_found(facts: Facts, clock: HeldClock, log: AuditLog) -> None:
    rows = await sealed(facts, clock, 20)
    await tamper(facts, insert(audit).values(rows[3]._replace(id=900, sequence=21)._asdict()))
    assert await findings(log) == [("added", 21)]


async def test_a_chain_made_anew_is_found_by_a_hash_that_was_kept(
    facts: Facts, clock: HeldClock, log: AuditLog
) -> None:
    rows = await sealed(facts, clock, 20)
    kept = Mark(15, rows[14].hash or "")
    assert (await log.verify(kept)).intact
    changes, previous = [], rows[6].hash or ""
    for row in rows[7:]:
        forged = row._replace(actor="mallory")
        previous = link(previous, forged)
        changes.append(change_of(row.sequence or 0, actor="mallory", hash=previous))
    await tamper(facts, *changes)
    assert ("changed", 20) in await findings(log)  # the sealer's own mark
    await tamper(facts, text(f"UPDATE audit_marks SET hash = '{previous}' WHERE name = 'head'"))
    assert await findings(log) == []
    found = (await log.verify(kept)).findings
    assert [(finding.kind, finding.sequence) for finding in found] == [("changed", 15)]
    assert (await log.verify(Mark(25, "2" * 64))).findings == [Finding("missing", 21, 0, 25)]


@pytest.mark.parametrize(
    "statement",
    [
        update(audit).where(audit.c.sequence == 2).values(actor="mallory"),
        update(audit).where(audit.c.sequence == 2).values(hash="0" * 64),
        update(audit).where(audit.c.sequence == 2).values(sequence=99),
        update(audit).where(audit.c.sequence.is_(None)).values(actor="mallory"),
        delete(audit).where(audit.c.sequence == 2),
        delete(audit).where(audit.c.sequence.is_(None)),
    ],
    ids=["content", "hash", "sequence", "unsealed content", "removal", "unsealed removal"],
)
async def test_the_database_refuses_to_change_it(
    facts: Facts, clock: HeldClock, log: AuditLog, statement: object
) -> None:
    await sealed(facts, clock, 3)
    await write(facts, 1)
    with pytest.raises(DBAPIError, match="append-only"):
        await facts.write(lambda connection: connection.execute(statement))
    verdict = await log.verify()
    assert (verdict.intact, verdict.checked, verdict.waiting) == (True, 3, 1)


ANCHOR = "INSERT INTO audit_anchors SELECT sequence, hash, at, 4 FROM audit WHERE sequence = 4"
FORGED = "'a', 'ok', 'user', 'x', '', '', '', 'system', 'audit', NULL, '{}'"


ROUND_ABOUT = (
    ANCHOR,
    ANCHOR.replace("hash", "'0'"),
    "UPDATE audit_anchors SET sequence = 5",
    "DELETE FROM audit_anchors",
    "UPDATE audit_marks SET sequence = 3 WHERE name = 'head'",
    "UPDATE audit_marks SET sequence = 99 WHERE name = 'head'",
    "UPDATE audit_marks SET hash = '0' WHERE name = 'head'",
    "UPDATE audit_marks SET name = 'tail' WHERE name = 'head'",
    "DELETE FROM audit_marks WHERE name = 'head'",
    f"INSERT INTO audit VALUES (900, 1, {FORGED}, 99, 'x')",
)
BY_REPLACE = (
    f"INSERT OR REPLACE INTO audit VALUES (5, 1, {FORGED}, NULL, NULL)",
    f"INSERT OR REPLACE INTO audit VALUES (900, 1, {FORGED}, 5, 'x')",
    "UPDATE OR REPLACE audit SET sequence = 5, hash = 'x' WHERE sequence IS NULL AND action = 'tag.delete'",
    "INSERT OR REPLACE INTO audit_marks VALUES ('head', 3, 'x', 1)",
    "UPDATE OR REPLACE audit_marks SET name = 'head' WHERE name = 'syslog'",
    "INSERT OR REPLACE INTO audit_anchors SELECT sequence, hash, at, 2 FROM audit_anchors",
)
BY_TRUNCATE = ("TRUNCATE audit", "TRUNCATE audit_anchors", "TRUNCATE audit_marks")


async def test_the_database_refuses_what_goes_round_the_chain(facts: Facts, clock: HeldClock, log: AuditLog) -> None:
    await sealed(facts, clock, 10)
    await facts.write(mark, "syslog", Mark(1, "x"), NOON)
    clock.advance(3)
    assert await remove_old_entries(facts.database, clock, 0) == 3
    await write(facts, 1)
    postgres = await facts.read(lambda connection: connection.dialect.name == "postgresql")
    for statement in (*ROUND_ABOUT, *(BY_TRUNCATE if postgres else BY_REPLACE)):
        with pytest.raises(DBAPIError, match="append-only"):
            await facts.write(lambda connection, one=statement: connection.execute(text(one)))
    verdict = await log.verify()
    assert (verdict.intact, verdict.first, verdict.checked, verdict.waiting) == (True, 4, 7, 2)
    assert (await facts.read(head)).sequence == 10


async def test_history_that_was_cut_off_by_hand_is_found(facts: Facts, clock: HeldClock, log: AuditLog) -> None:
    await sealed(facts, clock, 10)
    await tamper(facts, text(ANCHOR), text("DELETE FROM audit WHERE sequence <= 4"))
    verdict = await log.verify()
    assert verdict.findings == [Finding("erased", 4, 0, 4)]
    assert "no entry audit.trim" in verdict.findings[0].sentence


async def test_old_entries_go_and_the_rest_verifies(facts: Facts, clock: HeldClock, log: AuditLog) -> None:
    rows = await sealed(facts, clock, 1300)
    clock.advance(700 + 60)
    assert await remove_old_entries(facts.database, clock, 60) == 700
    anchor = await facts.read(newest_anchor)
    assert anchor is not None
    assert anchor == (700, rows[699].hash, NOON + 699, 700)
    assert await seal_entries(facts.database, clock) == 2  # the removal itself, in two steps
    verdict = await log.verify()
    assert verdict.intact
    assert (verdict.checked, verdict.first, verdict.last, verdict.anchor, verdict.removed) == (602, 701, 1302, 700, 700)
    told = [(row.action, orjson.loads(row.detail)) for row in await facts.read(chained, 1300, 5)]
    assert told == [
        ("audit.trim", {"removed": 500, "last": 500}),
        ("audit.trim", {"removed": 200, "last": 700}),
    ]
    clock.advance(10_000)
    assert await remove_old_entries(facts.database, clock, 60) == 602
    assert await seal_entries(facts.database, clock) == 2
    verdict = await log.verify()
    assert (verdict.intact, verdict.checked, verdict.first, verdict.removed) == (True, 2, 1303, 1302)
    anchors = await facts.read(lambda connection: connection.execute(select(audit_anchors)).all())
    assert len(anchors) == 1


async def test_retention_stops_at_the_first_entry_that_stays(facts: Facts, clock: HeldClock, log: AuditLog) -> None:
    for number, at in enumerate((0, 10, 500, 20)):
        entry = AuditEntry("tag.delete", OK, ALICE, "repository", f"app{number}")
        await facts.write(record, entry, NOON + at)
    await seal_entries(facts.database, clock)
    clock.advance(160)
    assert await remove_old_entries(facts.database, clock, 60) == 2
    await seal_entries(facts.database, clock)
    verdict = await log.verify()
    assert (verdict.intact, verdict.first, verdict.checked) == (True, 3, 3)
    assert await remove_old_entries(facts.database, clock, 60) == 0
    assert await seal_entries(facts.database, clock) == 0  # nothing removed, nothing written


async def test_a_tampered_rest_is_found_after_retention(facts: Facts, clock: HeldClock, log: AuditLog) -> None:
    await sealed(facts, clock, 20)
    clock.advance(10 + 60)
    await remove_old_entries(facts.database, clock, 60)
    await tamper(facts, change_of(11, actor="mallory"), delete(audit).where(audit.c.sequence == 14))
    assert await findings(log) == [("changed", 11), ("missing", 14)]


async def test_it_verifies_while_it_is_written_sealed_and_trimmed(
    facts: Facts, clock: HeldClock, log: AuditLog, elsewhere: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "STEP", 7)
    await sealed(facts, clock, 400)

    async def work() -> None:
        for number in range(8):
            await write(facts, 5, NOON + 400 + 5 * number)
            await seal_entries(elsewhere, clock)
            clock.advance(20)
            await remove_old_entries(elsewhere, clock, 0)

    async def check() -> None:
        for _ in range(4):
            verdict = await log.verify()
            assert verdict.intact, verdict.findings

    await asyncio.gather(work(), check())


async def test_pages_in_both_orders(facts: Facts, log: AuditLog) -> None:
    await write(facts, 25)
    for newest_first in (True, False):
        ids: list[int] = []
        after: int | None = None
        for _ in range(5):
            page = await log.list(AuditFilter(), after=after, limit=6, newest_first=newest_first)
            ids += [row.id for row in page.entries]
            after = page.next
            if after is None:
                break
        assert ids == sorted(ids, reverse=newest_first)
        assert len(ids) == 25


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (AuditFilter(actor="alice"), lambda n: n % 2 == 0),
        (AuditFilter(action="tag.delete"), lambda n: True),
        (AuditFilter(action="tag."), lambda n: True),
        (AuditFilter(action="tag"), lambda n: False),
        (AuditFilter(action="t_g."), lambda n: False),
        (AuditFilter(outcome="refused"), lambda n: n % 3 == 1),
        (AuditFilter(target_kind="repository", target="team/app3"), lambda n: n % 4 == 3),
        (AuditFilter(target_kind="user"), lambda n: False),
        (AuditFilter(project_id=2), lambda n: n % 2 == 1),
        (AuditFilter(since=NOON + 10), lambda n: n >= 10),
        (AuditFilter(until=NOON + 10), lambda n: n < 10),
        (AuditFilter(since=NOON + 5, until=NOON + 10, actor="team+bob"), lambda n: 5 <= n < 10 and n % 2 == 1),
        (AuditFilter(since=NOON + 5000), lambda n: False),
        (AuditFilter(until=NOON - 5000), lambda n: False),
    ],
    ids=[
        "actor",
        "action",
        "kind of action",
        "no action",
        "wildcard",
        "outcome",
        "target",
        "no target",
        "project",
        "since",
        "until",
        "together",
        "later",
        "earlier",
    ],
)
@pytest.mark.parametrize("window", [3, 1000])
async def test_filters(
    facts: Facts,
    log: AuditLog,
    wanted: AuditFilter,
    fits: Callable[[int], bool],
    window: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit_log, "WINDOW", window)
    monkeypatch.setattr(audit_log, "WINDOWS", 2)
    await write(facts, 30)
    found: list[int] = []
    after: int | None = None
    while True:
        page = await log.list(wanted, after=after, limit=4)
        assert len(page.entries) <= 4
        found += [orjson.loads(row.detail)["number"] for row in page.entries]
        after = page.next
        if after is None:
            break
    assert found == [number for number in range(29, -1, -1) if fits(number)]


async def test_filters_without_meaning_are_refused(log: AuditLog) -> None:
    for wanted in (AuditFilter(target="team/app"), AuditFilter(outcome="good")):
        with pytest.raises(Invalid):
            await log.list(wanted)


async def test_export_is_json_lines(
    facts: Facts, clock: HeldClock, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "STEP", 7)
    rows = await sealed(facts, clock, 30)
    pieces = [piece async for piece in log.export(AuditFilter(actor="alice"))]
    assert len(pieces) > 1
    lines = [orjson.loads(line) for line in b"".join(pieces).splitlines()]
    assert lines == [as_json(row) for row in rows if row.actor == "alice"]
    assert lines[0] == {
        "id": rows[0].id,
        "at": NOON,
        "action": "tag.delete",
        "outcome": "ok",
        "actor_kind": "user",
        "actor": "alice",
        "credential": "password",
        "address": "192.0.2.1",
        "request_id": "r-1",
        "target_kind": "repository",
        "target": "team/app0",
        "project_id": 1,
        "detail": {"number": 0, "word": "müßig"},
        "sequence": 1,
        "hash": rows[0].hash,
    }


async def test_pulls_are_written_together(facts: Facts, database: Database, clock: HeldClock) -> None:
    await facts.write(ensure_repository, "team/app", NOON)
    pulls = PullLog(database, clock)
    assert await pulls.flush() == 0
    for _ in range(3):
        pulls.note(ALICE, "team/app", "sha256:aa", "v1")
    pulls.note(ALICE, "team/app", "sha256:aa")
    for _ in range(2):
        pulls.note(ALICE, "team/app", "sha256:bb", action=BLOB)
    pulls.note(replace(ALICE, identity=ANONYMOUS), "team/gone", "sha256:aa")
    assert await pulls.flush() == 4
    assert await pulls.flush() == 0
    log = AuditLog(database)
    (blob,) = (await log.list(AuditFilter(action="blob.pull"))).entries
    assert (blob.actor, blob.project_id, orjson.loads(blob.detail)) == ("alice", 1, {"digest": "sha256:bb", "count": 2})
    page = await log.list(AuditFilter(action="manifest.pull"), newest_first=False)
    told = [(row.actor, row.target, row.project_id, orjson.loads(row.detail)) for row in page.entries]
    assert told == [
        ("alice", "team/app", 1, {"digest": "sha256:aa", "tag": "v1", "count": 3}),
        ("alice", "team/app", 1, {"digest": "sha256:aa"}),
        ("", "team/gone", None, {"digest": "sha256:aa"}),
    ]
    assert (page.entries[0].address, page.entries[0].request_id, page.entries[0].at) == ("192.0.2.1", "r-1", NOON)


async def test_pulls_that_do_not_fit_are_counted(
    facts: Facts, database: Database, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_pulls, "MOST", 2)
    lost: list[int] = []
    pulls = PullLog(database, clock, lost.append)
    for number in range(7):
        pulls.note(ALICE, f"team/app{number}", "sha256:aa")
    await pulls.flush()
    assert lost == [5]
    rows = (await AuditLog(database).list(AuditFilter(), newest_first=False)).entries
    assert [row.target for row in rows] == ["team/app0", "team/app1", "audit"]
    assert (rows[2].action, orjson.loads(rows[2].detail)) == ("audit.lost", {"pulls": 5})


async def test_pulls_wait_for_a_database_that_is_down(database: Database, clock: HeldClock) -> None:
    class Down:
        up = False

        async def write(self, change: Callable[[Connection], object], *, durable: bool = True) -> object:
            if not self.up:
                raise Unavailable
            return await database.write(change, durable=durable)

    down = Down()
    pulls = PullLog(down, clock)  # type: ignore[arg-type]
    pulls.note(ALICE, "team/app", "sha256:aa")
    with pytest.raises(Unavailable):
        await pulls.flush()
    pulls.note(ALICE, "team/app", "sha256:aa")
    pulls.note(BOB, "team/app", "sha256:aa")
    down.up = True
    assert await pulls.flush() == 2
    rows = (await AuditLog(database).list(AuditFilter(), newest_first=False)).entries
    assert [(row.actor, orjson.loads(row.detail).get("count")) for row in rows] == [("alice", 2), ("team+bob", None)]


async def test_noting_a_pull_writes_nothing_and_equal_ones_are_one(database: Database, clock: HeldClock) -> None:
    pulls = PullLog(database, clock)
    for _ in range(20_000):
        pulls.note(ALICE, "team/app", "sha256:aa", "v1")
    assert (await AuditLog(database).list(AuditFilter())).entries == []
    assert await pulls.flush() == 1
    (row,) = (await AuditLog(database).list(AuditFilter())).entries
    assert orjson.loads(row.detail)["count"] == 20_000
