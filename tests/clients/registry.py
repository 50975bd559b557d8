"""The registry under test: where it is, what it holds, and what it was asked.

What a test believes of the registry it reads over plain HTTP with a client of its own: every digest that a program
reports is compared with the hash of the bytes that the registry gives.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs

import httpx

from tests.clients.images import Image
from tests.support.server import Server

TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
ACCEPT = ", ".join(TYPES)
QUIET_SECONDS = 0.5
UPLOADS = re.compile(r"/v2/(?P<repository>.+)/blobs/uploads/(?P<session>[^?]*)(?:\?(?P<query>.*))?")


@dataclass(frozen=True, slots=True)
class Account:
    """Who may use the registry that asks."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the access log."""

    method: str
    uri: str
    status: int
    agent: str


@dataclass
class Traffic:
    """What the registry was asked since some moment, read from its access log.

    Each worker writes its lines in batches, so the log is read once nothing was added to it for a while. That is after
    the program under test has ended: what is asked later is not seen.
    """

    file: Path
    start: int
    read: list[Request] | None = None

    def requests(self) -> list[Request]:
        """All requests that were answered, in about their order."""
        if self.read is None:
            _settle(self.file)
            with self.file.open("rb") as log:
                log.seek(self.start)
                lines = log.read().decode(errors="replace").splitlines()
            self.read = [found for line in lines if (found := _request(line)) is not None]
        return self.read

    def mounted(self, repository: str) -> list[str]:
        """The digests that were mounted in a repository, so that no byte of them was sent."""
        uploads = ((one, _upload_to(one, repository)) for one in self.requests())
        wanted = [
            parse_qs(match["query"] or "").get("mount")
            for one, match in uploads
            if match and one.method == "POST" and one.status == 201
        ]
        return sorted({digest for digests in wanted if digests for digest in digests})

    def sent(self, repository: str) -> list[str]:
        """The digests whose bytes were sent to a repository."""
        uploads = ((one, _upload_to(one, repository)) for one in self.requests())
        wanted = [
            parse_qs(match["query"] or "").get("digest")
            for one, match in uploads
            if match and one.method in ("PUT", "POST") and one.status == 201
        ]
        return sorted({digest for digests in wanted if digests for digest in digests})


