"""The checker can find what it looks for: each kind of damage is done to a sound registry and must be told."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.checker import check
from tests.crash.client import content, digest_of, image, index
from tests.crash.conftest import MakeServer
from tests.crash.load import Auditor, Ledger

CONFIG, LAYER = content("config", 100), content("layer", 9000)


@pytest.fixture
def sound(make_server: MakeServer) -> Path:
    """The root of a stopped registry with an image, an index, a tag and an upload under way."""
    server = make_server()
    client = server.client()
    for data in (CONFIG, LAYER):
        client.push_blob("check/r", data)
    manifest = image(CONFIG, [LAYER])
    assert client.put_manifest("check/r", "t", manifest).status == 201
    assert client.put_manifest("check/r", "i", index([manifest])).status == 201
    assert client.patch(client.begin("check/r"), 0, b"half").status == 202
    assert client.patch(client.begin("check/r"), 0, b"half" * 5000).status == 202
    client.close()
    server.stop()
    return server.root


def file_of(root: Path, data: bytes) -> Path:
    name = digest_of(data).partition(":")[2]
    return root / f"docker/registry/v2/blobs/sha256/{name[:2]}/{name}/data"


def upload_of(root: Path) -> Path:
    return next((root / "uploads").iterdir())


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def sql(statement: str) -> Callable[[Path], object]:
    def run(root: Path) -> None:
        with sqlite3.connect(root / "moorage.db") as connection:
            assert connection.execute(statement).rowcount != 0
        connection.close()

    return run


def stray(root: Path) -> None:
    (root / "uploads" / "put-1-leftover").write_bytes(b"")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped byte": (lambda root: flip(file_of(root, LAYER)), "holds other bytes"),
    "a missing file": (lambda root: file_of(root, LAYER).unlink(), "has no file"),
    "a short file": (lambda root: file_of(root, LAYER).write_bytes(b""), "bytes instead of"),
    "a stray file": (stray, "no purge finds it"),
    "a missing link": (sql("DELETE FROM blob_links"), "is not there"),
    "a missing blob": (sql("DELETE FROM blobs"), "foreign_key_check"),
    "a missing child": (sql("DELETE FROM manifests WHERE media_type LIKE '%manifest%'"), "child"),
    "a missing manifest": (sql("DELETE FROM manifests"), "points to no manifest"),
    "other payload": (sql("UPDATE manifests SET payload = CAST('{}' AS BLOB)"), "holds other bytes"),
    "a lost reference": (sql("DELETE FROM manifest_references WHERE kind = 'layer'"), "in one place only"),
    "a moved tag": (sql("UPDATE tags SET manifest_id = (SELECT max(manifest_id) FROM tags)"), "history"),
    "a lost history": (sql("DELETE FROM tag_history"), "history"),
    "a lost event": (sql("DELETE FROM events"), "no event tells"),
    "other bytes of an upload": (lambda root: flip(upload_of(root)), "other bytes than its digest"),
    "a short row of an upload": (sql("UPDATE uploads SET content = 'x' WHERE content IS NOT NULL"), "in its row"),
    "a lost upload": (lambda root: upload_of(root).unlink(), "had 20000 bytes and has 0"),
}


def test_a_sound_registry_has_no_contradictions(sound: Path) -> None:
    assert check(sound) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_told(sound: Path, damage: str) -> None:
    harm, told = DAMAGES[damage]
    harm(sound)
    assert any(told in problem for problem in check(sound)), check(sound)


def test_the_auditor_tells_what_was_lost_and_what_was_half_done(make_server: MakeServer) -> None:
    client = make_server().client()
    here, lost = client.push_blob("check/r", b"here"), digest_of(b"lost")
    ledger = Ledger()
    ledger.facts = {("blob", "check/r", here): {None}, ("blob", "check/r", lost): {lost}}
    assert len(Auditor(client, ledger).audit()) == 2

    ledger = Ledger()
    ledger.ask({("blob", "check/r", here): here, ("blob", "check/r", lost): lost})
    assert ["half done" in problem for problem in Auditor(client, ledger).audit()] == [True]
