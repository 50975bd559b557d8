"""Requests that a page of another site makes a browser send, with the browser's own credentials or from its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.errors import Denied
from moorage.core.hosts import is_loopback

if TYPE_CHECKING:
    from moorage.http.request import Request

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 section 9.2.1)."""

_ELSEWHERE = "This request comes from a page of another site, and was therefore not carried out."
_UNSAID = "A change with a session needs the header Origin or Sec-Fetch-Site, which browsers send."

_REBOUND = (
    "An open registry takes changes here only by a loopback address or localhost, or by the host name that http.host "
    "says: any page could lead a browser here by a name of its own."
)


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


def check_open_host(request: Request) -> None:
    """Refuse a change that a page may have led a browser to by a name of its own (DNS rebinding).

    For registries without accounts: who can reach them may do everything, a browser on the same machine can, and to it
    the page and the registry are then one site.

    Raises:
        Denied: the name by which we were reached is neither this machine's own nor the one that is configured.
    """
    name, configured = request.host_names()
    if not name or (name != configured and not is_loopback(name)):
        raise Denied(_REBOUND)
