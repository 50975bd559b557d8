"""One request of the fuzz: what is sent, and how the connection goes on afterwards."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.fuzz import grammar, manifests
from tests.support.raw_requests import AMBIGUOUS, BROKEN_CHUNKS
from tests.support.wire import digest, in_chunks, request

KEPT, ALONE = "kept", "alone"
"""Whether the bytes are one whole request, or something after which nothing on the connection can be trusted."""

MANIFESTS_AT_LEAST = 2000


@dataclass(frozen=True)
class Case:
    """Bytes to send.

    Attributes:
        kind: which rule made it, for the counts at the end.
        method: of the request, so that its answer can be read; "" where that is not known.
        data: the bytes; `grammar.SESSION` in them is replaced at sending by the newest session's id.
        way: KEPT or ALONE.
    """

    kind: str
    method: str
    data: bytes
    way: str = KEPT

    def to_json(self) -> dict[str, str]:
        """The case for a file."""
        return {**self.__dict__, "data": base64.b64encode(self.data).decode()}

    @staticmethod
    def from_json(stored: dict[str, str]) -> Case:
        """The case from a file."""
        return Case(stored["kind"], stored["method"], base64.b64decode(stored["data"]), stored["way"])


def cases(chance: random.Random, count: int, manifests_at_least: int) -> Iterator[Case]:
    """That many cases; the same for the same chance. The first ones have enough manifests among them."""
    pushed = 0
    for _ in range(count):
        share = 0.5 if pushed < manifests_at_least else 0.12
        if chance.random() < share:
            pushed += 1
            yield _manifest(chance)
        else:
            yield chance.choices(_MAKERS, _WEIGHTS)[0](chance)


def _manifest(chance: random.Random) -> Case:
    kind, data = manifests.manifest(chance)
    name = chance.choice(grammar.REPOSITORIES[:1] * 6 + grammar.REPOSITORIES)
    throw = chance.random()
    reference = grammar.tag(chance) if throw < 0.4 else digest(data, chance.choice(["sha256", "sha256", "sha512"]))
    target = f"/v2/{name}/manifests/{reference}{grammar.query(chance) if throw > 0.9 else ''}"
    headers = [("Content-Type", kind)] if chance.random() < 0.95 else []
    if chance.random() < 0.1:
        headers.append(grammar.header(chance))
    target = target.replace(" ", "%20").replace("#", "%23")
    return _sent("manifest", "PUT", target, headers, data, chance)


def _anything(chance: random.Random) -> Case:
    path = grammar.path(chance)
    method = grammar.method_of(chance, path)
    headers = [grammar.header(chance) for _ in range(chance.choice([0, 0, 1, 1, 2, 4, 12]))]
    body = _body(chance) if method in {"PUT", "POST", "PATCH"} or chance.random() < 0.05 else None
    return _sent("grammar", method, path + grammar.query(chance), headers, body, chance)


def _upload(chance: random.Random) -> Case:
    """A step in the life of a session, mostly a sensible one."""
    content = chance.choice(grammar.BLOBS)
    repository = grammar.REPOSITORIES[0] if chance.random() < 0.95 else grammar.name(chance)
    session = f"/v2/{repository}/blobs/uploads/{grammar.SESSION}".replace(" ", "%20").replace("#", "%23")
    headers = [grammar.content_range(chance)] if chance.random() < 0.4 else []
    throw = chance.random()
    if throw < 0.35:
        query = chance.choice(["", "", grammar.query(chance), f"?digest={digest(content)}", "?digest-algorithm=sha512"])
        target = f"/v2/{repository}/blobs/uploads/{query}".replace(" ", "%20").replace("#", "%23")
        return _sent("upload", "POST", target, headers, content if "digest=" in query else None, chance)
    if throw < 0.6:
        return _sent("upload", "PATCH", session, headers, _body(chance), chance)
    if throw < 0.85:
        found = (
            digest(content, chance.choice(["sha256", "sha512"]))
            if chance.random() < 0.8
            else grammar.any_digest(chance)
        )
        target = f"{session}?digest={found}".replace(" ", "%20").replace("#", "%23")
        return _sent("upload", "PUT", target, headers, content if chance.random() < 0.7 else b"", chance)
    return _sent("upload", chance.choice(["GET", "DELETE", "GET", "HEAD"]), session, headers, None, chance)


def _pull(chance: random.Random) -> Case:
    """A pull of something that is there, with a Range or a condition."""
    blob = digest(chance.choice(grammar.BLOBS), chance.choice(["sha256", "sha256", "sha512"]))
    manifest = f"manifests/{chance.choice(grammar.TAGS)}"
    part = chance.choice([f"blobs/{blob}"] * 4 + [manifest, manifest, "tags/list", f"referrers/{blob}"])
    headers = [grammar.header(chance)] if chance.random() < 0.2 else []
    headers += [grammar.span(chance)] if chance.random() < 0.6 else []
    headers += [grammar.condition(chance)] if chance.random() < 0.4 else []
    method = "GET" if "list" in part or "referrers" in part or chance.random() < 0.7 else "HEAD"
    return _sent("pull", method, f"/v2/fuzz/a/{part}{grammar.query(chance)}", headers, None, chance)


def _mutated(chance: random.Random) -> Case:
    """A request of another rule with bytes of its head, or of all of it, changed."""
    whole = chance.choices(_MAKERS[:3], _WEIGHTS[:3])[0](chance)
    head, gap, body = whole.data.partition(b"\r\n\r\n")
    data = manifests.bytes_changed(chance, head) + gap + body if chance.random() < 0.8 else whole.data
    return Case("mutated", "", data if data != whole.data else manifests.bytes_changed(chance, data), ALONE)


def _raw(chance: random.Random) -> Case:
    """One of the raw set, perhaps changed as well."""
    if chance.random() < 0.7:
        data = AMBIGUOUS[chance.choice(list(AMBIGUOUS))]
    else:
        line = f"PATCH /v2/fuzz/a/blobs/uploads/{grammar.SESSION} HTTP/1.1\r\n"
        head = line + "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        data = head.encode() + BROKEN_CHUNKS[chance.choice(list(BROKEN_CHUNKS))]
    return Case("raw", "", data if chance.random() < 0.5 else manifests.bytes_changed(chance, data), ALONE)


def _garbage(chance: random.Random) -> Case:
    data = chance.randbytes(chance.choice([1, 20, 500, 5000]))
    return Case("garbage", "", chance.choice([data, b"GET " + data, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + data]), ALONE)


def _body(chance: random.Random) -> bytes:
    throw = chance.random()
    if throw < 0.5:
        return chance.choice(grammar.BLOBS)
    if throw < 0.8:
        return chance.randbytes(chance.choice([0, 1, 5, 100, 70_000]))
    return manifests.manifest(chance)[1]


def _sent(
    kind: str, method: str, target: str, headers: list[tuple[str, str]], body: bytes | None, chance: random.Random
) -> Case:
    chunked = body is not None and chance.random() < 0.15
    if body is not None and chance.random() < 0.03:
        headers = [*headers, ("Expect", chance.choice(["100-continue", "200-ok", ""]))]
    target = target.encode("utf-8", "surrogatepass").decode("latin-1")
    headers = [(key, value.encode("utf-8", "surrogatepass").decode("latin-1")) for key, value in headers]
    if not chunked:
        return Case(kind, method, request(method, target, headers, body))
    sizes = [chance.choice([1, 3, 1000, 65536]) for _ in range(5)]
    whole = request(method, target, headers, b"", chunked=True)
    return Case(kind, method, whole.removesuffix(b"0\r\n\r\n") + in_chunks(body or b"", [*sizes, 65536]))


_MAKERS: list[Callable[[random.Random], Case]] = [_anything, _upload, _pull, _mutated, _raw, _garbage]
_WEIGHTS = [45, 22, 18, 6, 2, 1]
