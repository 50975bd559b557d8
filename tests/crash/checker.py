"""Looks at a stopped registry's database and disk with its own eyes: no line of the program takes part.

    python -m tests.crash.checker ROOT

prints what contradicts the invariants of a registry after a crash:

I2  a tag points to a manifest of its repository; a manifest's blobs are linked there, its children are there
I3  every blob has a file, which has the digest that its name says, or its bytes are kept by the database
I4  an operation is done in whole: history, events, tags and manifests agree
I5  the database is sound; every file has its place, and what is left over lies where the purge finds it
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]

TABLES = {
    "repositories": "id, name",
    "manifests": "id, repository_id, digest, size, payload",
    "manifest_references": "manifest_id, kind, digest",
    "tags": "repository_id, name, manifest_id",
    "tag_history": "id, repository_id, name, digest",
    "blobs": "digest, size, location",
    "blob_links": "repository_id, digest",
    "unsynced_blobs": "number, digest, content",
    "uploads": 'id, repository, "offset", digest, content',
    "events": "action, repository, payload",
}
UPLOAD_KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
BLOBS = "docker/registry/v2/blobs"
BLOB_FILE = re.compile(BLOBS + r"/(sha256|sha512)/([0-9a-f]{2})/(\2[0-9a-f]+)/data")
DATABASE_FILES = re.compile(r"lock|moorage\.db(-wal|-shm|\.lock)?|run-[^/]+/.*")


@dataclass
class Facts:
    """The rows of all tables, and what the database says against itself."""

    problems: list[str] = field(default_factory=list)
    rows: dict[str, list[Row]] = field(default_factory=dict)

    def __getitem__(self, table: str) -> list[Row]:
        return self.rows[table]


def sqlite_facts(database: Path) -> Facts:
    """Read a copy, so that what the program will find after its crash stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("", "-wal"):
            source = Path(f"{database}{ending}")
            if source.exists():
                shutil.copy(source, Path(folder) / f"copy.db{ending}")
        connection = sqlite3.connect(Path(folder) / "copy.db")
        connection.row_factory = sqlite3.Row
        try:
            facts = Facts()
            found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            facts.problems += [f"integrity_check: {line}" for line in found if line != "ok"]
            facts.problems += [
                f"foreign_key_check: {tuple(row)}" for row in connection.execute("PRAGMA foreign_key_check")
            ]
            for table, columns in TABLES.items():
                facts.rows[table] = [dict(row) for row in connection.execute(f"SELECT {columns} FROM {table}")]
            return facts
        finally:
            connection.close()


def postgres_facts(url: str) -> Facts:
    """The same from PostgreSQL, in one snapshot."""

    async def read() -> Facts:
        import asyncpg

        connection = await asyncpg.connect(url)
        try:
            facts = Facts()
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                for table, columns in TABLES.items():
                    facts.rows[table] = [dict(row) for row in await connection.fetch(f"SELECT {columns} FROM {table}")]
            return facts
        finally:
            await connection.close()

    return asyncio.run(read())


def check(root: Path, facts: Facts | None = None, *, power_was_lost: bool = False) -> list[str]:
    """All contradictions, as sentences; none where everything is well.

    Args:
        root: the registry's directory.
        facts: its database; read from SQLite below the root unless given.
        power_was_lost: then the file of an upload may be shorter than its row says, or gone; the session ends. That of
            a small blob may be damaged or gone where the database keeps its bytes, and damaged where no row names it.
    """
    facts = facts or sqlite_facts(root / "moorage.db")
    return [
        *facts.problems,
        *_manifests(facts),
        *_tags(facts),
        *_kept(facts),
        *_blobs(facts, root, power_was_lost=power_was_lost),
        *(() if power_was_lost else _shortened_uploads(facts, root)),
        *_uploads(facts, root),
        *_events(facts),
        *_files(root, _certain(facts) if power_was_lost else None),
    ]


def _manifests(facts: Facts) -> Iterator[str]:
    links = {(row["repository_id"], row["digest"]) for row in facts["blob_links"]}
    manifests = {(row["repository_id"], row["digest"]) for row in facts["manifests"]}
    by_id = {row["id"]: row for row in facts["manifests"]}
    for row in facts["manifests"]:
        payload = bytes(row["payload"])
        if _digest(row["digest"], payload) != row["digest"] or len(payload) != row["size"]:
            yield f"manifest {row['digest']} holds other bytes"
        named = {entry["digest"] for entry in _named(json.loads(payload))}
        recorded = {ref["digest"] for ref in facts["manifest_references"] if ref["manifest_id"] == row["id"]}
        if named != recorded:
            yield f"manifest {row['digest']} names {sorted(named ^ recorded)} in one place only"
    for reference in facts["manifest_references"]:
        manifest = by_id.get(reference["manifest_id"])
        if manifest is None:
            yield f"{reference['kind']} {reference['digest']} is named by no manifest"
            continue
        key = (manifest["repository_id"], reference["digest"])
        there = key in links or (reference["kind"] == "child" and key in manifests)
        if reference["kind"] != "foreign" and not there:
            yield f"{reference['kind']} {reference['digest']} of manifest {reference['manifest_id']} is not there"


