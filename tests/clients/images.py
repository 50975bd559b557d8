"""Real images, built on the spot as OCI layouts: no program under test has had its hands on them.

| image   | what                                                                                              |
|---------|---------------------------------------------------------------------------------------------------|
| small   | Debian's static busybox as a root filesystem, and a layer with one file on top of it              |
| multi   | an index of that image for three platforms                                                        |
| debian  | a root filesystem made by debootstrap; kept in .tools/images, because that takes half a minute    |
| big     | one layer of 1 GiB of random bytes                                                                |
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tests.clients.shell import REPOSITORY, program
from tests.support.programs import missing

GIB = 1024 * 1024 * 1024
GREETING = "moored"
TAG = "1"
"""The name that each image has in its layout."""

KEPT = REPOSITORY / ".tools" / "images"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
PLATFORMS: tuple[dict[str, str], ...] = (
    {"architecture": "amd64", "os": "linux"},
    {"architecture": "arm64", "os": "linux", "variant": "v8"},
    {"architecture": "riscv64", "os": "linux"},
)
Descriptor = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Image:
    """An image in an OCI layout of its own.

    Attributes:
        layout: the folder.
        digest: of its manifest or index.
    """

    layout: Path
    digest: str

    @property
    def source(self) -> str:
        """As programs with containers/image and umoci name it."""
        return f"{self.layout}:{TAG}"

    def manifest(self) -> dict[str, Any]:
        """Its manifest or index."""
        parsed: dict[str, Any] = json.loads(self.file(self.digest).read_bytes())
        return parsed

    def layers(self) -> list[str]:
        """The digests of its layers, or of those of all its images, sorted."""
        return sorted({layer["digest"] for image in self._images() for layer in image["layers"]})

    def configs(self) -> list[str]:
        """The digests of its configuration, or of those of all its images, sorted."""
        return sorted({image["config"]["digest"] for image in self._images()})

    def blobs(self) -> list[str]:
        """Layers and configurations."""
        return sorted([*self.layers(), *self.configs()])

    def children(self) -> list[str]:
        """The digests of the images of an index; none if it is an image."""
        return [child["digest"] for child in self.manifest().get("manifests", [])]

    def archive(self) -> Path:
        """The layout as a tar file beside it."""
        path = self.layout.with_suffix(".tar")
        if not path.exists():
            with tarfile.open(path, "w") as tar:
                tar.add(self.layout, ".")
        return path

    def file(self, digest: str) -> Path:
        """Where a blob or manifest of it lies."""
        return self.layout / "blobs" / digest.replace(":", "/")

    def _images(self) -> list[dict[str, Any]]:
        return [json.loads(self.file(digest).read_bytes()) for digest in self.children() or [self.digest]]


class Layout:
    """Writes an OCI layout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = folder / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)

    def blob(self, media_type: str, content: bytes) -> Descriptor:
        """Add a blob."""
        return self.stream(media_type, [content])

    def stream(self, media_type: str, chunks: Iterable[bytes]) -> Descriptor:
        """Add a blob that need not fit in memory."""
        hashed, size, new = hashlib.sha256(), 0, self.blobs / "new"
        with new.open("wb") as file:
            for chunk in chunks:
                hashed.update(chunk)
                size += file.write(chunk)
        new.rename(self.blobs / hashed.hexdigest())
        return {"mediaType": media_type, "digest": f"sha256:{hashed.hexdigest()}", "size": size}

    def document(self, media_type: str, content: Mapping[str, Any]) -> Descriptor:
        """Add a JSON document."""
        return self.blob(media_type, json.dumps(content, indent=1).encode())

    def image(self, layers: list[tuple[Descriptor, str]], command: list[str], platform: dict[str, str]) -> Descriptor:
        """Add an image of layers, each with the digest of its tar stream."""
        config = {
            **platform,
            "config": {"Cmd": command, "Env": ["PATH=/bin:/usr/bin:/sbin:/usr/sbin"]},
            "rootfs": {"type": "layers", "diff_ids": [uncompressed for _, uncompressed in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.document(CONFIG, config),
            "layers": [layer for layer, _ in layers],
        }
        return self.document(MANIFEST, manifest)

    def finish(self, top: Descriptor) -> Image:
        """Name one manifest or index as the content, and end."""
        named = {**top, "annotations": {"org.opencontainers.image.ref.name": TAG}}
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]}
        (self.folder / "index.json").write_text(json.dumps(index))
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return Image(self.folder, top["digest"])

    def compressed(self, tar: bytes) -> tuple[Descriptor, str]:
        """Add a tar stream as a layer with gzip."""
        uncompressed = "sha256:" + hashlib.sha256(tar).hexdigest()
        return self.blob(f"{LAYER}+gzip", gzip.compress(tar, 6, mtime=0)), uncompressed


