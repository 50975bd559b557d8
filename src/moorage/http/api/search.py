"""`/api/v1/search`: repositories and projects by a part of their names."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from moorage.accounts.search import LONGEST, Search
from moorage.http.api.paging import Paged
from moorage.http.api.shapes import PLAIN, Shown, given
from moorage.http.api.who import Known

router = APIRouter(tags=["search"])

Part = Annotated[str, Query(min_length=1, max_length=LONGEST, pattern=PLAIN, description="A part of a name.")]
Kind = Annotated[Literal["", "project", "repository"], Query(description="Only these.")]


class HitShown(Shown):
    """Something that was found; `id` is a project's, null for a repository."""

    kind: Literal["project", "repository"]
    name: str
    id: int | None


class HitPage(Shown):
    """What was found; a page that is short or empty may still have a next one."""

    items: list[HitShown]


@router.get("/search")
async def search_names(
    caller: Known, search: Annotated[Search, given(Search)], page: Paged, *, q: Part, kind: Kind = ""
) -> HitPage:
    """Repositories that the caller may pull and projects that the caller may see, by a part of their names."""
    found = await search.find(caller, q, kind=kind, after=page.after, limit=page.n)
    if found.next is not None:
        name, last = found.next
        page.tell_next(f"{last}:{name}")
    return HitPage(items=[HitShown.model_validate(hit) for hit in found.hits])
