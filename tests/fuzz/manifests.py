"""Manifests: right ones, and what becomes of them when a member, a value or a byte is changed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

from tests.fuzz.grammar import BLOBS, any_digest, media_type, ugly
from tests.support.wire import OCI_INDEX, OCI_MANIFEST, digest

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

_VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, 2**31, 2**53, 2**63, 2**64, 10**30, "", "a", "\u0000", "a\u0000b",
    "\ud800", "\udfff", "\u202e", "x" * 10_000, [], {}, [[]], [{}], [None], {"a": None}, {"": ""}, "2",
    "sha256:" + "0" * 64, ["sha256:" + "0" * 64], {"mediaType": 1, "digest": [], "size": {}}, "\\u0000", "<script>",
    {"__proto__": {}}, "amd64", "unknown",
]  # fmt: skip

_RAW: list[Callable[[bytes], bytes]] = [
    lambda data: b"\xef\xbb\xbf" + data,
    lambda data: data.decode("utf-8", "replace").encode("utf-16"),
    lambda data: data.decode("utf-8", "replace").encode("utf-32-le"),
    lambda data: data + data,
    lambda data: data + b"\0",
    lambda data: data + b" \n\t ",
    lambda data: data + b"]",
    lambda data: data[:-1],
    lambda data: b"[" * 100_000 + data,
    lambda data: b'{"a":' * 5000 + data + b"}" * 5000,
    lambda data: b"[" * 99 + data + b"]" * 99,
    lambda data: data.replace(b'"schemaVersion": 2', b'"schemaVersion": 2, "schemaVersion": 1'),
    lambda data: data.replace(b'"size": ', b'"size": 0'),
    lambda data: data.replace(b'"size": ', b'"size": -'),
    lambda data: data.replace(b'"size": ', b'"size": 1e400, "x": '),
    lambda data: data.replace(b'"size": ', b'"size": NaN, "x": '),
    lambda data: data.replace(b'"size": ', b'"size": Infinity, "x": '),
    lambda data: data.replace(b'"size": ', b'"size": ' + b"9" * 5000),
    lambda data: data.replace(b'"layers"', b'"Layers"'),
    lambda data: data.replace(b'"layers"', b'"layers": [], "LAYERS"'),
    lambda data: data.replace(b'"manifests"', b'"layers": [], "manifests"'),
    lambda data: data.replace(b'"config"', b'"config": {}, "config"'),
    lambda data: data.replace(b'"mediaType"', b'"mediatype"', 1),
    lambda data: data.replace(b'"digest"', b'"\\u0064igest"'),
    lambda data: data.replace(b'"annotations"', b'"Annotations"'),
    lambda data: data.replace(b'"', b"'"),
    lambda data: data.replace(b":", b"="),
    lambda data: b"// comment\n" + data,
    lambda data: b"null",
    lambda data: b"[]",
    lambda data: b'"a"',
    lambda data: b"2",
    lambda data: b"",
    lambda data: b"{}",
    lambda data: b"{",
    lambda data: b"\xff\xfe\xfd",
    lambda data: b'{"schemaVersion":2,"a":"\\ud800"}',
    lambda data: b'{"schemaVersion":1,"signatures":[],"fsLayers":[]}',
    lambda data: b" " * 300_000 + data,
]


def manifest(chance: random.Random) -> tuple[str, bytes]:
    """A media type and a manifest of it, changed in one to three places more often than not."""
    kind, document = _right(chance)
    for _ in range(chance.choice([0, 1, 1, 2, 3])):
        document = _changed(chance, document)
    data = _encoded(document, chance)
    throw = chance.random()
    if throw < 0.25:
        data = chance.choice(_RAW)(data)
    elif throw < 0.35:
        data = bytes_changed(chance, data)
    if chance.random() < 0.15:
        kind = media_type(chance)
    return kind, data


def bytes_changed(chance: random.Random, data: bytes) -> bytes:
    """The same with some bytes flipped, removed, doubled or put in."""
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 5, 20])):
        if not changed:
            return bytes(chance.randbytes(8))
        at = chance.randrange(len(changed))
        what = chance.randrange(5)
        if what == 0:
            changed[at] ^= 1 << chance.randrange(8)
        elif what == 1:
            del changed[at : at + chance.choice([1, 2, 10])]
        elif what == 2:
            changed[at:at] = changed[at : at + chance.choice([1, 5, 50])]
        elif what == 3:
            changed[at:at] = chance.randbytes(chance.choice([1, 3]))
        else:
            changed[at] = chance.choice(b'\0\r\n\t "{}[]:,%/\\\xff\x80')
    return bytes(changed)


def _right(chance: random.Random) -> tuple[str, dict[str, Any]]:
    kind = chance.choice([OCI_MANIFEST, OCI_MANIFEST, OCI_INDEX, DOCKER, DOCKER_LIST])
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": kind}
    if kind in {OCI_INDEX, DOCKER_LIST}:
        document["manifests"] = [
            {**_descriptor(chance), "platform": {"architecture": "amd64", "os": "linux"}}
            for _ in range(chance.randint(0, 3))
        ]
    else:
        document["config"] = _descriptor(chance)
        document["layers"] = [_descriptor(chance) for _ in range(chance.randint(0, 4))]
    if chance.random() < 0.3:
        document["subject"] = {"mediaType": OCI_MANIFEST, "digest": any_digest(chance), "size": 7}
    if chance.random() < 0.3:
        document["artifactType"] = chance.choice(["application/vnd.test.kind+json", ugly(chance)])
    if chance.random() < 0.4:
        document["annotations"] = {f"key{number}": ugly(chance) for number in range(chance.choice([1, 3, 200]))}
    return kind, document


def _descriptor(chance: random.Random) -> dict[str, Any]:
    content = chance.choice(BLOBS)
    found = digest(content) if chance.random() < 0.9 else any_digest(chance)
    made: dict[str, Any] = {
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": found,
        "size": len(content),
    }
    if chance.random() < 0.1:
        made["urls"] = [chance.choice(["https://example.com/x", "javascript:1", ugly(chance)])]
    if chance.random() < 0.1:
        made["data"] = chance.choice(["e30=", "!!!", ugly(chance)])
    return made


def _changed(chance: random.Random, document: Any) -> Any:
    """The document with one place anywhere in it changed."""
    changed = copy.deepcopy(document)
    holder: Any = changed
    while isinstance(holder, dict | list) and holder:
        key: Any = chance.choice(list(holder)) if isinstance(holder, dict) else chance.randrange(len(holder))
        if not isinstance(holder[key], dict | list) or not holder[key] or chance.random() < 0.3:
            _change_at(chance, holder, key)
            return changed
        holder = holder[key]
    return chance.choice(_VALUES)


def _change_at(chance: random.Random, holder: Any, key: Any) -> None:
    what = chance.randrange(6)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, dict):
        holder[chance.choice([str(key).upper(), str(key).title(), ugly(chance), str(key) + "\u0000"])] = holder.pop(key)
    elif what == 2 and isinstance(holder, list):
        holder.extend([holder[key]] * chance.choice([1, 3, 500]))
    elif what == 3:
        holder[key] = ugly(chance)
    else:
        holder[key] = chance.choice(_VALUES)


def _encoded(document: Any, chance: random.Random) -> bytes:
    text = json.dumps(document, ensure_ascii=chance.random() < 0.5, indent=chance.choice([None, 2]))
    return text.encode("utf-8", "surrogatepass")
