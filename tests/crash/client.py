"""A bare HTTP client: one connection, nothing repeated, and a plain word for "no answer came"."""

from __future__ import annotations

import hashlib
import http.client
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


class NoAnswer(Exception):
    """The connection ended before a whole answer had come: whether the request was carried out is not known."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)

    def is_refusal(self) -> bool:
        """Whether it is an error as clients want it: a 5xx whose body is JSON with a code, and when to come again."""
        if self.status not in (503, 507) or self.headers.get("content-type") != "application/json":
            return False
        errors = self.json()["errors"]
        return bool(errors[0]["code"] and errors[0]["message"]) and (
            self.status == 507 or "retry-after" in self.headers
        )


class Client:
    """Requests to one server, over one connection that is opened again after it broke.

    Args:
        port: on the loopback address.
        timeout: seconds that any one step may take.
    """

    def __init__(self, port: int, timeout: float = 30.0) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a request and read the whole answer.

        Raises:
            NoAnswer: see there.
        """
        try:
            # A body that is refused early is not read to its end; the answer is there all the same.
            with suppress(BrokenPipeError, ConnectionResetError):
                self._connection.request(method, path, body=body, headers=headers or {})
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NoAnswer(f"{method} {path}: {type(error).__name__}: {error}") from error
        return Answer(response.status, {key.lower(): value for key, value in response.getheaders()}, content)

    def close(self) -> None:
        """End the connection; the next request opens another."""
        self._connection.close()

    def get(self, path: str) -> Answer:
        """GET."""
        return self.request("GET", path)

    def post(self, path: str, body: bytes = b"") -> Answer:
        """POST."""
        return self.request("POST", path, body)

    def delete(self, path: str) -> Answer:
        """DELETE."""
        return self.request("DELETE", path)

    def begin(self, name: str) -> str:
        """Open an upload session; returns its path."""
        answer = self.post(f"/v2/{name}/blobs/uploads/")
        assert answer.status == 202, answer
        return answer.headers["location"]

    def patch(self, session: str, start: int, data: bytes) -> Answer:
        """Send a chunk."""
        headers = {"Content-Range": f"{start}-{start + len(data) - 1}", "Content-Type": "application/octet-stream"}
        return self.request("PATCH", session, data, headers)

    def finish(self, session: str, digest: str, data: bytes = b"") -> Answer:
        """Send the rest, if any, and close the session."""
        return self.request("PUT", f"{session}?digest={digest}", data)

    def session_size(self, session: str) -> int | None:
        """Bytes that a session reports to hold; None where it is gone."""
        answer = self.get(session)
        if answer.status == 404:
            return None
        assert answer.status == 204, answer
        first, _, last = answer.headers["range"].partition("-")
        assert first == "0", answer
        return int(last) + 1

    def push_blob(self, name: str, data: bytes) -> str:
        """Upload in two requests; returns the digest."""
        digest = digest_of(data)
        answer = self.finish(self.begin(name), digest, data)
        assert answer.status == 201, answer
        return digest

    def blob(self, name: str, digest: str) -> bytes | None:
        """A blob's bytes; None where it is not there."""
        return self._content(f"/v2/{name}/blobs/{digest}")

    def put_manifest(self, name: str, reference: str, manifest: Manifest, query: str = "") -> Answer:
        """Push a manifest."""
        headers = {"Content-Type": manifest.media_type}
        return self.request("PUT", f"/v2/{name}/manifests/{reference}{query}", manifest.payload, headers)

    def manifest(self, name: str, reference: str) -> bytes | None:
        """A manifest's bytes; None where it is not there."""
        return self._content(f"/v2/{name}/manifests/{reference}")

    def tag(self, name: str, tag: str) -> str | None:
        """The digest that a tag points to, by the bytes that came; None where it is not there."""
        payload = self.manifest(name, tag)
        return None if payload is None else digest_of(payload)

    def _content(self, path: str) -> bytes | None:
        answer = self.get(path)
        if answer.status == 404:
            return None
        assert answer.status == 200, answer
        return answer.body


@dataclass(frozen=True)
class Manifest:
    """A manifest's bytes and type."""

    payload: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """Its sha256 digest."""
        return digest_of(self.payload)


def digest_of(data: bytes) -> str:
    """The sha256 digest of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def content(seed: object, size: int) -> bytes:
    """`size` bytes that look random and are the same for the same seed."""
    return hashlib.shake_256(repr(seed).encode()).digest(size)


OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


def image(config: bytes, layers: list[bytes], note: str = "", subject: Manifest | None = None) -> Manifest:
    """An image manifest of these blobs; another `note` makes it another manifest."""
    value: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _described("application/vnd.oci.image.config.v1+json", config),
        "layers": [_described("application/vnd.oci.image.layer.v1.tar", layer) for layer in layers],
        "annotations": {"note": note},
    }
    if subject is not None:
        value["subject"] = _described(subject.media_type, subject.payload)
    return Manifest(json.dumps(value).encode(), OCI_MANIFEST)


def index(children: list[Manifest], note: str = "") -> Manifest:
    """An image index of these manifests."""
    value = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [_described(child.media_type, child.payload) for child in children],
        "annotations": {"note": note},
    }
    return Manifest(json.dumps(value).encode(), OCI_INDEX)


def _described(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}
