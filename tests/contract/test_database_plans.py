"""No list ever scans: how each query is carried out, asked of the database itself.

The statements are those that the functions really send. On SQLite a plan must not say SCAN; on PostgreSQL, where a
small table is read whole because that is cheaper, sequential scans and sorts are priced out of reach, and every index
scan must have a condition.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from moorage.accounts.decision import decide
from moorage.accounts.visibility import visible_repositories
from moorage.core.access import ANONYMOUS, Identity
from moorage.core.digest import digest_of
from moorage.core.events import Event
from moorage.metadata import (
    audit_chain,
    audit_list,
    blobs,
    events,
    limits,
    manifests,
    projects,
    referrers,
    repositories,
    schedules,
    tags,
    uploads,
)
from moorage.metadata.audit_list import AuditFilter
from moorage.metadata.database import Database, Lookup
from moorage.metadata.postgres import PostgresDatabase
from moorage.metadata.sqlite import SqliteDatabase
from moorage.testing.fakes import upload_key

Query = Callable[[Connection], Any]
DIGEST = digest_of(b"some content")
SESSION = uploads.UploadRow(upload_key(9), "a", "sha256")
NEW = manifests.NewManifest(digest_of(b"new"), "a/b", "", DIGEST, None, b"new", (("config", DIGEST),))

LISTS: dict[str, Query] = {
    "repositories": lambda c: repositories.list_repositories(c, "m", 100),
    "repositories from the first": lambda c: repositories.list_repositories(c, "", 100),
    "tags": lambda c: tags.list_tags(c, 1, "v1", 100),
    "tags from the first": lambda c: tags.list_tags(c, 1, "", 100),
    "stale uploads": lambda c: uploads.stale_uploads(c, 5.0, (1.0, upload_key(1)), 100),
    "referrers": lambda c: referrers.list_referrers(c, 1, DIGEST, types=(), after=5, limit=100, room=9999),
    "referrers of a type": lambda c: referrers.list_referrers(
        c, 1, DIGEST, types=("a/b", "c/d"), after=0, limit=100, room=9999
    ),
    "audit entries": lambda c: audit_list.entries(c, AuditFilter(), 1, 10**6, 100, newest_first=True),
    "audit entries of somebody": lambda c: audit_list.entries(
        c, AuditFilter(actor="alice"), 1, 10**6, 100, newest_first=True
    ),
    "audit entries about something": lambda c: audit_list.entries(
        c, AuditFilter(target_kind="repository", target="a/b"), 1, 10**6, 100, newest_first=False
    ),
    "audit entries of a project": lambda c: audit_list.entries(
        c, AuditFilter(project_id=1), 1, 10**6, 100, newest_first=False
    ),
    "the chain": lambda c: audit_chain.chained(c, 5, 100),
    "what is not sealed": audit_chain.has_unsealed,
}
"""They must come in order from the index, too: a sort would read all before it gives the first."""

LOOKED_UP: dict[str, Query] = {
    "sealing": lambda c: audit_chain.seal(c, 5.0, 100),
    "cutting": lambda c: audit_chain.cut(c, 5.0, 100, 9.0),
    "a cut that nothing tells of": audit_chain.untold_cut,
    "the project of a name": lambda c: projects.project_of(c, "a/b/c"),
    "edges of a time": lambda c: audit_list.bounds(c, AuditFilter(since=5.0, until=9.0)),
    "counting": lambda c: limits.add(c, "k", 1, 5.0, 10.0),
    "old counters": lambda c: limits.trim(c, 5.0, 100),
    "tags of a manifest": lambda c: tags.tags_of(c, 1),
    "a tag": lambda c: tags.tag_digest(c, 1, "v1"),
    "a tag to be moved": lambda c: tags.tag_digest(c, 1, "v1", hold=True),
    "moving a tag": lambda c: tags.point_tag(c, 1, "v1", 1, 5.0),
    "removing a tag": lambda c: tags.remove_tag(c, 1, "v1"),
    "a repository": lambda c: repositories.find_repository(c, "a"),
    "a session where the repository is there": lambda c: uploads.add_upload_where_there(c, SESSION, 5.0),
    "what refers to a subject": lambda c: referrers.referring(c, 1, DIGEST, [DIGEST, NEW.digest]),
    "sessions": lambda c: uploads.open_uploads(c, [upload_key(1), upload_key(2)]),
    "a manifest": lambda c: manifests.find_manifest(c, 1, DIGEST),
    "manifests": lambda c: manifests.known_manifests(c, 1, [DIGEST, NEW.digest]),
    "adding a manifest": lambda c: manifests.add_manifest(c, 1, NEW, "", 5.0),
    "removing a manifest": lambda c: manifests.remove_manifest(c, 77),
    "a payload": lambda c: manifests.payload_of(c, 1, DIGEST, "a/b"),
    "a linked blob": lambda c: blobs.find_linked(c, 1, DIGEST),
    "a source": lambda c: blobs.find_source(c, DIGEST),
    "links of a blob and its neighbours": lambda c: blobs.links_from(c, DIGEST, 100),
    "a source among some": lambda c: blobs.source_among(c, DIGEST, ["a", "b"]),
    "a repository's place": lambda c: repositories.place_of(c, "a"),
    "a new repository": lambda c: repositories.make_repository(c, "new/app", 5.0),
    "what anonymous sees": lambda c: visible_repositories(c, ANONYMOUS, "m", 100, 5.0),
    "what a user sees": lambda c: visible_repositories(c, Identity("a", "user", 1), "m", 100, 5.0),
    "what a user may do": lambda c: decide(c, Identity("a", "user", 1), "a/b/c", 5.0),
    "what a robot may do": lambda c: decide(c, Identity("a+b", "robot", 1), "a/b/c", 5.0),
    "linked blobs": lambda c: blobs.linked_digests(c, 1, [DIGEST, NEW.digest]),
    "a new blob": lambda c: blobs.add_blob(c, blobs.StoredBlob(DIGEST, 1, "x"), 1.0),
    "linking a blob": lambda c: blobs.link_blob(c, 1, DIGEST, 1.0),
    "renewing a lease": lambda c: blobs.renew_lease(c, "a", DIGEST, 5.0),
    "unlinking a blob": lambda c: blobs.unlink_blob(c, 1, DIGEST),
    "advancing an upload": lambda c: uploads.advance_upload(c, upload_key(1), 5, DIGEST, 5.0),
    "holding an upload": lambda c: uploads.hold_upload(c, upload_key(1), 0, b"12345", 5.0),
    "handing an upload over": lambda c: uploads.hand_over_upload(c, upload_key(1), 0, 5, DIGEST, 5.0),
    "removing an upload": lambda c: uploads.remove_upload(c, upload_key(1)),
    "removing a stale upload": lambda c: uploads.remove_stale_upload(c, upload_key(1), 5.0),
    "an event": lambda c: events.tell(c, Event("push", "a"), 5.0),
    "trimming events": lambda c: events.trim(c, 5.0, 100),
    "a turn": lambda c: schedules.take_turn(c, "purge", 5.0, 5.0),
}

LOOKUPS: dict[str, tuple[Lookup, tuple[object, ...]]] = {
    "manifest by tag": (manifests.MANIFEST_BY_TAG, ("a", "v1")),
    "manifest by digest": (manifests.MANIFEST_BY_DIGEST, ("a", DIGEST)),
    "part of a payload": (manifests.PAYLOAD_PART, (1, 10, 5)),
    "linked blob": (blobs.LINKED_BLOB, ("a", DIGEST)),
    "upload": (uploads.UPLOAD, (upload_key(1), "a")),
}


DEAR = ("enable_seqscan", "enable_sort", "enable_bitmapscan")
"""What PostgreSQL may still do, but only where there is no other way."""


class Sqlite:
    """Asks SQLite how it would run what a query sends."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def plans(self, query: Query) -> list[str]:
        """The steps of all statements of a query; it is undone afterwards."""
        raw = self._database._raw
        sent: list[str] = []
        raw.execute("BEGIN")
        raw.set_trace_callback(sent.append)
        try:
            await self._database.read(query)
        finally:
            raw.set_trace_callback(None)
            raw.execute("ROLLBACK")
        assert sent, "nothing was asked"
        return [step for statement in sent if not statement.startswith("--") for step in self.explain(statement)]

    def explain(self, statement: str) -> list[str]:
        return [str(row[3]) for row in self._database._raw.execute(f"EXPLAIN QUERY PLAN {statement}")]

    async def lookup(self, query: Lookup, values: tuple[object, ...]) -> list[str]:
        statement, _ = query.compile(self._database._dialect)
        rows = self._database._raw.execute(f"EXPLAIN QUERY PLAN {statement}", values)
        return [str(row[3]) for row in rows]

    @staticmethod
    def scans(steps: list[str]) -> list[str]:
        return [step for step in steps if step.startswith("SCAN") and "CONSTANT ROW" not in step]

    @staticmethod
    def sorts(steps: list[str]) -> list[str]:
        return [step for step in steps if "TEMP B-TREE" in step]


