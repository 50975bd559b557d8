"""Requests that a page of another site makes a browser send, with the browser's own credentials or from its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.errors import Denied
from moorage.core.hosts import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moorage.http.request import Request

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 section 9.2.1)."""

_ELSEWHERE = "This request comes from a page of another site, and was therefore not carried out."
_REMEMBERED = (
    "This request comes from a page of another site, whose login a browser may have remembered, and was therefore not "
    "carried out. Pages that may ask are named in http.headers, in Access-Control-Allow-Origin."
)
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
    ours = _is_ours(request)
    if ours is None and needed:
        raise Denied(_UNSAID)
    if ours is False:
        raise Denied(_ELSEWHERE)


def check_remembered(request: Request, credentials: str, allowed: frozenset[str]) -> None:
    """Refuse a change that a page of another site asks for with Basic credentials: browsers remember these.

    They are sent with whatever a page makes the browser ask for, as a cookie is. A program says neither `Origin` nor
    `Sec-Fetch-Site`, and need not. A Bearer token is sent by no browser of its own accord.

    Args:
        request: of any method; those that change nothing pass.
        credentials: the header `Authorization`.
        allowed: origins of pages that may, of `allowed_origins`.

    Raises:
        Denied: see above.
    """
    if request.method in SAFE or credentials[:6].lower() != "basic " or _is_ours(request) is not False:
        return
    if not _is_allowed(request, allowed):
        raise Denied(_REMEMBERED)


def allowed_origins(headers: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The origins whose pages may use the registry (Fetch standard, "CORS protocol").

    Args:
        headers: names and values of those that are added to every answer.
    """
    return frozenset(value.strip() for name, value in headers if name.lower() == "access-control-allow-origin")


def _is_allowed(request: Request, allowed: frozenset[str]) -> bool:
    """Whether the operator lets pages of that origin ask for this.

    To `*` no browser sends what it remembers, if it has to ask ahead: what comes was written by the page itself. A POST
    may come without asking.
    """
    origin = request.header(b"origin")
    if origin is None:
        return False
    return origin in allowed or ("*" in allowed and request.method != "POST")


def _is_ours(request: Request) -> bool | None:
    """Whether the browser says that the request is of a page of ours, or of no page; None where it says nothing."""
    site, origin = request.header(b"sec-fetch-site"), request.header(b"origin")
    if site is not None:
        return site in ("same-origin", "none")
    return None if origin is None else origin == request.origin()


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
