"""Conditional requests (RFC 9110 section 13): entity tags are quoted digests."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from moorage.registry.push import UNCONDITIONAL, Condition

if TYPE_CHECKING:
    from moorage.http.request import Request

MAX_TAGS = 100

# No part can be matched in two ways, so that no header takes more than one pass.
_TAG = re.compile(r'(W/)?"([^"]*)"|([^",\s]+)')


def not_modified(request: Request, digest: str) -> bool:
    """Whether `If-None-Match` names what would be sent; asked only once it is known to be there."""
    header = request.headers.get(b"if-none-match")
    if header is None:
        return False
    return bool({"*", digest} & _tags(header.decode("latin-1")))


def condition(request: Request) -> Condition:
    """The conditions of a manifest PUT; `If-Match` compares strongly: no weak tag is equal to anything."""
    match, none_match = request.header(b"if-match"), request.header(b"if-none-match")
    if match is None and none_match is None:
        return UNCONDITIONAL
    return Condition(
        match=_tags(match, strong=True) if match is not None else None,
        none_match=_tags(none_match) if none_match is not None else None,
    )


def _tags(header: str, *, strong: bool = False) -> frozenset[str]:
    """The entity tags of a header, without weak ones if `strong`; vendored docker clients leave the quotes out."""
    found = islice(_TAG.finditer(header), MAX_TAGS)
    return frozenset(match[3] if match[2] is None else match[2] for match in found if not (strong and match[1]))
