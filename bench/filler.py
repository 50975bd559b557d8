"""Fill a registry with many tags and repositories, fast."""

from __future__ import annotations

from urllib.parse import quote

from bench import upload
from bench.errors import BenchError
from bench.files import OCI_MANIFEST, manifest, sha256
from bench.programs import Running
from bench.wire import Connection, build

_CONFIG = b'{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}'
_MANIFEST = manifest(_CONFIG, [_CONFIG])
_SOURCE = "bench/filler"
# Their tags are files in a known layout: writing these is what a push leaves behind, hundreds of times faster.
LINKED = ("docker-registry", "distribution")


class Filler:
    """One running registry, a connection to fill it over, and what has been learnt about it."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self._connection = Connection(running.at)
        self._batch = 256
        upload.push_blob(self._connection, _SOURCE, sha256(_CONFIG), _CONFIG)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def add_repository(self, name: str) -> None:
        """A repository with one manifest under the tag `latest`."""
        self._mount(name)
        upload.put_manifest(self._connection, name, "latest", _MANIFEST)

    def add_tags(self, repository: str, names: list[str]) -> None:
        """A repository whose one manifest has many tags."""
        self._mount(repository)
        upload.put_manifest(self._connection, repository, names[0], _MANIFEST)
        if self.running.name in LINKED:
            self._write_links(repository, names[1:])
        else:
            self._put_all(repository, names[1:])

    def _mount(self, repository: str) -> None:
        """Bring the manifest's only blob into the repository, without sending it where the registry can mount."""
        path = f"/v2/{repository}/blobs/uploads/?mount={quote(sha256(_CONFIG))}&from={quote(_SOURCE, safe='')}"
        if self._connection.ask(build("POST", path, self.running.at)).status != 201:
            upload.push_blob(self._connection, repository, sha256(_CONFIG), _CONFIG)

    def _put_all(self, repository: str, names: list[str]) -> None:
        place = 0
        while place < len(names):
            part = names[place : place + self._batch]
            if self._put(repository, part):
                place += len(part)
            else:
                self._batch //= 2

    def _put(self, repository: str, names: list[str]) -> bool:
        """PUT by digest with tag parameters; False where the registry wants fewer of them in one request."""
        query = "&".join(f"tag={name}" for name in names)
        path = f"/v2/{repository}/manifests/{sha256(_MANIFEST)}?{query}"
        headers = f"Content-Type: {OCI_MANIFEST}\r\n"
        answer = self._connection.ask(build("PUT", path, self.running.at, headers, _MANIFEST))
        if answer.status == 201:
            return True
        if answer.status not in (400, 413, 414, 431) or len(names) == 1:
            raise BenchError(f"PUT with {len(names)} tags: {answer.status} {answer.body[:300]!r}")
        self._connection.close()
        self._connection = Connection(self.running.at)
        return False

    def _write_links(self, repository: str, names: list[str]) -> None:
        data = self.running.folder / "data/docker/registry/v2/repositories"
        tags = data / repository / "_manifests/tags"
        digest = sha256(_MANIFEST)
        for name in names:
            for place in ("current", f"index/sha256/{digest.removeprefix('sha256:')}"):
                folder = tags / name / place
                folder.mkdir(parents=True)
                (folder / "link").write_text(digest)
