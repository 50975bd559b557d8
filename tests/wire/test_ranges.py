"""Parts of blobs: one range, several as multipart, conditions, and headers made to hurt (RFC 9110 section 14)."""

from __future__ import annotations

import email
import os
import random
import re
from email.message import Message
from pathlib import Path

import pytest

from tests.conformance.client import Answer
from tests.support.server import Server, serving
from tests.support.wire import Client, digest
from tests.support.workers import cpu_seconds
from tests.wire.test_uploads import blob_file

SIZE = 3_000_000
CONTENT = os.urandom(SIZE)
SMALL = os.urandom(2048)


@pytest.fixture(scope="module")
def blob(server: Server) -> str:
    """The address of a blob of 3 MB, which is sent from disk."""
    with Client(server) as client:
        return f"/v2/ranges/blobs/{client.push_blob('ranges', CONTENT)}"


@pytest.fixture(scope="module")
def small(server: Server) -> str:
    """The address of a blob of 2 kB."""
    with Client(server) as client:
        return f"/v2/ranges/blobs/{client.push_blob('ranges', SMALL)}"


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, SIZE),
        ("bytes=5-9", 5, 10),
        ("bytes=1000000-1999999", 1_000_000, 2_000_000),
        ("bytes=2999999-", SIZE - 1, SIZE),
        ("bytes=-1", SIZE - 1, SIZE),
        ("bytes=-3000000", 0, SIZE),
        ("bytes=-99999999999", 0, SIZE),
        ("bytes=-99999999999999999999", 0, SIZE),
        ("bytes=7-99999999999999999999999999999", 7, SIZE),
        ("bytes=7-" + "9" * 4000, 7, SIZE),
        ("bytes=2999990-5000000", SIZE - 10, SIZE),
        ("bytes=100-3000000", 100, SIZE),  # regclient asks up to the size
        ("Bytes=5-9", 5, 10),
        ("bytes= 5-9 ", 5, 10),
    ],
)
def test_one_range(client: Client, blob: str, header: str, start: int, stop: int) -> None:
    answer = client.get(blob, [("Range", header)]).expect(206)
    assert answer.need("Content-Range") == f"bytes {start}-{stop - 1}/{SIZE}"
    assert answer.need("Content-Length") == str(stop - start)
    assert answer.need("Docker-Content-Digest") == digest(CONTENT)
    assert answer.body == CONTENT[start:stop]


@pytest.mark.parametrize(
    "header",
    [
        "bytes=3000000-",
        "bytes=5000000-6000000",
        "bytes=500-0",
        "bytes=-0",
        "bytes=4000000-,5000000-",
        "bytes=3000000-3000000",
        "bytes=99999999999999999999999999999-",
    ],
)
def test_a_range_outside_is_refused(client: Client, blob: str, header: str) -> None:
    answer = client.get(blob, [("Range", header)]).expect(416)
    assert answer.need("Content-Range") == f"bytes */{SIZE}"
    assert answer.codes()


@pytest.mark.parametrize(
    "header",
    [
        "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1_0-20", "bytes=+1-5", "bytes=1-2-3", "lines=1-2",
        "bytes 1-2", "bytes=\u00b2-\u00b3", "bytes=0x1-0x2", "bytes=1.0-2", "bytes=,", "bytes=1-2;3-4", "bytes=--5",
        "=1-2", "bytes=0-,0-", "bytes=0-1999999,0-1999999",
    ],
)  # fmt: skip
def test_a_range_that_makes_no_sense_is_no_range(client: Client, blob: str, header: str) -> None:
    assert client.get(blob, [("Range", header)]).expect(200).body == CONTENT


def parts(answer: Answer) -> list[tuple[str, bytes]]:
    """Content-Range and content of every part of a multipart answer, read by the standard library's mail parser."""
    kind = answer.need("Content-Type")
    assert kind.startswith("multipart/byteranges; boundary="), kind
    message: Message = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + answer.body)
    assert message.is_multipart()
    assert not message.defects
    found = []
    boundary = b"--" + kind.partition("boundary=")[2].encode()
    raw = answer.body.split(b"\r\n" + boundary)
    assert raw[0] == b""
    assert raw[-1] == b"--\r\n"
    for piece in raw[1:-1]:  # the mail parser changes line ends in the content, so that is cut out by hand
        head, _, body = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = email.message_from_bytes(head + b"\r\n\r\n")
        assert headers["Content-Type"] == "application/octet-stream"
        found.append((headers["Content-Range"], body))
    assert len(found) == len(message.get_payload())
    return found


def test_several_ranges_come_in_parts_in_the_order_asked_for(client: Client, blob: str) -> None:
    chance = random.Random(12)
    for count in (2, 3, 10, 64):
        size = SIZE // count
        spans = [(start := chance.randrange(SIZE - size), start + chance.randrange(1, size)) for _ in range(count)]
        header = ",".join(f"{start}-{stop - 1}" for start, stop in spans)
        answer = client.get(blob, [("Range", f"bytes={header}")]).expect(206)
        assert answer.header("Content-Range") is None
        assert int(answer.need("Content-Length")) == len(answer.body)
        found = parts(answer)
        assert found == [(f"bytes {start}-{stop - 1}/{SIZE}", CONTENT[start:stop]) for start, stop in spans]


