"""Secrets are recognised wherever they hide; what is no secret stays readable."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.telemetry.clean import (
    escape_controls,
    escape_quoted,
    escape_word,
    redact,
    redact_query,
    redact_text,
)

SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "query",
    [
        "token={}",
        "a=b&refresh_token={}",
        "access_token={}&a=b",
        "client_secret={}",
        "PASSWORD={}",
        "id_token={}",
        "%74oken={}",
        "%2574oken={}",
        "a=1;token={}",
        "next=%2Fx%3Ftoken%3D{}",
        "next=%252Fx%253Ftoken%253D{}",
        "X-Amz-Signature={}",
        "X-Amz-Credential={}",
        "sig={}",
        "code={}",
        "u=https://bob:{}@example.com/",
        "token[]={}",
        "token={}=={}",
    ],
)
def test_a_secret_parameter_is_redacted(query: str) -> None:
    cleaned = redact_query(query.replace("{}", SECRET).encode())
    assert SECRET not in cleaned
    assert "[redacted]" in cleaned


@pytest.mark.parametrize(
    "query",
    [
        "",
        "n=100",
        "n=100&last=b",
        "digest=sha256%3Aabc",
        "mount=sha256:abc&from=lib/busybox",
        "token=",
        "token",
        "a=%",
        "a=%zz",
    ],
)
def test_an_innocent_query_stays_as_it_came(query: str) -> None:
    assert redact_query(query.encode()) == query


def test_other_parameters_stay() -> None:
    assert redact_query(b"account=bob&token=abc&service=r&scope=x") == "account=bob&token=[redacted]&service=r&scope=x"


def test_a_query_outside_of_ascii_is_percent_encoded() -> None:
    assert redact_query(b"a=\xff\xc3\xa4") == "a=%FF%C3%A4"


@given(st.binary(max_size=200))
def test_any_query_gives_ascii(query: bytes) -> None:
    assert redact_query(query).isascii()


@given(st.binary(max_size=60).map(lambda data: data.replace(b"&", b"").replace(b";", b"").hex().encode() + b"Zz9"))
def test_no_value_of_a_token_ever_passes(value: bytes) -> None:
    assert value.decode() not in redact_query(b"x=1&refresh_token=" + value + b"&y=2")


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://moorage:{}@db/x",
        "https://{}@github.com/x",
        "redis://:a@{}@host",
        "https://host/x?a=b&token={}",
        'password="{} with blanks"',
        "password='a {}'",
        '{"password": "{}"}',
        "{'secret': b'{}'}",
        "Authorization: Basic {}",
        "authorization: Bearer {}",
        "authorization={}",
        "Bearer {}",
        "the header was Basic {}",
        "AWS_SECRET_ACCESS_KEY={}",
        "api-key: {}",
    ],
)
def test_a_secret_inside_of_a_text_is_redacted(text: str) -> None:
    cleaned = redact_text(text.replace("{}", SECRET))
    assert SECRET not in cleaned
    assert "[redacted]" in cleaned
    assert redact_text(cleaned) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "Basic authentication is on",
        "bearer authentication",
        "http://127.0.0.1:5000/v2/",
        "see https://example.com/@scope/x",
        "sha256:abc of library/busybox",
        "the password is wrong",
        "mail bob@example.com",
    ],
)
def test_an_innocent_text_stays(text: str) -> None:
    assert redact_text(text) == text


def test_members_with_secret_names_are_replaced_at_any_depth() -> None:
    value = {
        "a": [{"Proxy-Authorization": SECRET, "n": 1}],
        "db": {"url": f"pg://u:{SECRET}@h/x"},
        "Cookie": SECRET,
    }
    assert redact(value) == {
        "a": [{"Proxy-Authorization": "[redacted]", "n": 1}],
        "db": {"url": "pg://[redacted]@h/x"},
        "Cookie": "[redacted]",
    }


@pytest.mark.parametrize(
    "value", [{"password": 12345}, {"token": [SECRET]}, {"secret": {"x": SECRET}}, {"token": b"abc"}]
)
def test_a_secret_is_redacted_whatever_its_type(value: dict[str, object]) -> None:
    assert list(redact(value).values()) == ["[redacted]"]  # type: ignore[attr-defined]


def test_plain_values_keep_their_type() -> None:
    assert redact({"a": 1, "b": 2.5, "c": None, "d": True, "password": None}) == {
        "a": 1, "b": 2.5, "c": None, "d": True, "password": None,
    }  # fmt: skip


def test_objects_become_their_cleaned_repr() -> None:
    class Connection:
        def __repr__(self) -> str:
            return f"<Connection password={SECRET}>"

    assert SECRET not in str(redact([Connection(), ValueError(f"token={SECRET}"), b"token=" + SECRET.encode()]))
    assert redact(Path("/x/y")) == "/x/y"


def test_a_structure_that_contains_itself_ends() -> None:
    loop: dict[str, object] = {"password": SECRET}
    loop["self"] = loop
    assert SECRET not in str(redact({"outer": loop}))


@pytest.mark.parametrize("seed", ["token", "://", "a.", "token=\\", 'password="\\', "basic ", "=", "%25"])
def test_hostile_texts_take_linear_time(seed: str) -> None:
    text = (seed * 20000)[:60000]
    started = time.process_time()
    redact_text(text)
    redact_query(text.encode())
    assert time.process_time() - started < 2


def test_controls_are_escaped() -> None:
    assert escape_controls('a\nb\r\t\x1b[31m"\u202e\u2028\x7f') == 'a\\nb\\r\\t\\x1b[31m"\\u202e\\u2028\\x7f'
    assert escape_controls("\U000e0001") == "\\U000e0001"


def test_quotes_and_backslashes_are_escaped_between_quotes() -> None:
    assert escape_quoted('a"b\\c\n ') == 'a\\"b\\\\c\\n '


def test_a_word_has_no_blanks_and_is_never_empty() -> None:
    assert escape_word("a b") == "a\\x20b"
    assert escape_word("") == "-"


@given(st.text())
def test_what_is_escaped_prints_and_can_be_read_back(text: str) -> None:
    escaped = escape_quoted(text)
    assert escaped.isprintable()
    body = escaped.replace("\\\\", "").replace('\\"', "")
    assert '"' not in body
    if text.isascii():
        assert escaped.encode().decode("unicode_escape") == text
