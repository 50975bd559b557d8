"""From an error to an answer: JSON with a code that clients know, and nothing of the inside."""

from __future__ import annotations

import json
import sqlite3

import pytest

from moorage.core.errors import (
    Denied,
    NameInvalid,
    RangeNotSatisfiable,
    Unauthorized,
    Unavailable,
    UploadRangeInvalid,
)
from moorage.http.errors import error_response
from moorage.http.response import Response
from tests.support.requests import request


def entry(response: Response) -> dict[str, object]:
    assert isinstance(response.body, bytes)
    document = json.loads(response.body)
    assert list(document) == ["errors"]
    (found,) = document["errors"]
    return dict(found)


def test_a_refusal() -> None:
    response = error_response(NameInvalid("No.", {"name": "A"}), request())
    assert response.status == 400
    assert entry(response) == {"code": "NAME_INVALID", "message": "No.", "detail": {"name": "A"}}
    assert dict(response.headers)[b"content-type"] == b"application/json"
    assert dict(response.headers)[b"x-request-id"] == b"request-1"


def test_without_a_detail_there_is_none() -> None:
    assert entry(error_response(Denied(), request())).keys() == {"code", "message"}


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("secret"), sqlite3.OperationalError("/secret/path"), OSError(5, "secret")]
)
def test_what_nobody_meant_says_nothing_of_the_inside(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    response = error_response(error, request())
    assert response.status == 500
    assert isinstance(response.body, bytes)
    assert b"secret" not in response.body
    assert entry(response)["code"] == "UNKNOWN"


def test_unavailable_says_when_to_try_again() -> None:
    response = error_response(Unavailable(), request())
    assert response.status == 503
    assert (b"retry-after", b"5") in response.headers


def test_a_chunk_at_the_wrong_place_says_where_to_go_on() -> None:
    """Specification, "Pushing a blob in chunks": Location and Range as the status has them."""
    one = request("PATCH")
    one.location = "/v2/a/blobs/uploads/x"
    response = error_response(UploadRangeInvalid(7), one)
    assert response.status == 416
    assert (b"location", b"/v2/a/blobs/uploads/x") in response.headers
    assert (b"range", b"0-6") in response.headers


def test_a_range_of_a_download_has_no_location() -> None:
    headers = (("content-range", "bytes */5"),)
    response = error_response(RangeNotSatisfiable(detail={"size": 5}, headers=headers), request())
    assert (b"content-range", b"bytes */5") in response.headers
    assert b"location" not in dict(response.headers)


def test_a_challenge() -> None:
    response = error_response(Unauthorized(challenge='Basic realm="a"'), request())
    assert response.status == 401
    assert (b"www-authenticate", b'Basic realm="a"') in response.headers
    assert b"www-authenticate" not in dict(error_response(Unauthorized(), request()).headers)


@pytest.mark.parametrize("detail", [{1, 2}, object, b"\xff", {"size": 2**63}, [None, 1.5]])
def test_any_detail_is_told_somehow(detail: object) -> None:
    assert "detail" in entry(error_response(NameInvalid(detail=detail), request()))
