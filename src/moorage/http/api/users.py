"""`/api/v1/users`: people."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import ConfigDict, Field

from moorage.accounts.users import UserChange, Users
from moorage.core.errors import ObjectUnknown
from moorage.http.api.etags import IfMatch, set_etag
from moorage.http.api.paging import Paged
from moorage.http.api.shapes import Body, ObjectId, PlainQuery, Shown, Text, given
from moorage.http.api.times import Moment
from moorage.http.api.who import Known

router = APIRouter(tags=["users"])

UsersOf = Annotated[Users, given(Users)]
Password = Annotated[Text, Field(description="8 to 256 characters.", json_schema_extra={"format": "password"})]


class NewUser(Body):
    """A local user to be made."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "alice", "email": "alice@example.com", "password": "a long sentence"}]}
    )

    name: Text
    email: Text = ""
    password: Password | None = None
    admin: bool = False
    disabled: bool = False


class UserPatch(Body):
    """What is to become of a user; members that are missing or null stay as they are."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"disabled": True}]})

    email: Text | None = None
    admin: bool | None = None
    disabled: bool | None = None
    password: Password | None = None
    old_password: Annotated[
        Text | None, Field(description="Whoever changes the own password has to know the one so far.")
    ] = None


class UserShown(Shown):
    """A user."""

    id: int
    name: str
    email: str
    admin: bool
    disabled: bool
    source: str
    has_password: bool
    created_at: Moment
    updated_at: Moment
    last_login_at: Moment | None
    version: int


class UserPage(Shown):
    """Some users."""

    items: list[UserShown]


@router.get("/users")
async def list_users(
    caller: Known, users: UsersOf, page: Paged, prefix: PlainQuery = "", name: PlainQuery = ""
) -> UserPage:
    """Users by name: all for a system admin, for others themselves. `name` finds one."""
    if name:
        with suppress(ObjectUnknown):
            return UserPage(items=[UserShown.model_validate(await users.find(caller, name))])
        return UserPage(items=[])
    found = await users.list(caller, prefix=prefix, after=page.after, limit=page.limit)
    return UserPage(items=[UserShown.model_validate(user) for user in page.cut(found, lambda user: user.name)])


@router.post("/users", status_code=201)
async def create_user(caller: Known, users: UsersOf, body: NewUser, response: Response) -> UserShown:
    """Make a local user."""
    user = await users.create(
        caller, body.name, password=body.password, email=body.email, admin=body.admin, disabled=body.disabled
    )
    set_etag(response, user.version)
    response.headers["location"] = f"/api/v1/users/{user.id}"
    return UserShown.model_validate(user)


@router.get("/users/{user_id}")
async def show_user(caller: Known, users: UsersOf, user_id: ObjectId, response: Response) -> UserShown:
    """A user."""
    user = await users.get(caller, user_id)
    set_etag(response, user.version)
    return UserShown.model_validate(user)


@router.patch("/users/{user_id}")
async def change_user(
    caller: Known, users: UsersOf, user_id: ObjectId, body: UserPatch, version: IfMatch, response: Response
) -> UserShown:
    """Change a user. A new password, disabling and enabling end what was given out before."""
    user = await users.change(caller, user_id, UserChange(**body.model_dump()), version)
    set_etag(response, user.version)
    return UserShown.model_validate(user)


@router.delete("/users/{user_id}", status_code=204)
async def delete_user(caller: Known, users: UsersOf, user_id: ObjectId, version: IfMatch) -> None:
    """Remove a user with grants, memberships, tokens and sessions."""
    await users.delete(caller, user_id, version)
