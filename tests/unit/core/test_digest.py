"""Digests: two algorithms, lower-case hexadecimal of the right length, and nothing else."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.core.digest import (
    HEX_LENGTH,
    Digest,
    digest_from,
    digest_of,
    looks_like_digest,
    new_hash,
    parse_digest,
)
from moorage.core.errors import DigestInvalid

ALGORITHMS = st.sampled_from(sorted(HEX_LENGTH))


@given(st.binary(max_size=200), ALGORITHMS)
def test_a_digest_survives_being_written_and_read(data: bytes, algorithm: str) -> None:
    digest = digest_of(data, algorithm)
    assert parse_digest(str(digest)) == digest
    assert (digest.algorithm, digest.hex) == (algorithm, hashlib.new(algorithm, data).hexdigest())
    assert digest == f"{algorithm}:{digest.hex}"
    assert looks_like_digest(digest)


@given(st.binary(max_size=50), ALGORITHMS, st.data())
def test_one_wrong_character_is_noticed(data: bytes, algorithm: str, draw: st.DataObject) -> None:
    digest = digest_of(data, algorithm)
    place = draw.draw(st.integers(0, len(digest) - 1))
    wrong = draw.draw(st.sampled_from("gGAF:-/ \n\0é\u0660"))
    if digest[place] != wrong:
        with pytest.raises(DigestInvalid):
            parse_digest(digest[:place] + wrong + digest[place + 1 :])


@pytest.mark.parametrize(
    "text",
    ["", ":", "sha256:", "sha256:" + "0" * 63, "sha256:" + "0" * 65, "sha512:" + "0" * 64, "sha256:" + "0" * 128,
     "sha384:" + "0" * 96, "md5:" + "0" * 32, "SHA256:" + "0" * 64, "sha256:" + "A" * 64, "sha256-" + "0" * 64,
     "sha256:" + "0" * 64 + "\n", " sha256:" + "0" * 64, "sha256:" + "\u0660" * 64,
     "sha256:" + "0" * 62 + "/.", "\ud800"],
)  # fmt: skip
def test_no_digests(text: str) -> None:
    with pytest.raises(DigestInvalid):
        parse_digest(text)


def test_a_refused_digest_is_not_repeated_at_length() -> None:
    with pytest.raises(DigestInvalid) as refused:
        parse_digest("x" * 10_000)
    assert refused.value.detail == {"digest": "x" * 200}


@given(st.lists(st.binary(max_size=30)), ALGORITHMS)
def test_a_running_hash_comes_to_the_same(pieces: list[bytes], algorithm: str) -> None:
    running = new_hash(algorithm)
    for piece in pieces:
        running.update(piece)
    assert digest_from(algorithm, running) == digest_of(b"".join(pieces), algorithm)


@pytest.mark.parametrize("algorithm", ["", "sha1", "md5", "SHA256", "sha256 ", "sha3_256", "sha384", "x" * 1000])
def test_other_algorithms_are_refused(algorithm: str) -> None:
    with pytest.raises(DigestInvalid):
        new_hash(algorithm)


def test_a_tag_does_not_look_like_a_digest() -> None:
    assert not looks_like_digest("sha256-" + "0" * 64)
    assert isinstance(digest_of(b""), Digest)
