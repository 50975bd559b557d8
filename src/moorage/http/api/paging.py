"""Lists in pages: `?n=` how many, `?after=` behind which one; the next page's address is in `Link` (RFC 8288)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, Response

from moorage.core.errors import Invalid
from moorage.http.api.door import REQUEST
from moorage.http.api.shapes import LONGEST, MOST_ID, PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
MOST = 1000
USUAL = 100


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list.

    Attributes:
        n: how many, at most.
        after: the key that it begins behind, as text; empty for the beginning.
    """

    request: Request
    response: Response
    n: int
    after: str

    @property
    def limit(self) -> int:
        """What a use case is asked for: one more than is answered, to know whether there is a next page."""
        return self.n + 1

    @property
    def after_id(self) -> int:
        """`after` where the list is by id; 0 for the beginning.

        Raises:
            Invalid: it is no id.
        """
        if not self.after:
            return 0
        if not (self.after.isascii() and self.after.isdigit() and int(self.after[:20]) <= MOST_ID):
            raise Invalid("`after` is the id of the last object of the page before.")
        return int(self.after)

    def cut(self, found: list[T], key: Callable[[T], object]) -> list[T]:
        """The rows of this page, out of up to `limit`; tells the client where the next one is.

        Args:
            found: what the use case gave.
            key: the value of one that the next page begins behind.
        """
        if len(found) <= self.n:
            return found
        rows = found[: self.n]
        self.tell_next(key(rows[-1]))
        return rows

    def tell_next(self, after: object) -> None:
        """Tell the client where the next page is; None: there is none."""
        if after is None:
            return
        query = [(name, value) for name, value in self.request.query_params.multi_items() if name not in ("n", "after")]
        query += [("n", str(self.n)), ("after", str(after))]
        ours = self.request.scope.get(REQUEST)
        prefix = "" if ours is None else ours.prefix
        self.response.headers["link"] = f'<{prefix}{self.request.url.path}?{urlencode(query)}>; rel="next"'


async def _page(
    request: Request,
    response: Response,
    n: Annotated[int, Query(ge=1, le=MOST, description="How many, at most.")] = USUAL,
    after: Annotated[
        str,
        Query(max_length=LONGEST, pattern=PLAIN, description="Begin behind this one; the `Link` of an answer has it."),
    ] = "",
) -> Page:
    return Page(request, response, n, after)


Paged = Annotated[Page, Depends(_page)]
"""`page.limit` and `page.after` (or `page.after_id`) go to the use case, what comes back through `page.cut`."""
