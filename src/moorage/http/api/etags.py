"""`ETag` and `If-Match`: whoever changes something may say which version they looked at (RFC 9110 section 13.1.1)."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header, Response

from moorage.core.errors import Invalid, PreconditionFailed

_TAG = re.compile(r'"([0-9]{1,18})"', re.ASCII)


def set_etag(response: Response, version: int) -> None:
    """Tell the version of what is answered."""
    response.headers["etag"] = f'"{version}"'


async def _if_match(
    if_match: Annotated[
        str | None,
        Header(description='The ETag of what you looked at, such as `"3"`; 412 where it has changed since.'),
    ] = None,
) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    found = _TAG.fullmatch(if_match.strip())
    if found is not None:
        return int(found[1])
    if if_match.strip().startswith(('"', 'W/"')) and if_match.strip().endswith('"'):
        raise PreconditionFailed("It has another version; read it again and decide anew.")
    raise Invalid('If-Match takes one ETag as it was given, such as "3" with its quotes, or *.')


IfMatch = Annotated[int | None, Depends(_if_match)]
"""The version that the caller looked at; None for any. Use cases take it as `version`."""
