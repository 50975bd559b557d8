"""`/api/v1/projects/{project_id}/grants` and `/grants`: who may do what where."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import ConfigDict, Field

from moorage.accounts.grants import Grants, ShownGrant
from moorage.accounts.rights import KEEP
from moorage.accounts.wanted_grants import GrantChange, WantedGrant
from moorage.http.api.etags import IfMatch, set_etag
from moorage.http.api.paging import Paged
from moorage.http.api.shapes import Body, ObjectId, PlainQuery, Shown, Text, given
from moorage.http.api.times import GivenMoment, Moment, as_seconds
from moorage.http.api.who import Known

router = APIRouter(tags=["grants"])

GrantsOf = Annotated[Grants, given(Grants)]
Kind = Literal["user", "group", "robot", "anonymous", "authenticated"]
Role = Literal["", "reader", "writer", "maintainer", "admin"]
Action = Literal["pull", "push", "overwrite", "delete", "admin"]
Actions = Annotated[list[Action], Field(max_length=5, description="In place of a role.")]


class NewGrant(Body):
    """A grant to be made: a role or actions."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "user", "principal": "ada", "role": "writer"},
                {"kind": "group", "principal": "Guests", "actions": ["pull"], "pattern": "team/web/**"},
            ]
        }
    )

    kind: Kind
    principal: Annotated[Text, Field(description="A name; empty for anonymous (everybody) and authenticated.")] = ""
    role: Role = ""
    actions: Actions = []
    pattern: Annotated[Text, Field(description="Full repository names, with * and **; empty: the whole project.")] = ""
    effect: Annotated[Literal["allow", "deny"], Field(description="A deny wins over every allow.")] = "allow"
    expires_at: GivenMoment | None = None
    note: Text = ""


class GrantPatch(Body):
    """What is to become of a grant; members that are missing stay as they are, `expires_at` null means never."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "reader"}, {"expires_at": None}]})

    role: Role | None = None
    actions: Actions | None = None
    expires_at: GivenMoment | None = None
    note: Text | None = None


class GrantShown(Shown):
    """A grant."""

    id: int
    project_id: int
    project: str
    pattern: str
    kind: str
    principal: str
    effect: str
    role: str
    actions: list[str]
    note: str
    created_at: Moment
    created_by: str
    expires_at: Moment | None
    version: int


class GrantPage(Shown):
    """Some grants."""

    items: list[GrantShown]


@router.get("/projects/{project_id}/grants")
async def list_project_grants(caller: Known, grants: GrantsOf, project_id: ObjectId, page: Paged) -> GrantPage:
    """Grants of a project, for its admins, by id. Those of the projects that it lies in count in it too."""
    found = await grants.list(caller, project_id, after=page.after_id, limit=page.limit)
    return GrantPage(items=[shown(each) for each in page.cut(found, lambda each: each.grant.id)])


@router.post("/projects/{project_id}/grants", status_code=201)
async def create_grant(
    caller: Known, grants: GrantsOf, project_id: ObjectId, body: NewGrant, response: Response
) -> GrantShown:
    """Allow somebody something in a project, or deny it; for its admins."""
    wanted = WantedGrant(
        kind=body.kind,
        principal=body.principal,
        role=body.role,
        actions=tuple(body.actions),
        pattern=body.pattern,
        effect=body.effect,
        expires_at=as_seconds(body.expires_at),
        note=body.note,
    )
    made = await grants.create(caller, project_id, wanted)
    set_etag(response, made.grant.version)
    response.headers["location"] = f"/api/v1/grants/{made.grant.id}"
    return shown(made)


@router.get("/grants")
async def list_grants_of(
    caller: Known,
    grants: GrantsOf,
    page: Paged,
    kind: Annotated[Kind, Query(description="Whose grants.")],
    principal: PlainQuery = "",
) -> GrantPage:
    """Grants of one user, group or robot in all projects, by id; for admins of the system, and one's own."""
    found = await grants.list_of(caller, kind, principal, after=page.after_id, limit=page.limit)
    return GrantPage(items=[shown(each) for each in page.cut(found, lambda each: each.grant.id)])


@router.get("/grants/{grant_id}")
async def show_grant(caller: Known, grants: GrantsOf, grant_id: ObjectId, response: Response) -> GrantShown:
    """A grant."""
    found = await grants.get(caller, grant_id)
    set_etag(response, found.grant.version)
    return shown(found)


@router.patch("/grants/{grant_id}")
async def change_grant(
    caller: Known, grants: GrantsOf, grant_id: ObjectId, *, body: GrantPatch, version: IfMatch, response: Response
) -> GrantShown:
    """Change what a grant says; whom it is for and where it counts stay."""
    wanted = GrantChange(
        role=body.role,
        actions=None if body.actions is None else tuple(body.actions),
        expires_at=as_seconds(body.expires_at) if "expires_at" in body.model_fields_set else KEEP,
        note=body.note,
    )
    changed = await grants.change(caller, grant_id, wanted, version)
    set_etag(response, changed.grant.version)
    return shown(changed)


@router.delete("/grants/{grant_id}", status_code=204)
async def delete_grant(caller: Known, grants: GrantsOf, grant_id: ObjectId, version: IfMatch) -> None:
    """Remove a grant."""
    await grants.delete(caller, grant_id, version)


def shown(found: ShownGrant) -> GrantShown:
    """A grant as it is answered."""
    grant = found.grant
    return GrantShown(
        id=grant.id,
        project_id=grant.project_id,
        project=grant.project,
        pattern=grant.pattern,
        kind=grant.principal_kind,
        principal=found.principal,
        effect=grant.effect,
        role=grant.role,
        actions=[each for each in grant.actions.split(",") if each],
        note=grant.note,
        created_at=grant.created_at,
        created_by=grant.created_by,
        expires_at=grant.expires_at,
        version=grant.version,
    )
