"""`/api/v1/audit`: what happened. System admins read all of it, admins of a project what belongs to that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse

from moorage.accounts.audit_log import AuditFilter, AuditLog, Verdict
from moorage.accounts.audit_readers import AuditReaders
from moorage.accounts.rights import check_system_admin
from moorage.core.errors import Invalid
from moorage.http.api.paging import Paged
from moorage.http.api.shapes import MOST_ID, PlainQuery, Shown, given
from moorage.http.api.times import GivenMoment, Moment, as_seconds
from moorage.http.api.who import Known
from moorage.metadata.audit_chain import Mark, Row

router = APIRouter(tags=["audit"])

AuditOf = Annotated[AuditLog, given(AuditLog)]
ReadersOf = Annotated[AuditReaders, given(AuditReaders)]
LINES = "application/jsonl"

GivenTime = Annotated[GivenMoment | None, Query(description="RFC 3339, with its offset from UTC.")]


class EntryShown(Shown):
    """One entry; `sequence` and `hash` are its place in the chain, null until it is sealed."""

    id: int
    at: Moment
    action: str
    outcome: str
    actor_kind: str
    actor: str
    credential: str
    address: str
    request_id: str
    target_kind: str
    target: str
    project_id: int | None
    detail: dict[str, Any]
    sequence: int | None
    hash: str | None


class AuditList(Shown):
    """A page of entries; one that is short or empty may still have a next one."""

    items: list[EntryShown]


class FindingShown(Shown):
    """Something that is wrong with the chain."""

    kind: str
    sequence: int
    id: int
    last: int
    sentence: str


class VerdictShown(Shown):
    """What was found by going through the chain.

    Attributes:
        hash: of the last entry: kept elsewhere, it proves later that nothing before it was changed.
        anchor: the sequence where retention cut last.
        removed: entries that retention removed.
        waiting: entries that are not sealed yet, the oldest since `waiting_since`.
    """

    intact: bool
    checked: int
    first: int
    last: int
    hash: str
    anchor: int
    removed: int
    wrong: int
    findings: list[FindingShown]
    waiting: int
    waiting_since: Moment | None


async def _wanted(  # noqa: PLR0913 - one for each filter
    *,
    caller: Known,
    readers: ReadersOf,
    actor: PlainQuery = "",
    action: Annotated[PlainQuery, Query(description="With a dot at its end: all that begins with it.")] = "",
    outcome: Literal["", "ok", "refused", "failed"] = "",
    target_kind: PlainQuery = "",
    target: Annotated[PlainQuery, Query(description="Needs `target_kind`.")] = "",
    project: Annotated[
        int | None, Query(ge=1, le=MOST_ID, description="A project's id; needed by whoever is no system admin.")
    ] = None,
    since: GivenTime = None,
    until: GivenTime = None,
) -> AuditFilter:
    if target and not target_kind:
        raise Invalid("A target needs its kind.")
    await readers.check(caller, project)
    return AuditFilter(actor, action, outcome, target_kind, target, project, as_seconds(since), as_seconds(until))


Wanted = Annotated[AuditFilter, Depends(_wanted)]


@router.get("/audit")
async def list_audit(
    log: AuditOf, wanted: Wanted, page: Paged, order: Literal["newest", "oldest"] = "newest"
) -> AuditList:
    """Entries of the audit log."""
    after = page.after_id if page.after else None
    found = await log.list(wanted, after=after, limit=page.n, newest_first=order == "newest")
    page.tell_next(found.next)
    return AuditList(items=[_shown(row) for row in found.entries])


@router.get(
    "/audit/export",
    response_class=Response,
    responses={200: {"content": {LINES: {"schema": {"type": "string"}}}, "description": "JSON lines, oldest first."}},
)
async def export_audit(log: AuditOf, wanted: Wanted) -> Response:
    """All entries that are wanted, one JSON object a line, as long as it takes."""
    return StreamingResponse(_lines(log, wanted), media_type=LINES)


async def _lines(log: AuditLog, wanted: AuditFilter) -> AsyncIterator[bytes]:
    async for lines in log.export(wanted):
        yield lines


@router.get("/audit/verify")
async def verify_audit(
    caller: Known,
    log: AuditOf,
    sequence: Annotated[int | None, Query(ge=1, le=MOST_ID, description="An entry whose hash you know.")] = None,
    hash: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$", description="That hash.")] = None,  # noqa: A002 - its name
) -> VerdictShown:
    """Go through the whole chain; only for admins of the system."""
    check_system_admin(caller)
    if (sequence is None) != (hash is None):
        raise Invalid("An entry that is known needs both `sequence` and `hash`.")
    known = None if sequence is None or hash is None else Mark(sequence, hash)
    return _verdict(await log.verify(known))


def _shown(row: Row) -> EntryShown:
    return EntryShown.model_validate(row._asdict() | {"detail": orjson.loads(row.detail)})


def _verdict(verdict: Verdict) -> VerdictShown:
    return VerdictShown.model_validate(verdict)
