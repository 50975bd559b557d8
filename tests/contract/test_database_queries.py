"""Every query function of the facts, on both databases: what it finds, what it changes, what it leaves alone."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from sqlalchemy import Connection, select

from moorage.core.digest import digest_of
from moorage.core.events import Event
from moorage.core.media_types import OCI_INDEX, OCI_MANIFEST
from moorage.metadata.blobs import (
    IN_LIMIT,
    LINKED_BLOB,
    StoredBlob,
    add_blob,
    batches,
    find_linked,
    find_source,
    link_blob,
    linked_digests,
    renew_lease,
    unlink_blob,
)
from moorage.metadata.database import Database
from moorage.metadata.events import tell, trim
from moorage.metadata.manifests import (
    INLINE_LIMIT,
    MANIFEST_BY_DIGEST,
    MANIFEST_BY_TAG,
    PAYLOAD_PART,
    NewManifest,
    add_manifest,
    find_manifest,
    known_manifests,
    payload_of,
    remove_manifest,
)
from moorage.metadata.projects import ROOT
from moorage.metadata.referrers import list_referrers, referring
from moorage.metadata.repositories import ensure_repository, find_repository, list_repositories
from moorage.metadata.schedules import take_turn
from moorage.metadata.tables import events, manifest_references, tag_history, uploads
from moorage.metadata.tags import list_tags, point_tag, record_move, remove_tag, tag_digest, tags_of
from moorage.metadata.uploads import (
    UPLOAD,
    UploadRow,
    add_upload,
    advance_upload,
    count_uploads,
    hand_over_upload,
    hold_upload,
    open_uploads,
    remove_stale_upload,
    remove_upload,
    stale_uploads,
)
from moorage.testing.fakes import upload_key
from moorage.testing.streams import content
from tests.support.facts import Facts

PAYLOAD = b'{"schemaVersion": 2, "what": "ever"}'


def manifest(payload: bytes = PAYLOAD, *, subject: str | None = None, artifact_type: str = "") -> NewManifest:
    references = (("config", digest_of(b"config")), ("layer", digest_of(b"one")), ("layer", digest_of(b"one")))
    return NewManifest(digest_of(payload), OCI_MANIFEST, artifact_type, subject, None, payload, references)


def blob(data: bytes) -> StoredBlob:
    return StoredBlob(digest_of(data), len(data), f"somewhere/{digest_of(data)}")


async def linked(facts: Facts, repository: int, data: bytes, now: float = 10.0) -> StoredBlob:
    one = blob(data)
    await facts.write(add_blob, one, now)
    await facts.write(link_blob, repository, one.digest, now)
    return one


# --- repositories


async def test_a_repository_is_made_once(facts: Facts, name: str) -> None:
    assert await facts.read(find_repository, name) is None
    made = await facts.write(ensure_repository, name, 1.0)
    assert await facts.write(ensure_repository, name, 2.0) == made
    assert await facts.read(find_repository, name) == made
    assert await facts.read(find_repository, name[:-1]) is None
    assert await facts.read(find_repository, name.upper()) is None


async def test_repositories_in_byte_order_after_any_text(facts: Facts, name: str) -> None:
    """`-` < `.` < `/` < digits < `_` < letters: no locale has a say."""
    ends = ["", "-b", ".b", "/b", "0", "_b", "__b", "a", "b", "z", "/b/c", "-b/c", "2/a", "10/a"]
    for end in ends:
        await facts.write(ensure_repository, f"{name}{end}", 1.0)
    expected = sorted((f"{name}{end}" for end in ends), key=str.encode)
    assert await facts.read(list_repositories, name, len(ends) - 1) == expected[1:]
    for number, after in enumerate(expected[:-1]):
        assert await facts.read(list_repositories, after, 1) == [expected[number + 1]]
    assert await facts.read(list_repositories, f"{name}.b!", 1) == [f"{name}/b"]
    assert await facts.read(list_repositories, "zzz", 5) == []


# --- manifests


async def test_a_manifest_is_stored_byte_for_byte(facts: Facts, name: str, repository: int) -> None:
    payload = b'{\n  "a" : 1,\t"\xc3\xa4": "\xf0\x9d\x84\x9e"}\n\n'
    new = manifest(payload)
    assert await facts.read(find_manifest, repository, new.digest) is None
    key = await facts.write(add_manifest, repository, new, "alice", 5.0)
    assert await facts.read(find_manifest, repository, new.digest) == key
    row = await facts.database.lookup(MANIFEST_BY_DIGEST, name, new.digest)
    assert row is not None
    assert tuple(row) == (new.digest, OCI_MANIFEST, len(payload), key, payload, ROOT, repository)
    assert await facts.read(payload_of, repository, new.digest, OCI_MANIFEST) == payload
    assert await facts.read(payload_of, repository, new.digest, OCI_INDEX) is None


async def test_a_manifest_pushed_again_stays_as_it_is(facts: Facts, repository: int) -> None:
    new = manifest()
    key = await facts.write(add_manifest, repository, new, "alice", 5.0)
    assert await facts.write(add_manifest, repository, new, "bob", 6.0) == key
    assert await facts.read(references, key) == list(enumerate(new.references))


async def test_a_manifest_belongs_to_its_repository(facts: Facts, name: str, repository: int) -> None:
    new = manifest()
    await facts.write(add_manifest, repository, new, "", 5.0)
    other = await facts.write(ensure_repository, f"{name}/other", 5.0)
    assert await facts.read(find_manifest, other, new.digest) is None
    assert await facts.database.lookup(MANIFEST_BY_DIGEST, f"{name}/other", new.digest) is None
    assert await facts.read(known_manifests, other, [new.digest]) == set()
    assert await facts.write(add_manifest, other, new, "", 5.0) != await facts.read(
        find_manifest, repository, new.digest
    )


async def test_what_a_manifest_names_is_kept_in_order(facts: Facts, repository: int) -> None:
    named = tuple((kind, digest_of(kind.encode())) for kind in ("config", "layer", "foreign", "child"))
    key = await facts.write(add_manifest, repository, replace(manifest(), references=named), "", 5.0)
    assert await facts.read(references, key) == list(enumerate(named))
    bare = replace(manifest(b"bare"), references=())
    assert await facts.read(references, await facts.write(add_manifest, repository, bare, "", 5.0)) == []


def references(connection: Connection, key: int) -> list[tuple[int, tuple[str, str]]]:
    table = manifest_references
    statement = select(table.c.position, table.c.kind, table.c.digest).where(table.c.manifest_id == key)
    return [
        (position, (kind, digest))
        for position, kind, digest in connection.execute(statement.order_by(table.c.position))
    ]


async def test_known_manifests_of_very_many(facts: Facts, repository: int) -> None:
    """More than fit in one IN (...), with repetitions."""
    known = [manifest(f"{number}".encode()) for number in range(5)]
    for new in known:
        await facts.write(add_manifest, repository, new, "", 5.0)
    asked = [digest_of(f"{number % 1200}".encode()) for number in range(2500)]
    assert await facts.read(known_manifests, repository, asked) == {new.digest for new in known}
    assert await facts.read(known_manifests, repository, []) == set()


async def test_a_removed_manifest_is_gone_with_what_it_named(facts: Facts, repository: int) -> None:
    kept, gone = manifest(b"kept"), manifest(b"gone")
    kept_key = await facts.write(add_manifest, repository, kept, "", 5.0)
    gone_key = await facts.write(add_manifest, repository, gone, "", 5.0)
    await facts.write(remove_manifest, gone_key)
    assert await facts.read(find_manifest, repository, gone.digest) is None
    assert await facts.read(references, gone_key) == []
    assert await facts.read(references, kept_key) == list(enumerate(kept.references))


async def test_a_manifest_with_a_tag_cannot_be_removed(facts: Facts, repository: int) -> None:
    """The database itself sees to it that no tag points nowhere."""
    key = await facts.write(add_manifest, repository, manifest(), "", 5.0)
    await facts.write(point_tag, repository, "v1", key, 6.0)
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        await facts.write(remove_manifest, key)
    assert await facts.read(tag_digest, repository, "v1") == manifest().digest


@pytest.mark.parametrize("size", [INLINE_LIMIT - 1, INLINE_LIMIT, INLINE_LIMIT + 1, 3 * INLINE_LIMIT + 7])
async def test_a_large_payload_is_read_in_parts(facts: Facts, name: str, repository: int, size: int) -> None:
    payload = content(size)
    new = manifest(payload)
    key = await facts.write(add_manifest, repository, new, "", 5.0)
    await facts.write(point_tag, repository, "large", key, 5.0)
    for query, reference in ((MANIFEST_BY_DIGEST, new.digest), (MANIFEST_BY_TAG, "large")):
        row = await facts.database.lookup(query, name, reference)
        assert row is not None
        assert row[2] == size
        assert row[4] == (payload if size <= INLINE_LIMIT else None)
    parts = []
    for start in range(0, size, 100_000):
        part = await facts.database.lookup(PAYLOAD_PART, start + 1, 100_000, key)
        assert part is not None
        parts.append(part[0])
    assert b"".join(parts) == payload  # type: ignore[arg-type]
    assert await facts.database.lookup(PAYLOAD_PART, 1, 10, -key) is None


# --- tags


async def test_a_tag_points_moves_and_goes(facts: Facts, name: str, repository: int) -> None:
    first = await facts.write(add_manifest, repository, manifest(b"first"), "", 5.0)
    second = await facts.write(add_manifest, repository, manifest(b"second"), "", 5.0)
    assert await facts.read(tag_digest, repository, "v1") is None
    assert await facts.database.lookup(MANIFEST_BY_TAG, name, "v1") is None
    for key, payload in ((first, b"first"), (second, b"second"), (second, b"second")):
        await facts.write(point_tag, repository, "v1", key, 6.0)
        assert await facts.read(tag_digest, repository, "v1") == digest_of(payload)
        assert await facts.write(tag_digest, repository, "v1", hold=True) == digest_of(payload)
        row = await facts.database.lookup(MANIFEST_BY_TAG, name, "v1")
        assert row is not None
        assert row[4] == payload
    assert await facts.write(remove_tag, repository, "v1")
    assert not await facts.write(remove_tag, repository, "v1")
    assert await facts.database.lookup(MANIFEST_BY_TAG, name, "v1") is None


async def test_a_tag_is_matched_letter_by_letter(facts: Facts, repository: int) -> None:
    key = await facts.write(add_manifest, repository, manifest(), "", 5.0)
    await facts.write(point_tag, repository, "Latest", key, 6.0)
    for other in ("latest", "LATEST", "Latest ", "Lates", "Latest1"):
        assert await facts.read(tag_digest, repository, other) is None


BYTE_ORDER = [
    "0.1.2",
    "0.1.20",
    "0.1.2_",
    "1",
    "10",
    "2",
    "A",
    "B",
    "Z",
    "_",
    "__",
    "a",
    "a-b",
    "a.b",
    "aB",
    "a_",
    "ab",
    "b",
]
"""As `LC_ALL=C sort` gives it."""


async def test_tags_are_listed_in_byte_order(facts: Facts, repository: int) -> None:
    key = await facts.write(add_manifest, repository, manifest(), "", 5.0)
    for tag in random.Random(1).sample(BYTE_ORDER, len(BYTE_ORDER)):
        await facts.write(point_tag, repository, tag, key, 6.0)
    assert sorted(BYTE_ORDER, key=str.encode) == BYTE_ORDER
    assert await facts.read(list_tags, repository, "", 100) == BYTE_ORDER
    assert await facts.read(tags_of, key) == BYTE_ORDER
    for number, after in enumerate(BYTE_ORDER):
        assert await facts.read(list_tags, repository, after, 3) == BYTE_ORDER[number + 1 : number + 4]
    assert await facts.read(list_tags, repository, "a-", 1) == ["a-b"]
    assert await facts.read(list_tags, repository, "ZZZ", 1) == ["_"]
    assert await facts.read(list_tags, repository, "~", 1) == []


async def test_tags_of_another_repository_are_not_listed(facts: Facts, name: str, repository: int) -> None:
    other = await facts.write(ensure_repository, f"{name}/other", 1.0)
    key = await facts.write(add_manifest, other, manifest(), "", 5.0)
    await facts.write(point_tag, other, "v1", key, 6.0)
    assert await facts.read(list_tags, repository, "", 100) == []


async def test_history_says_who_moved_what_to_what_and_when(facts: Facts, repository: int) -> None:
    steps: list[tuple[str | None, str | None]] = [("sha256:1", None), ("sha256:2", "sha256:1"), (None, "sha256:2")]
    for number, (digest, previous) in enumerate(steps):
        await facts.write(
            record_move, repository, "v1", digest=digest, previous=previous, actor="alice", now=float(number)
        )
    table = tag_history
    statement = select(table.c.name, table.c.digest, table.c.previous, table.c.actor, table.c.at)
    rows = await facts.read(
        lambda connection: connection.execute(
            statement.where(table.c.repository_id == repository).order_by(table.c.id)
        ).all()
    )
    assert [tuple(row) for row in rows] == [
        ("v1", digest, previous, "alice", float(number)) for number, (digest, previous) in enumerate(steps)
    ]


# --- blobs


async def test_a_blob_is_seen_only_where_it_is_linked(facts: Facts, name: str, repository: int) -> None:
    one = blob(name.encode())
    await facts.write(add_blob, one, 10.0)
    assert await facts.read(find_linked, repository, one.digest) is None
    assert await facts.database.lookup(LINKED_BLOB, name, one.digest) is None
    await facts.write(link_blob, repository, one.digest, 11.0)
    assert await facts.read(find_linked, repository, one.digest) == one
    row = await facts.database.lookup(LINKED_BLOB, name, one.digest)
    assert row is not None
    assert tuple(row) == (one.size, one.location, 11.0, ROOT, repository)
    other = await facts.write(ensure_repository, f"{name}/other", 1.0)
    assert await facts.read(find_linked, other, one.digest) is None
    assert await facts.database.lookup(LINKED_BLOB, f"{name}/other", one.digest) is None


async def test_a_blob_stored_again_has_its_newest_place(facts: Facts, name: str, repository: int) -> None:
    one = await linked(facts, repository, name.encode())
    moved = replace(one, location="elsewhere")
    await facts.write(add_blob, moved, 12.0)
    assert await facts.read(find_linked, repository, one.digest) == moved


async def test_a_link_of_an_unknown_blob_is_refused_by_the_database(facts: Facts, repository: int) -> None:
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        await facts.write(link_blob, repository, digest_of(b"never stored anywhere"), 1.0)


async def test_linking_again_and_renewing_move_the_lease(facts: Facts, name: str, repository: int) -> None:
    one = await linked(facts, repository, name.encode(), 10.0)
    await facts.write(link_blob, repository, one.digest, 20.0)
    assert await lease(facts, name, one.digest) == 20.0
    assert await facts.write(renew_lease, name, one.digest, 30.0)
    assert await lease(facts, name, one.digest) == 30.0
    assert not await facts.write(renew_lease, name, digest_of(b"other"), 40.0)
    assert not await facts.write(renew_lease, f"{name}/none", one.digest, 40.0)
    assert await lease(facts, name, one.digest) == 30.0


async def lease(facts: Facts, name: str, digest: str) -> object:
    row = await facts.database.lookup(LINKED_BLOB, name, digest)
    assert row is not None
    return row[2]


async def test_unlinking_takes_it_from_one_repository(facts: Facts, name: str, repository: int) -> None:
    one = await linked(facts, repository, name.encode())
    other = await facts.write(ensure_repository, f"{name}/other", 1.0)
    await facts.write(link_blob, other, one.digest, 1.0)
    assert await facts.write(unlink_blob, repository, one.digest)
    assert not await facts.write(unlink_blob, repository, one.digest)
    assert await facts.read(find_linked, repository, one.digest) is None
    assert await facts.read(find_linked, other, one.digest) == one


async def test_a_source_for_a_mount(facts: Facts, name: str, repository: int) -> None:
    one = blob(name.encode())
    assert await facts.read(find_source, one.digest) is None
    await facts.write(add_blob, one, 10.0)
    assert await facts.read(find_source, one.digest) is None
    await facts.write(link_blob, repository, one.digest, 10.0)
    other = await facts.write(ensure_repository, f"{name}/other", 1.0)
    await facts.write(link_blob, other, one.digest, 10.0)
    assert await facts.read(find_source, one.digest) in (name, f"{name}/other")


async def test_linked_digests_of_very_many(facts: Facts, repository: int) -> None:
    known = {(await linked(facts, repository, f"{number}".encode())).digest for number in range(5)}
    asked = [digest_of(f"{number % 1200}".encode()) for number in range(2500)]
    assert await facts.read(linked_digests, repository, asked) == known
    assert await facts.read(linked_digests, repository, []) == set()


@pytest.mark.parametrize("count", [0, 1, IN_LIMIT - 1, IN_LIMIT, IN_LIMIT + 1, 3 * IN_LIMIT])
def test_batches(count: int) -> None:
    values = [str(number) for number in range(count)]
    found = list(batches([*values, *values]))
    assert [value for batch in found for value in batch] == values
    assert all(0 < len(batch) <= IN_LIMIT for batch in found)


# --- referrers


async def test_referrers_oldest_first(facts: Facts, repository: int) -> None:
    subject = digest_of(b"subject")
    made = []
    for number in range(6):
        new = manifest(f"referrer {number}".encode(), subject=subject, artifact_type=f"type/{number % 3}")
        new = replace(new, annotations=json.dumps({"n": str(number)}) if number % 2 else None)
        made.append((await facts.write(add_manifest, repository, new, "", float(-number)), new))
    await facts.write(add_manifest, repository, manifest(b"x", subject=digest_of(b"another")), "", 1.0)
    await facts.write(add_manifest, repository, manifest(b"no referrer", artifact_type="type/0"), "", 1.0)

    async def listed(types: tuple[str, ...] = (), after: int = 0, limit: int = 100) -> list[str]:
        found = await facts.read(list_referrers, repository, subject, types=types, after=after, limit=limit, room=10**9)
        return [referrer.digest for referrer in found]

    digests = [new.digest for _, new in made]
    assert await listed() == digests
    for room, fit in ((0, 1), (1, 1), (11, 2), (10**9, 6)):  # a manifest has ten bytes
        found = await facts.read(list_referrers, repository, subject, types=(), after=0, limit=100, room=room)
        assert [referrer.digest for referrer in found] == digests[:fit]
    assert await listed(limit=2) == digests[:2]
    assert await listed(after=made[1][0], limit=3) == digests[2:5]
    assert await listed(("type/0",)) == [digests[0], digests[3]]
    assert await listed(("type/0", "type/2")) == [digests[0], digests[2], digests[3], digests[5]]
    assert await listed(("type/none",)) == []
    first = (await facts.read(list_referrers, repository, subject, types=(), after=made[0][0], limit=1, room=10**9))[0]
    assert (first.id, first.media_type, first.size) == (made[1][0], OCI_MANIFEST, len(b"referrer 1"))
    assert (first.artifact_type, first.annotations) == ("type/1", '{"n": "1"}')


async def test_referrers_of_another_repository_are_not_listed(facts: Facts, name: str, repository: int) -> None:
    other = await facts.write(ensure_repository, f"{name}/other", 1.0)
    subject = digest_of(b"subject")
    await facts.write(add_manifest, other, manifest(subject=subject), "", 1.0)
    assert await facts.read(list_referrers, repository, subject, types=(), after=0, limit=10, room=10**9) == []


async def test_which_of_many_refer_to_a_subject(facts: Facts, name: str, repository: int) -> None:
    other = await facts.write(ensure_repository, f"{name}/other", 1.0)
    subject, another = digest_of(b"subject"), digest_of(b"another")
    mine = [manifest(f"mine {number}".encode(), subject=subject) for number in range(3)]
    for new in (*mine, manifest(b"theirs", subject=another), manifest(b"nobody's")):
        await facts.write(add_manifest, repository, new, "", 1.0)
    await facts.write(add_manifest, other, manifest(b"elsewhere", subject=subject), "", 1.0)
    asked: list[str] = [digest_of(f"{number}".encode()) for number in range(1200)]
    asked += [digest_of(data) for data in (b"theirs", b"nobody's", b"elsewhere")]
    asked += [new.digest for new in mine[1:]]
    assert await facts.read(referring, repository, subject, asked) == {new.digest for new in mine[1:]}
    assert await facts.read(referring, repository, subject, []) == set()


# --- uploads


def session(number: int, name: str) -> UploadRow:
    return UploadRow(upload_key(number), name, "sha256", actor="alice")


@pytest.fixture
async def no_uploads(facts: Facts) -> None:
    await facts.database.write(lambda connection: connection.execute(uploads.delete()))


@pytest.mark.usefixtures("no_uploads")
async def test_an_upload_from_begin_to_end(facts: Facts, name: str) -> None:
    row = session(1, name)
    await facts.write(add_upload, row, 10.0)
    assert await facts.read(count_uploads) == 1
    found = await facts.database.lookup(UPLOAD, row.id, name)
    assert found is not None
    assert tuple(found) == ("sha256", 0, None, None)
    assert await facts.database.lookup(UPLOAD, row.id, f"{name}/other") is None
    assert await facts.database.lookup(UPLOAD, upload_key(2), name) is None
    assert await facts.write(advance_upload, row.id, 2**40, digest_of(b"so far"), 20.0)
    found = await facts.database.lookup(UPLOAD, row.id, name)
    assert found is not None
    assert tuple(found) == ("sha256", 2**40, digest_of(b"so far"), None)
    assert await facts.write(advance_upload, row.id, 2**40 + 1, None, 21.0)
    assert await facts.write(remove_upload, row.id)
    assert not await facts.write(remove_upload, row.id)
    assert not await facts.write(advance_upload, row.id, 1, None, 22.0)
    assert await facts.read(count_uploads) == 0


@pytest.mark.usefixtures("no_uploads")
async def test_a_small_upload_is_held_until_it_is_handed_over(facts: Facts, name: str) -> None:
    row = replace(session(1, name), content=b"")
    await facts.write(add_upload, row, 10.0)

    async def found() -> tuple[object, ...]:
        return tuple(await facts.database.lookup(UPLOAD, row.id, name) or ())

    assert await found() == ("sha256", 0, None, b"")
    assert await facts.write(hold_upload, row.id, 0, b"\0held", 11.0)
    assert not await facts.write(hold_upload, row.id, 0, b"again", 11.0), "it holds more by now"
    assert await found() == ("sha256", 5, None, b"\0held")
    assert not await facts.write(hand_over_upload, row.id, 4, 9, None, 12.0)
    assert await facts.write(hand_over_upload, row.id, 5, 9, digest_of(b"123456789"), 12.0)
    assert await found() == ("sha256", 9, digest_of(b"123456789"), None)
    assert not await facts.write(hold_upload, row.id, 9, b"0123456789", 13.0), "the store has it"
    assert not await facts.write(hand_over_upload, row.id, 9, 10, None, 13.0)
    assert await facts.read(stale_uploads, 12.0, (0.0, ""), 10) == []
    assert await facts.read(stale_uploads, 12.5, (0.0, ""), 10) == [(12.0, row.id)]


@pytest.mark.usefixtures("no_uploads")
async def test_which_of_many_are_sessions(facts: Facts, name: str) -> None:
    for number in (1, 2, 3):
        await facts.write(add_upload, session(number, name), 10.0)
    asked = [upload_key(number) for number in range(2, 1300)]
    assert await facts.read(open_uploads, asked) == {upload_key(2), upload_key(3)}
    assert await facts.read(open_uploads, []) == set()


@pytest.mark.usefixtures("no_uploads")
async def test_stale_uploads_by_when_they_were_written_to(facts: Facts, name: str) -> None:
    for number in range(6):
        await facts.write(add_upload, session(number, name), 10.0 + number)
    await facts.write(advance_upload, upload_key(1), 5, None, 100.0)
    stale = [(10.0 + number, upload_key(number)) for number in (0, 2, 3)]
    assert await facts.read(stale_uploads, 14.0, (0.0, ""), 100) == stale
    assert await facts.read(stale_uploads, 14.0, (0.0, ""), 2) == stale[:2]
    assert await facts.read(stale_uploads, 14.0, stale[1], 2) == stale[2:]
    assert await facts.read(stale_uploads, 10.0, (0.0, ""), 100) == []
    assert not await facts.write(remove_stale_upload, upload_key(1), 14.0)
    assert await facts.write(remove_stale_upload, upload_key(2), 14.0)
    assert not await facts.write(remove_stale_upload, upload_key(2), 14.0)
    assert await facts.read(count_uploads) == 5


# --- events and schedules


async def test_events_are_kept_in_order_and_trimmed_by_age(facts: Facts, name: str) -> None:
    await facts.write(trim, 1e12, 10**6)
    for number in range(10):
        await facts.write(
            tell, Event("push", name, f"sha256:{number}", size=number, tag="ä", actor="alice"), float(number)
        )
    rows = await facts.read(outbox)
    assert [row[0] for row in rows] == [float(number) for number in range(10)]
    assert {(row[1], row[2]) for row in rows} == {("push", name)}
    assert json.loads(rows[3][3]) == {
        "action": "push", "repository": name, "digest": "sha256:3", "media_type": "", "size": 3, "tag": "ä",
        "source": "", "actor": "alice",
    }  # fmt: skip
    assert await facts.write(trim, 5.0, 3) == 3
    assert [row[0] for row in await facts.read(outbox)] == [3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    assert await facts.write(trim, 5.0, 100) == 2
    assert await facts.write(trim, 5.0, 100) == 0
    last = (await facts.read(outbox))[-1][4]
    await facts.write(trim, 1e12, 100)
    await facts.write(tell, Event("push", name), 1.0)
    assert (await facts.read(outbox))[0][4] > last, "an event's id is never given again: it is the id of the job"


def outbox(connection: Connection) -> list[tuple[float, str, str, str, int]]:
    statement = select(events.c.at, events.c.action, events.c.repository, events.c.payload, events.c.id)
    return [tuple(row) for row in connection.execute(statement.order_by(events.c.id))]


async def test_a_turn_comes_round_after_its_interval(facts: Facts, name: str) -> None:
    assert not await facts.write(take_turn, name, 100.0, 60.0), "at the first sight it is only entered"
    assert not await facts.write(take_turn, name, 159.9, 60.0)
    assert await facts.write(take_turn, name, 160.0, 60.0)
    assert not await facts.write(take_turn, name, 160.0, 60.0)
    assert await facts.write(take_turn, name, 1000.0, 60.0)
    assert not await facts.write(take_turn, name, 1059.0, 60.0)
    assert not await facts.write(take_turn, f"{name}/other", 5000.0, 60.0)


async def test_lookups_take_checked_types(database: Database, facts: Facts, name: str, repository: int) -> None:
    """Tags and digests are `str` of a class of their own; drivers must not mind."""
    from moorage.core.names import parse_tag

    key = await facts.write(add_manifest, repository, manifest(), "", 5.0)
    await facts.write(point_tag, repository, parse_tag("v1"), key, 6.0)
    assert await database.lookup(MANIFEST_BY_TAG, name, parse_tag("v1")) is not None
    assert await database.lookup(MANIFEST_BY_DIGEST, name, digest_of(PAYLOAD)) is not None
