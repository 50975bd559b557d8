"""JSON that two readers could understand in two ways is refused; what is plain is read as it is."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.core.errors import ManifestInvalid
from moorage.core.strict_json import MAX_DEPTH, decode_object, refuse_look_alikes

SMALL = st.integers(-(2**63), 2**63)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | SMALL
    | st.text(alphabet=st.characters(codec="utf-8"), max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet="abcé", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(alphabet=st.characters(codec="utf-8"), max_size=5), VALUES, max_size=4), st.booleans())
def test_plain_json_is_read_as_it_is(document: dict[str, object], ascii_only: bool) -> None:
    assert decode_object(json.dumps(document, ensure_ascii=ascii_only).encode()) == document


@given(st.binary(max_size=40) | st.text(alphabet='{}[]:,"ae1-.\\u \n', max_size=30).map(str.encode))
def test_whatever_comes_is_an_object_or_refused(data: bytes) -> None:
    with suppress(ManifestInvalid):  # and nothing else is ever raised
        assert isinstance(decode_object(data), dict)


REFUSED = {
    "nothing": b"",
    "blanks": b"  \n",
    "no object": b"[]",
    "a text": b'"{}"',
    "null": b"null",
    "a number": b"1",
    "two documents": b"{}{}",
    "something after it": b"{} x",
    "no end": b'{"a": 1',
    "a comment": b"{/* */}",
    "a comma too many": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-16 without a mark": '{"a": 1}'.encode("utf-16-le"),
    "UTF-32": '{"a": 1}'.encode("utf-32-be"),
    "no UTF-8": b'{"a": "\xff"}',
    "an overlong form": b'{"a": "\xc0\xaf"}',
    "a surrogate as bytes": b'{"a": "\xed\xa0\x80"}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": Infinity}',
    "-Infinity": b'{"a": -Infinity}',
    "a number of 5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "a number with a plus": b'{"a": +1}',
    "a number with a zero in front": b'{"a": 01}',
    "a hexadecimal number": b'{"a": 0x10}',
    "a lone surrogate": b'{"a": "\\ud800"}',
    "a lone low surrogate": b'{"a": "\\udc00x"}',
    "a lone surrogate in a name": b'{"\\ud800": 1}',
    "a control character": b'{"a": "\x01"}',
    "the same name twice": b'{"a": 1, "a": 1}',
    "the same name twice, written differently": b'{"a": 1, "\\u0061": 2}',
    "the same name twice, deep inside": b'{"x": [{"y": {"a": 1, "a": 2}}]}',
    "a very deep list": b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a very deep object": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a deep end that is missing": b"[" * 1_000_000,
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_refused(data: bytes) -> None:
    with pytest.raises(ManifestInvalid) as refused:
        decode_object(data)
    assert len(refused.value.message) < 400


@pytest.mark.parametrize("opening", [b'{"a":', b'{"a":['])
def test_the_limit_of_depth(opening: bytes) -> None:
    closing = b"]}" if opening.endswith(b"[") else b"}"
    levels = len(closing)

    def document(depth: int) -> bytes:
        times = depth // levels
        return opening * times + b"1" + closing * times

    assert decode_object(document(MAX_DEPTH))
    with pytest.raises(ManifestInvalid, match="deeper than"):
        decode_object(document(MAX_DEPTH + levels))


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert decode_object(b'{"a": "\\ud834\\udd1e"}') == {"a": "\U0001d11e"}


KNOWN = {"layers": "layers", "mediatype": "mediaType", "digest": "digest", "platform": "platform"}


@pytest.mark.parametrize(
    "name",
    [
        "Layers",
        "LAYERS",
        "layerS",
        "mediatype",
        "MediaType",
        "Digest",
        "layer\u017f",
        "LAYER\u017f",
    ],
)
def test_a_name_that_go_would_take_for_a_known_one_is_refused(name: str) -> None:
    """Go folds case as Unicode does: it takes U+017F (long s) for an s and U+212A (the Kelvin sign) for a k."""
    with pytest.raises(ManifestInvalid, match="must be written"):
        refuse_look_alikes({name: 1}, KNOWN)


def test_the_kelvin_sign_is_a_k() -> None:
    with pytest.raises(ManifestInvalid):
        refuse_look_alikes({"\u212aey": 1}, {"key": "key"})


@pytest.mark.parametrize("name", ["layers", "mediaType", "layer", "x-Layers", "layers ", "", "annotations", "\ufb01le"])
def test_other_names_pass(name: str) -> None:
    refuse_look_alikes({name: 1}, KNOWN)
