"""Requests that a page of another site makes a browser send, with the browser's own credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.errors import Denied

if TYPE_CHECKING:
    from moorage.http.request import Request

_ELSEWHERE = "This request comes from a page of another site, and was therefore not carried out."
_UNSAID = "A change with a session needs the header Origin or Sec-Fetch-Site, which browsers send."


def check_same_site(request: Request, *, needed: bool = True) -> None:
    """Refuse such a request (OWASP, "Cross-Site Request Forgery Prevention"). Only to be asked of changes.

    Args:
        request: the change.
        needed: whether the browser has to say where it comes from, because its cookie is all that proves who it is.

    Raises:
        Denied: it comes from elsewhere, or does not say.
    """
    site, origin = request.header(b"sec-fetch-site"), request.header(b"origin")
    if site is not None:
        ours = site in ("same-origin", "none")
    elif origin is not None:
        ours = origin == request.origin()
    elif needed:
        raise Denied(_UNSAID)
    else:
        return
    if not ours:
        raise Denied(_ELSEWHERE)