def small_image(folder: Path) -> Image:
    """A few hundred kilobytes that run: `cat /greeting` says GREETING."""
    layout = Layout(folder)
    return layout.finish(_small(layout, PLATFORMS[0]))


def multi_image(folder: Path) -> Image:
    """An index of small images, one a platform."""
    layout = Layout(folder)
    children = [{**_small(layout, platform), "platform": platform} for platform in PLATFORMS]
    return layout.finish(layout.document(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": children}))


def big_image(folder: Path, size: int = GIB) -> Image:
    """One layer with a file of that many random bytes, not compressed."""
    layout = Layout(folder)
    layer = layout.stream(LAYER, _tar_of_random_file("random", size))
    return layout.finish(layout.image([(layer, layer["digest"])], ["/random"], PLATFORMS[0]))


def debian_image(folder: Path) -> Image:
    """Debian's smallest system with apt, of the release that this machine has."""
    layout = Layout(folder)
    kept = _debian_root()
    with gzip.open(kept) as tar:
        uncompressed = "sha256:" + hashlib.file_digest(tar, "sha256").hexdigest()
    with kept.open("rb") as stored:
        layer = layout.stream(f"{LAYER}+gzip", iter(lambda: stored.read(1 << 20), b""))
    return layout.finish(layout.image([(layer, uncompressed)], ["/bin/bash"], PLATFORMS[0]))


def random_files(folder: Path, count: int, size: int) -> Path:
    """A folder with files of random bytes, which no compression makes smaller."""
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"random-{number}").write_bytes(os.urandom(size))
    return folder


def tar_of(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """A tar stream of executable files and symbolic links, the same for the same input."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return output.getvalue()


def busybox() -> bytes:
    """Debian's busybox, linked statically (package busybox-static)."""
    content = Path(program("busybox")).read_bytes()
    if b"/ld-linux" in content:
        missing("a busybox that is linked statically (package busybox-static)")
    return content


def rootfs() -> bytes:
    """A tar stream with a shell and a greeting."""
    links = {f"bin/{name}": "busybox" for name in ("sh", "cat", "ls", "sleep", "true")}
    return tar_of({"bin/busybox": busybox(), "greeting": GREETING.encode() + b"\n"}, links)


def _small(layout: Layout, platform: dict[str, str]) -> Descriptor:
    top = tar_of({"platform": platform["architecture"].encode()})
    layers = [layout.compressed(rootfs()), layout.compressed(top)]
    return layout.image(layers, ["/bin/cat", "/greeting"], platform)


def _tar_of_random_file(name: str, size: int) -> Iterable[bytes]:
    entry = tarfile.TarInfo(name)
    entry.size = size
    yield entry.tobuf()
    for _ in range(size // (1 << 22)):
        yield os.urandom(1 << 22)
    yield os.urandom(size % (1 << 22))
    yield bytes(-size % 512 + 1024)


def _debian_root() -> Path:
    release = _debian_release()
    kept = KEPT / f"debian-{release}.tar.gz"
    if not kept.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        new = kept.with_suffix(".new")
        with new.open("wb") as file:
            _pack(release, file)
        new.rename(kept)
    return kept


def _pack(release: str, file: BinaryIO) -> None:
    root = KEPT / f"debian-{release}.root"
    subprocess.run([program("rm"), "-rf", root], check=True)
    made = subprocess.run(
        [program("debootstrap"), "--variant=minbase", release, root], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        missing(f"a Debian mirror that debootstrap can reach ({made.stdout[-300:]})")
    packed = [program("tar"), "--create", "--gzip", "--sort=name", f"--directory={root}", "."]
    subprocess.run(packed, stdout=file, check=True)
    subprocess.run([program("rm"), "-rf", root], check=True)


def _debian_release() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    missing("Debian, or a release with a code name (for debootstrap)")
    raise AssertionError