@pytest.mark.parametrize("gone", [False, True])
def test_content_that_is_lost_is_503_however_it_is_asked_for(tmp_path: Path, gone: bool) -> None:
    with serving(tmp_path, clean=False, workers_wanted=1) as server, Client(server) as client:
        found = client.push_blob("lost", CONTENT)
        if gone:
            blob_file(server, found).unlink()
        else:
            os.truncate(blob_file(server, found), SIZE // 2)
        for ranges in ([], [("Range", "bytes=0-9")], [("Range", "bytes=0-9, 20-29")]):
            answer = client.get(f"/v2/lost/blobs/{found}", ranges)
            assert answer.expect(503).codes() == ["UNAVAILABLE"]


def test_of_several_ranges_those_outside_are_left_out(client: Client, small: str) -> None:
    answer = client.get(small, [("Range", "bytes=0-9, 5000-6000, -10")]).expect(206)
    assert parts(answer) == [("bytes 0-9/2048", SMALL[:10]), ("bytes 2038-2047/2048", SMALL[-10:])]
    alone = client.get(small, [("Range", "bytes=0-9,5000-6000")]).expect(206)
    assert alone.need("Content-Range") == "bytes 0-9/2048"
    assert alone.body == SMALL[:10]


@pytest.mark.parametrize(
    "header",
    [
        "bytes=" + "0-," * 9999 + "0-",
        "bytes=" + ",".join(f"{at}-{at}" for at in range(0, 20000, 2)),
        "bytes=" + "," * 10_000,
        "bytes=" + " " * 30_000 + "0-1",
        "bytes=" + "-" * 10_000,
        "bytes=" + "0" * 10_000 + "-1",
        "bytes=0-1" + "0" * 10_000,
        "bytes=" + "0-0,0-" * 100,
    ],
)
def test_ten_thousand_ranges_cost_nothing(client: Client, small: str, header: str) -> None:
    client.get(small)
    began = cpu_seconds(client.server)
    for _ in range(3):
        answer = client.get(small, [("Range", header)])
        assert answer.status in {200, 206, 416}
        assert len(answer.body) <= 3 * len(SMALL)
    assert cpu_seconds(client.server) - began < 0.3


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"{digest}"', 206),
        ('W/"{digest}"', 200),  # only a strong tag may join parts (RFC 9110 section 13.1.5)
        ('"sha256:other"', 200),
        ("Sat, 21 Nov 2026 00:00:00 GMT", 200),
        ("", 200),
    ],
)
def test_if_range(client: Client, small: str, condition: str, status: int) -> None:
    headers = [("Range", "bytes=10-19"), ("If-Range", condition.format(digest=digest(SMALL)))]
    answer = client.get(small, headers).expect(status)
    assert answer.body == (SMALL[10:20] if status == 206 else SMALL)


@pytest.mark.parametrize("tag", ['"{digest}"', 'W/"{digest}"', '"x", "{digest}"', "*", "{digest}"])
def test_if_none_match(client: Client, small: str, tag: str) -> None:
    answer = client.get(small, [("If-None-Match", tag.format(digest=digest(SMALL)))]).expect(304)
    assert answer.need("ETag") == f'"{digest(SMALL)}"'
    head = client.ask("HEAD", small, [("If-None-Match", tag.format(digest=digest(SMALL)))]).expect(304)
    assert head.need("ETag") == answer.need("ETag")
    client.get(small.replace("ranges", "elsewhere"), [("If-None-Match", "*")]).expect(404)
    client.ask("HEAD", small.replace("ranges", "elsewhere"), [("If-None-Match", "*")]).expect(404)
    client.ask("HEAD", small, [("If-None-Match", '"sha256:other"')]).expect(200)
    assert client.get(small, [("If-None-Match", '"sha256:other"')]).expect(200).body == SMALL


def test_head_ignores_range(client: Client, small: str) -> None:
    answer = client.ask("HEAD", small, [("Range", "bytes=0-9")]).expect(200)
    assert answer.need("Content-Length") == "2048"
    assert answer.need("Accept-Ranges") == "bytes"


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-5", "bytes=0-0"])
def test_a_range_of_nothing(client: Client, name: str, header: str) -> None:
    target = f"/v2/{name}/blobs/{client.push_blob(name, b'')}"
    assert client.get(target).expect(200).need("Content-Length") == "0"
    assert client.get(target, [("Range", header)]).status in {200, 416}


def test_parts_put_together_are_the_blob(client: Client, blob: str) -> None:
    """As containerd fetches: many `bytes=N-` requests of which only the beginning is read."""
    found = b""
    while len(found) < SIZE:
        answer = client.get(blob, [("Range", f"bytes={len(found)}-{len(found) + 700_000}")]).expect(206)
        assert re.fullmatch(rf"bytes {len(found)}-\d+/{SIZE}", answer.need("Content-Range"))
        found += answer.body
    assert found == CONTENT
