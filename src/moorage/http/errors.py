"""From an error to an answer: the one place where that happens.

A status of 500 and more says nothing of the inside to the client and everything to the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from moorage.core.errors import RegistryError, Unauthorized
from moorage.http.response import Response
from moorage.telemetry.failures import told_of
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from moorage.http.request import Request

_log = logger("moorage.http")


def error_response(error: Exception, request: Request) -> Response:
    """The JSON answer for anything that was raised (distribution specification, "Error Codes")."""
    meant = error if isinstance(error, RegistryError) else RegistryError()
    if meant.status >= 500:
        _log.error(
            "request failed",
            request_id=request.id,
            method=request.method,
            path=request.path,
            status=meant.status,
            **told_of(error),
        )
    entry: dict[str, object] = {"code": meant.code, "message": meant.message}
    if meant.detail is not None:
        entry["detail"] = meant.detail
    headers = [(b"content-type", b"application/json"), (b"x-request-id", request.id.encode())]
    headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in meant.headers]
    if isinstance(meant, Unauthorized) and meant.challenge:
        headers.append((b"www-authenticate", meant.challenge.encode("latin-1", "replace")))
    size = getattr(meant, "size", None)
    if meant.status == 416 and isinstance(size, int) and request.location:
        headers += [(b"location", request.location.encode()), (b"range", b"0-%d" % (size - 1))]
    return Response(meant.status, headers, orjson.dumps({"errors": [entry]}, default=str))
