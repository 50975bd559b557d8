"""A full disk and what is not a blob: manifests too large for memory, uploads that are dropped to make room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.checker import check
from tests.crash.client import Client, Manifest, image
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

    ballast.unlink()
    assert client.put_manifest(REPOSITORY, "large", large).status == 201
    assert client.manifest(REPOSITORY, "large") == large.payload
    client.close()
    server.stop()
    assert check(server.root) == []