class Registry:
    """A running registry as a client sees it.

    Attributes:
        host: as it stands in image names.
        account: who may use it, None if everybody may.
        ca: certificate of its authority, None if it speaks plain HTTP.
    """

    def __init__(self, server: Server, account: Account | None, ca: Path | None) -> None:
        self.server = server
        self.host = f"localhost:{server.port}"
        self.account = account
        self.ca = ca
        self.http = httpx.Client(
            base_url=f"{'https' if ca else 'http'}://{self.host}",
            auth=(account.user, account.password) if account else None,
            verify=_context(ca),
            timeout=30,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    @property
    def secured(self) -> bool:
        """Whether it speaks TLS and asks for a password."""
        return self.account is not None

    def name(self, repository: str, tag: str = "") -> str:
        """The full name of a repository or of an image in it; `tag` may be a digest."""
        separator = "@" if ":" in tag else ":" if tag else ""
        return f"{self.host}/{repository}{separator}{tag}"

    def manifest(self, repository: str, reference: str) -> dict[str, Any]:
        """A manifest by tag or digest."""
        answer = self.http.get(f"/v2/{repository}/manifests/{reference}", headers={"Accept": ACCEPT})
        answer.raise_for_status()
        parsed: dict[str, Any] = answer.json()
        return parsed

    def digest(self, repository: str, reference: str) -> str:
        """The digest of a manifest: computed from its bytes, and found equal to what GET and HEAD say of it."""
        path = f"/v2/{repository}/manifests/{reference}"
        answer = self.http.get(path, headers={"Accept": ACCEPT})
        answer.raise_for_status()
        digest = "sha256:" + hashlib.sha256(answer.content).hexdigest()
        head = self.http.head(path, headers={"Accept": ACCEPT})
        assert answer.headers["Docker-Content-Digest"] == digest
        assert head.headers["Docker-Content-Digest"] == digest
        assert int(head.headers["Content-Length"]) == len(answer.content)
        return digest

    def blob(self, repository: str, digest: str) -> bytes:
        """A blob, whose bytes were found to have that digest."""
        answer = self.http.get(f"/v2/{repository}/blobs/{digest}")
        answer.raise_for_status()
        assert "sha256:" + hashlib.sha256(answer.content).hexdigest() == digest
        return answer.content

    def has_manifest(self, repository: str, reference: str) -> bool:
        """Whether a tag or a manifest is there."""
        return self._is_there(f"/v2/{repository}/manifests/{reference}")

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a blob can be seen in a repository."""
        return self._is_there(f"/v2/{repository}/blobs/{digest}")

    def has_everything(self, repository: str, reference: str) -> bool:
        """Whether every blob of an image, or of every image of an index, can be seen in a repository."""
        manifest = self.manifest(repository, reference)
        if "manifests" in manifest:
            return all(self.has_everything(repository, child["digest"]) for child in manifest["manifests"])
        parts = [manifest["config"], *manifest["layers"]]
        return all(self.has_blob(repository, part["digest"]) for part in parts)

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository, in the registry's order."""
        answer = self.http.get(f"/v2/{repository}/tags/list")
        answer.raise_for_status()
        tags: list[str] = answer.json()["tags"] or []
        return tags

    def referrers(self, repository: str, digest: str) -> list[dict[str, Any]]:
        """What refers to a manifest."""
        answer = self.http.get(f"/v2/{repository}/referrers/{digest}")
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["manifests"]
        return found

    def put(self, repository: str, image: Image, tag: str) -> None:
        """Bring an image in without any of the programs under test."""
        for digest in image.blobs():
            if not self.has_blob(repository, digest):
                self._put_blob(repository, digest, image.file(digest))
        for digest in image.children():
            self._put_manifest(repository, digest, image.file(digest).read_bytes())
        self._put_manifest(repository, tag, image.file(image.digest).read_bytes())

    @contextmanager
    def watched(self) -> Iterator[Traffic]:
        """What is asked from here on. No answer of a watched registry may be a 5xx."""
        traffic = Traffic(self.server.log_file, _settle(self.server.log_file))
        yield traffic
        broken = [one for one in traffic.requests() if one.status >= 500]
        assert not broken, broken

    def _put_blob(self, repository: str, digest: str, file: Path) -> None:
        location = self.http.post(f"/v2/{repository}/blobs/uploads/").headers["Location"]
        session = self.http.build_request("PUT", location).url.copy_add_param("digest", digest)
        with file.open("rb") as content:
            self.http.put(session, content=content).raise_for_status()

    def _put_manifest(self, repository: str, reference: str, content: bytes) -> None:
        headers = {"Content-Type": json.loads(content)["mediaType"]}
        path = f"/v2/{repository}/manifests/{reference}"
        self.http.put(path, content=content, headers=headers).raise_for_status()

    def _is_there(self, path: str) -> bool:
        answer = self.http.head(path, headers={"Accept": ACCEPT})
        assert answer.status_code in (200, 404), answer.status_code
        return answer.status_code == 200


def _settle(log: Path) -> int:
    """Wait until nothing is added to a log any more, and return its size."""
    size = -1
    while size != (size := log.stat().st_size):
        time.sleep(QUIET_SECONDS)
    return size


def _context(ca: Path | None) -> ssl.SSLContext | bool:
    return ssl.create_default_context(cafile=ca) if ca else False


def _request(line: str) -> Request | None:
    if '"response completed"' not in line:
        return None
    entry = json.loads(line)
    return Request(
        entry["http.request.method"],
        entry["http.request.uri"],
        entry["http.response.status"],
        entry.get("http.request.useragent", ""),
    )


def _upload_to(request: Request, repository: str) -> re.Match[str] | None:
    match = UPLOADS.fullmatch(request.uri)
    return match if match and match["repository"] == repository else None