class Undone(Exception):
    """Ends a transaction that was only asked about."""


class Postgres:
    """Asks PostgreSQL the same."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def plans(self, query: Query) -> list[str]:
        found: list[str] = []

        def run(connection: Connection) -> None:
            for way in DEAR:
                connection.execute(text(f"SET LOCAL {way} = off"))
            sent: list[tuple[str, Any]] = []

            def remember(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, many: bool) -> None:
                sent.append((statement, parameters[0] if many else parameters))

            event.listen(connection, "before_cursor_execute", remember)
            try:
                query(connection)
            finally:
                event.remove(connection, "before_cursor_execute", remember)
            assert sent, "nothing was asked"
            for statement, parameters in sent:
                rows = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
                found.extend(_nodes(rows.scalar_one()))
            raise Undone

        with pytest.raises(Undone):
            await self._database.write(run)
        return found

    async def lookup(self, query: Lookup, values: tuple[object, ...]) -> list[str]:
        statement, order = query.compile(self._database._engine.dialect)
        values = values if order is None else tuple(values[place] for place in order)
        pool = await self._database._open()
        async with pool.acquire() as connection, connection.transaction():
            for way in DEAR:
                await connection.execute(f"SET LOCAL {way} = off")
            return list(_nodes(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *values)))

    @staticmethod
    def scans(steps: list[str]) -> list[str]:
        return [step for step in steps if step.startswith("Seq Scan") or ("Scan" in step and "no condition" in step)]

    @staticmethod
    def sorts(steps: list[str]) -> list[str]:
        return [step for step in steps if step.startswith("Sort")]


def _nodes(document: Any) -> Iterator[str]:
    """Each node of a plan as `kind on table by index (condition)`."""
    pending = [json.loads(document) if isinstance(document, str) else document]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
            continue
        pending += [value for key, value in node.items() if key in ("Plan", "Plans")]
        if "Node Type" in node:
            kind, table = node["Node Type"], node.get("Relation Name", "")
            bitmap = kind == "Bitmap Heap Scan"  # its condition is checked again here; the index scan below has it
            condition = node.get("Index Cond", node.get("TID Cond", "no condition" if not bitmap else "see below"))
            relevant = "Scan" in kind and (table or "Index" in kind)
            yield f"{kind} on {table} by {node.get('Index Name', 'none')} ({condition})" if relevant else kind


Planner = Sqlite | Postgres


@pytest.fixture
async def planner(database: Database) -> Planner:
    """After some rows were written, so that no plan is made for an empty table."""

    def fill(connection: Connection) -> None:
        repository = repositories.ensure_repository(connection, "a", 1.0)
        key = manifests.add_manifest(connection, repository, NEW, "", 1.0)
        blobs.add_blob(connection, blobs.StoredBlob(DIGEST, 1, "x"), 1.0)
        tags.point_tag(connection, repository, "v1", key, 1.0)
        schedules.take_turn(connection, "purge", 1.0, 1.0)

    await database.write(fill)
    return Sqlite(database) if isinstance(database, SqliteDatabase) else Postgres(database)  # type: ignore[arg-type]


@pytest.mark.parametrize("query", LISTS.values(), ids=LISTS.keys())
async def test_lists_come_in_order_from_an_index(planner: Planner, query: Query) -> None:
    steps = await planner.plans(query)
    assert planner.scans(steps) == []
    assert planner.sorts(steps) == []


@pytest.mark.parametrize("query", LOOKED_UP.values(), ids=LOOKED_UP.keys())
async def test_nothing_else_scans_either(planner: Planner, query: Query) -> None:
    assert planner.scans(await planner.plans(query)) == []


@pytest.mark.parametrize(("query", "values"), LOOKUPS.values(), ids=LOOKUPS.keys())
async def test_the_hottest_lookups_do_not_scan(planner: Planner, query: Lookup, values: tuple[object, ...]) -> None:
    steps = await planner.lookup(query, values)
    assert steps
    assert planner.scans(steps) == []


async def test_a_scan_would_be_seen(planner: Planner) -> None:
    """The check of the check."""
    scanning: list[Query] = [
        lambda c: c.execute(text("SELECT name FROM tags WHERE updated_at > 5")).all(),
        lambda c: c.execute(text("SELECT name FROM repositories WHERE created_at > 5 ORDER BY name")).all(),
        lambda c: c.execute(text("UPDATE uploads SET actor = 'x' WHERE actor = 'y'")),
    ]
    for query in scanning:
        assert planner.scans(await planner.plans(query))
    sorting = text("SELECT name FROM tags WHERE repository_id = 1 ORDER BY updated_at")
    assert planner.sorts(await planner.plans(lambda c: c.execute(sorting).all()))