def _named(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from ([manifest["config"]] if "config" in manifest else [])
    yield from manifest.get("layers", ())
    yield from manifest.get("manifests", ())


def _tags(facts: Facts) -> Iterator[str]:
    manifests = {row["id"]: row for row in facts["manifests"]}
    current: dict[tuple[int, str], str] = {}
    for row in facts["tags"]:
        manifest = manifests.get(row["manifest_id"])
        if manifest is None or manifest["repository_id"] != row["repository_id"]:
            yield f"tag {row['name']} points to no manifest of its repository"
        else:
            current[row["repository_id"], row["name"]] = manifest["digest"]
    moved: dict[tuple[int, str], str | None] = {}
    for row in sorted(facts["tag_history"], key=lambda row: int(row["id"])):
        moved[row["repository_id"], row["name"]] = row["digest"]
    if {key: digest for key, digest in moved.items() if digest is not None} != current:
        yield "the tags are not where their history ends"


def _kept(facts: Facts) -> Iterator[str]:
    for row in facts["unsynced_blobs"]:
        if _digest(row["digest"], row["content"]) != row["digest"]:
            yield f"other bytes are kept for blob {row['digest']}"


def _certain(facts: Facts) -> set[str]:
    """The places of blobs that a loss of power leaves alone."""
    kept = {row["digest"] for row in facts["unsynced_blobs"]}
    return {row["location"] for row in facts["blobs"] if row["digest"] not in kept}


def _blobs(facts: Facts, root: Path, *, power_was_lost: bool) -> Iterator[str]:
    known = {row["digest"] for row in facts["blobs"]}
    kept = {row["digest"] for row in facts["unsynced_blobs"]}
    for row in facts["blobs"]:
        path = root / row["location"]
        if row["digest"] in kept and (power_was_lost or not path.exists()):
            continue
        if not path.is_file():
            yield f"blob {row['digest']} has no file"
        elif path.stat().st_size != row["size"]:
            yield f"the file of blob {row['digest']} has {path.stat().st_size} bytes instead of {row['size']}"
        elif _digest(row["digest"], path.read_bytes()) != row["digest"]:
            yield f"the file of blob {row['digest']} holds other bytes"
    for row in facts["blob_links"]:
        if row["digest"] not in known:
            yield f"a repository links blob {row['digest']}, which is not known"


def _shortened_uploads(facts: Facts, root: Path) -> Iterator[str]:
    for row in facts["uploads"]:
        if row["content"] is not None:
            continue
        path = root / "uploads" / row["id"]
        size = path.stat().st_size if path.exists() else 0
        # Sealed already: killed between the rename and the commit that ends the session.
        if size < row["offset"] and (path.exists() or not _sealed(root, row)):
            yield f"upload {row['id']} had {row['offset']} bytes and has {size}"


def _uploads(facts: Facts, root: Path) -> Iterator[str]:
    for row in facts["uploads"]:
        if row["content"] is not None:
            if len(row["content"]) != row["offset"]:
                yield f"upload {row['id']} holds {len(row['content'])} bytes in its row instead of {row['offset']}"
            continue
        path = root / "uploads" / row["id"]
        data = path.read_bytes() if path.exists() else b""
        whole = row["digest"] and len(data) >= row["offset"]
        if whole and _digest(row["digest"], data[: row["offset"]]) != row["digest"]:
            yield f"upload {row['id']} holds other bytes than its digest says"


def _sealed(root: Path, row: Row) -> bool:
    """Whether a blob begins with the bytes that the upload had."""
    if not row["digest"]:
        return True
    for path in (root / BLOBS).glob("*/*/*/data"):
        if _digest(row["digest"], path.read_bytes()[: row["offset"]]) == row["digest"]:
            return True
    return False


def _events(facts: Facts) -> Iterator[str]:
    names = {row["id"]: row["name"] for row in facts["repositories"]}
    told = {(row["action"], row["repository"], json.loads(row["payload"])["digest"]) for row in facts["events"]}
    pushed = [(table, row) for table in ("manifests", "blob_links") for row in facts[table]]
    for table, row in pushed:
        name = names[row["repository_id"]]
        if not {("push", name, row["digest"]), ("mount", name, row["digest"])} & told:
            yield f"no event tells that {row['digest']} came to {table} of {name}"


def _files(root: Path, named: set[str] | None) -> Iterator[str]:
    """`named`: the places of blobs, where files elsewhere may hold anything (None: they may not)."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_dir() or DATABASE_FILES.fullmatch(name):
            continue
        blob = BLOB_FILE.fullmatch(name)
        if blob is not None:
            # Also one that no row knows yet: it was named only after its bytes were checked and written.
            digest = f"{blob[1]}:{blob[3]}"
            if (named is None or name in named) and _digest(digest, path.read_bytes()) != digest:
                yield f"the file {name} does not hold what its name says"
        elif path.parent != root / "uploads" or not UPLOAD_KEY.fullmatch(path.name):
            yield f"the file {name} has no place in a registry and no purge finds it"


def _digest(like: str, data: bytes) -> str:
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def main() -> int:
    """Check the root given as argument."""
    problems = check(Path(sys.argv[1]))
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
