"""From an error to a problem document (RFC 9457). The framework is not needed for it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson

from moorage.core.errors import RegistryError, Unauthorized
from moorage.telemetry.failures import told_of
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROBLEM = "application/problem+json"

MOST_PLACES = 50
"""Places of a request that are named as wrong in one answer."""

_log = logger("moorage.http.api")


class BodyTooLarge(RegistryError):
    """A request whose body is larger than any that makes sense here."""

    code = "SIZE_INVALID"
    status = 413
    default = "The body of the request is larger than the management API accepts."


class BodyAmbiguous(RegistryError):
    """A request whose body two readers may understand in two ways."""

    code = "INVALID"
    status = 400
    default = "A member name stands twice in one object of the body; write each member once."


def problem(
    status: int,
    detail: str,
    *,
    code: str,
    request_id: str = "",
    errors: Sequence[Mapping[str, str]] = (),
    more: object = None,
) -> bytes:
    """The document as bytes.

    Args:
        status: of the answer.
        detail: a sentence for the person who sees it.
        code: for programs; the same words as in the errors of `/v2/`.
        request_id: as in the logs; the document's `instance`.
        errors: `{"place": ..., "message": ...}` for each part of the request that is wrong.
        more: any JSON value that helps a program.
    """
    document: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if request_id:
        document["instance"] = request_id
    if errors:
        document["errors"] = list(errors)[:MOST_PLACES]
    if more is not None:
        document["more"] = more
    return orjson.dumps(document, default=str)


def problem_of(error: Exception, request_id: str, *, browser: bool = False) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body for anything that was raised.

    A status of 500 and more says nothing of the inside to the client and everything to the log.

    Args:
        error: what was raised.
        request_id: of the request.
        browser: a page of ours asks; it wants no window of the browser's own for name and password.
    """
    meant = error if isinstance(error, RegistryError) else RegistryError()
    if meant.status >= 500:
        _log.error("request failed", request_id=request_id, status=meant.status, **told_of(error))
    headers = {"content-type": PROBLEM, "cache-control": "no-store", **dict(meant.headers)}
    if request_id:
        headers["x-request-id"] = request_id
    if isinstance(meant, Unauthorized):
        # RFC 9110 section 15.5.2: a 401 says how to authenticate.
        headers["www-authenticate"] = (
            'Bearer realm="moorage"' if browser else 'Basic realm="moorage", charset="UTF-8", Bearer realm="moorage"'
        )
    body = problem(meant.status, meant.message, code=meant.code, request_id=request_id, more=meant.detail)
    return meant.status, headers, body
