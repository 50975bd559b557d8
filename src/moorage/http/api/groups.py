"""`/api/v1/groups`: groups of users."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import ConfigDict

from moorage.accounts.groups import Groups
from moorage.core.errors import ObjectUnknown
from moorage.http.api.etags import IfMatch, set_etag
from moorage.http.api.paging import Paged
from moorage.http.api.shapes import Body, ObjectId, PlainQuery, Shown, Text, given
from moorage.http.api.times import Moment
from moorage.http.api.who import Known

router = APIRouter(tags=["groups"])

GroupsOf = Annotated[Groups, given(Groups)]


class NewGroup(Body):
    """A group to be made."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Release Team", "description": "cut versions"}]})

    name: Text
    description: Text = ""


class GroupPatch(Body):
    """What is to become of a group. Its name stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"description": "cut and announce versions"}]})

    description: Text


class GroupShown(Shown):
    """A group."""

    id: int
    name: str
    description: str
    source: str
    created_at: Moment
    version: int


class GroupPage(Shown):
    """Some groups."""

    items: list[GroupShown]


class MemberShown(Shown):
    """A user in a group, and who says so."""

    id: int
    name: str
    source: str


class MemberPage(Shown):
    """Some members."""

    items: list[MemberShown]


@router.get("/groups")
async def list_groups(
    caller: Known, groups: GroupsOf, page: Paged, prefix: PlainQuery = "", name: PlainQuery = ""
) -> GroupPage:
    """Groups by name, for system admins. `name` finds one."""
    if name:
        with suppress(ObjectUnknown):
            return GroupPage(items=[GroupShown.model_validate(await groups.find(caller, name))])
        return GroupPage(items=[])
    found = await groups.list(caller, prefix=prefix, after=page.after, limit=page.limit)
    return GroupPage(items=[GroupShown.model_validate(group) for group in page.cut(found, lambda group: group.name)])


@router.post("/groups", status_code=201)
async def create_group(caller: Known, groups: GroupsOf, body: NewGroup, response: Response) -> GroupShown:
    """Make a group without members."""
    group = await groups.create(caller, body.name, body.description)
    set_etag(response, group.version)
    response.headers["location"] = f"/api/v1/groups/{group.id}"
    return GroupShown.model_validate(group)


@router.get("/groups/{group_id}")
async def show_group(caller: Known, groups: GroupsOf, group_id: ObjectId, response: Response) -> GroupShown:
    """A group."""
    group = await groups.get(caller, group_id)
    set_etag(response, group.version)
    return GroupShown.model_validate(group)


@router.patch("/groups/{group_id}")
async def change_group(
    caller: Known, groups: GroupsOf, group_id: ObjectId, body: GroupPatch, version: IfMatch, response: Response
) -> GroupShown:
    """Describe a group anew."""
    group = await groups.change(caller, group_id, body.description, version)
    set_etag(response, group.version)
    return GroupShown.model_validate(group)


@router.delete("/groups/{group_id}", status_code=204)
async def delete_group(caller: Known, groups: GroupsOf, group_id: ObjectId, version: IfMatch) -> None:
    """Remove a group with its grants and memberships."""
    await groups.delete(caller, group_id, version)


@router.get("/groups/{group_id}/members")
async def list_members(caller: Known, groups: GroupsOf, group_id: ObjectId, page: Paged) -> MemberPage:
    """Who is in a group, by id."""
    found = await groups.members(caller, group_id, after=page.after_id, limit=page.limit)
    return MemberPage(items=[MemberShown.model_validate(each) for each in page.cut(found, lambda member: member.id)])


@router.put("/groups/{group_id}/members/{user_id}", status_code=204)
async def add_member(caller: Known, groups: GroupsOf, group_id: ObjectId, user_id: ObjectId) -> None:
    """Put a user into a group; who is in it already stays."""
    await groups.add_member(caller, group_id, user_id)


@router.delete("/groups/{group_id}/members/{user_id}", status_code=204)
async def remove_member(caller: Known, groups: GroupsOf, group_id: ObjectId, user_id: ObjectId) -> None:
    """Take a user out of a group."""
    await groups.remove_member(caller, group_id, user_id)
