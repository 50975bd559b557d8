"""The table of routes: path, method, needed access and handler in one line each.

A path is taken apart from its right end, because a repository's name may hold anything that looks like a route.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.core.errors import RouteUnknown, Unsupported

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from moorage.http.request import Request
    from moorage.http.response import Response
    from moorage.http.v2.blobs import Blobs
    from moorage.http.v2.listing import Lists
    from moorage.http.v2.manifests import Manifests
    from moorage.http.v2.uploads import UploadSessions

    Handler = Callable[[Request], Awaitable[Response]]

PULL, PUSH, DELETE, CATALOG, ANY = "pull", "push", "delete", "catalog", ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What answers one method of one route, and the access that it needs.

    access: an action on the repository of the path, `catalog`, or empty for whoever proved who they are. A path of
        that kind that names a repository all the same needs `pull` on it.
    compares: the handler's own lookup tells whether the repository is the one that a token was given for
        (`Caller.bound`), so that nobody need look before: one query for a pull.
    """

    handler: Handler
    access: str
    compares: bool = False


Table = dict[str, dict[str, Endpoint]]


def table(manifests: Manifests, blobs: Blobs, uploads: UploadSessions, lists: Lists) -> Table:
    """All routes of the distribution API."""
    return {
        "base": _read(Endpoint(lists.base, ANY)),
        "catalog": _read(Endpoint(lists.catalog, CATALOG)),
        "extensions": _read(Endpoint(lists.extensions, ANY)),
        "manifest": {
            **_read(Endpoint(manifests.get, PULL, compares=True)),
            "PUT": Endpoint(manifests.put, PUSH),
            "DELETE": Endpoint(manifests.delete, DELETE),
        },
        "blob": {
            "GET": Endpoint(blobs.get, PULL, compares=True),
            "HEAD": Endpoint(blobs.head, PULL),
            "DELETE": Endpoint(blobs.delete, DELETE),
        },
        "uploads": {"POST": Endpoint(uploads.begin, PUSH)},
        "upload": {
            **_read(Endpoint(uploads.status, PUSH)),
            "PATCH": Endpoint(uploads.append, PUSH),
            "PUT": Endpoint(uploads.finish, PUSH),
            # Cancelling one's own upload is part of pushing: skopeo does it with a pull,push token.
            "DELETE": Endpoint(uploads.cancel, PUSH),
        },
        "tags": _read(Endpoint(lists.tags, PULL)),
        "referrers": _read(Endpoint(lists.referrers, PULL)),
    }


def _read(endpoint: Endpoint) -> dict[str, Endpoint]:
    """HEAD is GET without the body, which the outermost door leaves out (RFC 9110 section 9.3.2)."""
    return {"GET": endpoint, "HEAD": endpoint}


def match(path: str) -> tuple[str, str, str]:
    """The route of a path below the prefix, with the repository's name and the reference in it, both unchecked.

    Raises:
        RouteUnknown: no route looks like that.
    """
    parts = path.split("/")
    if len(parts) >= 5 and parts[1] == "v2":
        kind, last = parts[-2], parts[-1]
        if kind == "manifests":
            return "manifest", "/".join(parts[2:-2]), last
        if kind == "blobs":
            name = "/".join(parts[2:-2])
            return ("uploads", name, "") if last == "uploads" else ("blob", name, last)
        if kind == "uploads" and parts[-3] == "blobs" and len(parts) >= 6:
            return ("upload" if last else "uploads"), "/".join(parts[2:-3]), last
        if kind == "tags" and last == "list":
            return "tags", "/".join(parts[2:-2]), ""
        if kind == "referrers":
            return "referrers", "/".join(parts[2:-2]), last
    return _fixed(path)


def _fixed(path: str) -> tuple[str, str, str]:
    if path in ("/v2/", "/v2"):
        return "base", "", ""
    if path == "/v2/_catalog":
        return "catalog", "", ""
    if path == "/v2/_oci/ext/discover":
        return "extensions", "", ""
    if path.startswith("/v2/") and path.endswith("/_oci/ext/discover"):
        return "extensions", path[len("/v2/") : -len("/_oci/ext/discover")], ""
    raise RouteUnknown(detail={"path": path[:300]})


def endpoint(routes: Table, route: str, method: str) -> Endpoint:
    """What answers a method of a route.

    Raises:
        Unsupported: the route has no such method.
    """
    methods = routes[route]
    found = methods.get(method)
    if found is None:
        allowed = ", ".join(sorted(methods))
        raise Unsupported(
            f"This address answers {allowed} only.", {"method": method[:20]}, headers=(("allow", allowed),)
        )
    return found
