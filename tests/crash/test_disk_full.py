"""A disk that is really full: a small tmpfs. Refusals are clear, pulls go on, and room makes pushes work again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.checker import check
from tests.crash.client import Answer, Client, content, digest_of, image
from tests.crash.conftest import MakeServer
from tests.support.programs import missing

MEBIBYTE = 1024 * 1024
SIZE = 64 * MEBIBYTE
BALLAST = 40 * MEBIBYTE


@contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    """A tmpfs of 64 MiB, unmounted at the end in any case."""
    if os.geteuid() != 0:
        missing("root: mounts a tmpfs of 64 MiB")
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "moorage-test", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        missing(f"the right to mount a tmpfs ({done.stderr.strip()})")
    try:
        yield folder
    finally:
        # Lazily: it goes when the last process of a failed test has gone.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk") as folder:
        yield folder


def free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def fill(file: Path, leave: int = 0) -> None:
    """Make a file that leaves `leave` bytes."""
    if free(file.parent) <= leave:
        return
    with file.open("wb", buffering=0) as ballast:
        os.posix_fallocate(ballast.fileno(), 0, free(file.parent) - leave)


def pulls_work(client: Client, kept: dict[str, bytes]) -> None:
    for digest, data in kept.items():
        assert client.blob("full/r", digest) == data
        assert client.get(f"/v2/full/r/blobs/{digest}").status == 200
    assert client.tag("full/r", "kept") is not None
    assert client.get("/v2/full/r/tags/list").status == 200


def push_until_full(client: Client, kept: dict[str, bytes], largest: int) -> None:
    """Push blobs in the ways that clients have until one is refused; what was acknowledged goes to `kept`."""
    for number in range(1000):
        data = content(("fill", largest, number), largest)
        answer = push(client, data, chunked=number % 2 == 1)
        if answer.status != 201:
            assert answer.is_refusal(), answer
            return
        kept[digest_of(data)] = data
    raise AssertionError("never full")


def push(client: Client, data: bytes, *, chunked: bool = False) -> Answer:
    """Push a blob as far as it goes: even the session may be refused, or a page of the database still have had room."""
    begun = client.post("/v2/full/r/blobs/uploads/")
    if begun.status != 202:
        return begun
    session, digest = begun.headers["location"], digest_of(data)
    if not chunked:
        return client.finish(session, digest, data)
    patched = client.patch(session, 0, data)
    return client.finish(session, digest) if patched.status == 202 else patched


def test_a_full_disk_refuses_pushes_and_nothing_else(small_disk: Path, make_server: MakeServer) -> None:
    root = small_disk / "root"
    server = make_server(workers=2, root=root)
    client = server.client()
    config, layer = content("config", 500), content("layer", MEBIBYTE)
    kept = {client.push_blob("full/r", data): data for data in (config, layer)}
    manifest = image(config, [layer])
    assert client.put_manifest("full/r", "kept", manifest).status == 201
    ballast, rest = small_disk / "ballast", small_disk / "rest"
    fill(ballast, SIZE - BALLAST)

    push_until_full(client, kept, 3 * MEBIBYTE)
    push_until_full(client, kept, 10_000)
    pulls_work(client, kept)

    fill(rest)
    for method, path in (("POST", "blobs/uploads/"), ("DELETE", "manifests/kept")):
        answer = client.request(method, f"/v2/full/r/{path}")
        assert answer.status in (202, 507), answer  # a page of the database may still have had room
        if answer.status == 202 and method == "DELETE":
            assert client.put_manifest("full/r", "kept", manifest).status in (201, 507)
    pulls_work_but_for_the_tag(client, kept)

    rest.unlink(missing_ok=True)
    ballast.unlink()
    for number in range(20):  # the same workers, no restart
        data = content(("after", number), 200_000)
        kept[client.push_blob("full/r", data)] = data
    assert client.put_manifest("full/r", "kept", manifest).status == 201
    pulls_work(client, kept)
    client.close()
    server.stop()
    assert check(root) == []


def pulls_work_but_for_the_tag(client: Client, kept: dict[str, bytes]) -> None:
    for digest, data in kept.items():
        assert client.blob("full/r", digest) == data


def test_a_cancelled_upload_makes_room(small_disk: Path, make_server: MakeServer) -> None:
    server = make_server(root=small_disk / "root")
    client = server.client()
    session = client.begin("full/r")
    large = content("large", 12 * MEBIBYTE)
    assert client.patch(session, 0, large).status == 202
    fill(small_disk / "ballast", 4 * MEBIBYTE)

    refused = client.patch(session, len(large), large)
    assert refused.status == 507, refused
    held = client.session_size(session)
    assert held is not None
    assert len(large) <= held <= 2 * len(large)
    other = content("other", 5 * MEBIBYTE)
    if held > len(large):
        answer = push(client, other)
        assert answer.status == 507, answer

    assert client.delete(session).status == 204
    assert client.push_blob("full/r", other) == digest_of(other)
    assert client.blob("full/r", digest_of(other)) == other
    client.close()
    server.stop()
    assert check(server.root) == []


def test_an_upload_goes_on_when_there_is_room_again(small_disk: Path, make_server: MakeServer) -> None:
    server = make_server(root=small_disk / "root")
    client = server.client()
    session = client.begin("full/r")
    data = content("all", 9 * MEBIBYTE)
    assert client.patch(session, 0, data[:MEBIBYTE]).status == 202
    fill(small_disk / "ballast", 2 * MEBIBYTE)
    assert client.patch(session, MEBIBYTE, data[MEBIBYTE:]).status == 507
    (small_disk / "ballast").unlink()

    held = client.session_size(session)
    assert held is not None
    assert MEBIBYTE <= held < len(data)
    assert client.patch(session, held, data[held:]).status == 202
    assert client.finish(session, digest_of(data)).status == 201
    assert client.blob("full/r", digest_of(data)) == data
    client.close()
    server.stop()
    assert check(server.root) == []
