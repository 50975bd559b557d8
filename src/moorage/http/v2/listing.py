"""Doors to what is listed: the base route, catalog, tags, referrers, extensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from moorage.core.digest import parse_digest
from moorage.core.errors import PaginationInvalid
from moorage.core.media_types import OCI_INDEX
from moorage.core.names import parse_name
from moorage.http.request import whole_number
from moorage.http.response import Response
from moorage.http.v2.paging import next_link, wanted

if TYPE_CHECKING:
    from moorage.http.request import Request
    from moorage.http.response import Header
    from moorage.registry.listing import Listing, Page
    from moorage.registry.referrers import Referrers

_JSON: Header = (b"content-type", b"application/json")
_INDEX: Header = (b"content-type", OCI_INDEX.encode())


class Lists:
    """Handlers that answer with lists."""

    def __init__(self, listing: Listing, referrers: Referrers) -> None:
        self._listing = listing
        self._referrers = referrers

    async def base(self, _request: Request) -> Response:
        """`GET /v2/` (end-1): here is a registry, and the credentials are good."""
        return Response(200, [_JSON], b"{}")

    async def extensions(self, request: Request) -> Response:
        """`GET /v2/_oci/ext/discover`: which extensions are there."""
        if request.name:
            parse_name(request.name)
        extension = {
            "name": "_oci",
            "description": "Discovery of extensions.",
            "url": "https://github.com/opencontainers/distribution-spec/blob/main/extensions/_oci.md",
            "endpoints": ["_oci/ext/discover"],
        }
        return Response(200, [_JSON], orjson.dumps({"extensions": [extension]}))

    async def catalog(self, request: Request) -> Response:
        """`GET /v2/_catalog`: repositories in byte order."""
        number = wanted(request)
        page = await self._listing.repositories(number, request.value("last") or "", request.caller)
        return _names(request, page, number, {"repositories": page.names})

    async def tags(self, request: Request) -> Response:
        """`GET /v2/<name>/tags/list` (end-8)."""
        name = parse_name(request.name)
        number = wanted(request)
        page = await self._listing.tags(name, number, request.value("last") or "")
        return _names(request, page, number, {"name": name, "tags": page.names})

    async def referrers(self, request: Request) -> Response:
        """`GET /v2/<name>/referrers/<digest>` (end-12): 200 even of the unknown: 404 means "no API" to oras."""
        name = parse_name(request.name)
        subject = parse_digest(request.reference)
        types = tuple(dict.fromkeys(value for value in request.values("artifactType") if value))
        number = wanted(request)
        after = whole_number(request.value("last") or "0")
        if after is None:
            raise PaginationInvalid("The value of last must come from the Link of the page before.")
        page = await self._referrers.of(name, subject, types, number, after)
        body = b'{"schemaVersion":2,"mediaType":"%b","manifests":[%b]}' % (
            OCI_INDEX.encode(),
            b",".join(page.descriptors),
        )
        headers = [_INDEX]
        if types:
            headers.append((b"oci-filters-applied", b"artifactType"))
        if page.next_after is not None:
            parameters = [("artifactType", value) for value in types]
            parameters += [("n", str(number))] if number is not None else []
            headers.append(next_link(request, [*parameters, ("last", str(page.next_after))]))
        return Response(200, headers, body)


def _names(request: Request, page: Page, number: int | None, document: dict[str, object]) -> Response:
    headers = [_JSON]
    if page.more:
        parameters = [("n", str(number if number is not None else len(page.names))), ("last", page.names[-1])]
        headers.append(next_link(request, parameters))
    return Response(200, headers, orjson.dumps(document))
