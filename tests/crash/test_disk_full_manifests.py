"""A full disk and what is not a blob: manifests too large for memory, uploads that are dropped to make room."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.crash.checker import check
from tests.crash.client import Client, Manifest, content, digest_of, image
from tests.crash.conftest import MakeServer
from tests.crash.harness import Server
from tests.crash.test_disk_full import MEBIBYTE, fill, mounted

REPOSITORY = "full/m"
CONFIG = b"{}"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk") as folder:
        yield folder


@pytest.fixture
def server(disk: Path, make_server: MakeServer) -> Server:
    return make_server(root=disk / "root")


def pushed(client: Client) -> Manifest:
    """A manifest that was pushed while there was room."""
    client.push_blob(REPOSITORY, CONFIG)
    manifest = image(CONFIG, [])
    assert client.put_manifest(REPOSITORY, "kept", manifest).status == 201
    return manifest


def padded(manifest: Manifest, size: int) -> Manifest:
    """The same one with so many bytes of blanks at its end."""
    return Manifest(manifest.payload + b" " * size, manifest.media_type)


@pytest.mark.parametrize("left", [0, MEBIBYTE], ids=["nothing", "less than it needs"])
def test_a_large_manifest_is_refused_as_everything_is(disk: Path, server: Server, left: int) -> None:
    client = server.client()
    kept = pushed(client)
    large = padded(kept, 3 * MEBIBYTE)
    ballast = disk / "ballast"
    fill(ballast, left)

    answer = client.put_manifest(REPOSITORY, "large", large)
    assert (answer.status, answer.is_refusal()) == (507, True), answer
    assert client.manifest(REPOSITORY, "kept") == kept.payload

    said = [line for line in server.log().splitlines() if "request failed" in line]
    assert len(said) == 1
    assert "status=507" in said[0]
    assert "No space left on device" in said[0]
    assert "Traceback" not in server.log()

    ballast.unlink()
    assert client.put_manifest(REPOSITORY, "large", large).status == 201
    assert client.manifest(REPOSITORY, "large") == large.payload
    client.close()
    server.stop()
    assert check(server.root) == []


def test_an_upload_is_dropped_where_even_that_has_no_room_to_be_written_down(disk: Path, server: Server) -> None:
    client = server.client()
    pushed(client)
    session = client.begin(REPOSITORY)
    assert client.patch(session, 0, content("part", 300_000)).status == 202
    server.stop()
    server.start()  # the database has nothing left of its log: whatever it writes needs more room
    fill(disk / "ballast")
    client = server.client()
    assert client.delete(session).status == 204
    assert client.get(session).status == 404
    (disk / "ballast").unlink()
    client.push_blob(REPOSITORY, content("after", 100_000))
    client.close()
    server.stop()
    assert check(server.root) == []


def test_what_a_head_would_promise_is_refused_and_a_get_is_not(disk: Path, server: Server) -> None:
    """As docs/how-to/disk-full.md has it: who is told that a blob is there can rely on that."""
    client = server.client()
    pushed(client)
    server.stop()
    with closing(sqlite3.connect(server.root / "moorage.db")) as database:
        database.execute("UPDATE blob_links SET leased_at = 0")
        database.commit()
    server.start()
    fill(disk / "ballast")
    client = server.client()
    path = f"/v2/{REPOSITORY}/blobs/{digest_of(CONFIG)}"
    assert client.request("HEAD", path).status == 507
    assert client.get(path).body == CONFIG
    (disk / "ballast").unlink()
    assert client.request("HEAD", path).status == 200
    client.close()
    server.stop()
