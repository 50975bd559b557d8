"""From an error to what its page says, and to the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.errors import RegistryError, Unauthorized
from moorage.telemetry.failures import told_of
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from moorage.http.request import Request
    from moorage.http.response import Header

_log = logger("moorage.http")

TITLES = {
    400: "This cannot be read",
    401: "Not signed in",
    403: "Not allowed",
    404: "Nothing here",
    405: "Not this way",
    408: "Too slow",
    409: "Not possible",
    413: "Too large",
    422: "Not possible",
    429: "Too many requests",
    500: "Something went wrong",
    503: "Try again",
}


def log_failure(request: Request, error: Exception) -> None:
    """A status of 500 and more says nothing of the inside to the client and everything to the log."""
    status = error.status if isinstance(error, RegistryError) else 500
    if status >= 500:
        _log.error("request failed", request_id=request.id, path=request.path, status=status, **told_of(error))


def extra_headers(error: RegistryError) -> list[Header]:
    """What goes with an error's answer.

    RFC 9110 section 15.5.2 wants a 401 to say how to authenticate; this scheme opens no window of the browser's own.
    """
    found = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in error.headers]
    if isinstance(error, Unauthorized):
        found.append((b"www-authenticate", b'Bearer realm="moorage"'))
    return found
