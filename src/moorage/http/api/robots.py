"""`/api/v1/robots`: accounts for programs. A secret is in the answer that makes it, and in no other."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import ConfigDict, Field

from moorage.accounts.rights import KEEP
from moorage.accounts.robot_permissions import MOST_PERMISSIONS, RobotPermission
from moorage.accounts.robots import LONGEST_OVERLAP, MadeRobot, RobotChange, Robots
from moorage.core.errors import ObjectUnknown
from moorage.http.api.etags import IfMatch, set_etag
from moorage.http.api.paging import Paged
from moorage.http.api.shapes import Body, ObjectId, PlainQuery, Shown, Text, given
from moorage.http.api.times import GivenMoment, Moment, as_seconds
from moorage.http.api.who import Known

router = APIRouter(tags=["robots"])

RobotsOf = Annotated[Robots, given(Robots)]


class Permission(Body):
    """Something that a new robot is to be allowed: a role or actions, in its project or below."""

    project: Annotated[Text | None, Field(description="By name; missing: the robot's own.")] = None
    pattern: Annotated[Text, Field(description="Repositories there, by full name, with * and **; empty: all.")] = ""
    role: Annotated[Text, Field(description="reader, writer, maintainer or admin; or give actions.")] = ""
    actions: Annotated[
        list[Text], Field(default_factory=list, max_length=10, description="pull, push, overwrite, delete.")
    ]


class NewRobot(Body):
    """A robot to be made, with what it may do from the start."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "team+ci", "description": "builds images", "permissions": [{"role": "writer"}]}]
        }
    )

    name: Annotated[Text, Field(description="PROJECT+NAME, or +NAME for one of the system.")]
    description: Text = ""
    expires_at: GivenMoment | None = None
    permissions: Annotated[list[Permission], Field(default_factory=list, max_length=MOST_PERMISSIONS)]


class RobotPatch(Body):
    """What is to become of a robot; members that are missing stay as they are, `expires_at` null means never."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"disabled": True}, {"expires_at": None}]})

    description: Text | None = None
    disabled: bool | None = None
    expires_at: GivenMoment | None = None


class Rotation(Body):
    """How a secret is replaced."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap": 3600}]})

    overlap: Annotated[
        int, Field(ge=0, le=int(LONGEST_OVERLAP), description="Seconds for which the one so far lives on.")
    ] = 0


class SecretShown(Shown):
    """That there is a secret, and how long."""

    id: int
    created_at: Moment
    expires_at: Moment | None


class RobotShown(Shown):
    """A robot."""

    id: int
    name: str
    project: str | None
    description: str
    disabled: bool
    created_at: Moment
    created_by: str
    expires_at: Moment | None
    last_used_at: Moment | None
    secrets: list[SecretShown]
    version: int


class RobotMade(Shown):
    """A robot, and its new secret: nobody can read that a second time."""

    robot: RobotShown
    secret: str


class RobotPage(Shown):
    """Some robots."""

    items: list[RobotShown]


@router.get("/robots")
async def list_robots(
    caller: Known,
    robots: RobotsOf,
    page: Paged,
    project: PlainQuery = "",
    system: Annotated[bool, Query(description="Those of the system alone.")] = False,  # noqa: FBT002 - a query
    prefix: PlainQuery = "",
    name: PlainQuery = "",
) -> RobotPage:
    """Robots by full name: of a project for its admins, all for system admins. `name` finds one."""
    if name:
        with suppress(ObjectUnknown):
            return RobotPage(items=[_shown(await robots.find(caller, name))])
        return RobotPage(items=[])
    of = "" if system else (project or None)
    found = await robots.list(caller, project=of, prefix=prefix, after=page.after, limit=page.limit)
    return RobotPage(items=[_shown(robot) for robot in page.cut(found, lambda robot: robot.name)])


@router.post("/robots", status_code=201)
async def create_robot(caller: Known, robots: RobotsOf, body: NewRobot, response: Response) -> RobotMade:
    """Make a robot; the answer has its secret, once."""
    permissions = tuple(
        RobotPermission(each.project, each.pattern, each.role, tuple(each.actions)) for each in body.permissions
    )
    made = await robots.create(
        caller,
        body.name,
        description=body.description,
        expires_at=as_seconds(body.expires_at),
        permissions=permissions,
    )
    response.headers["location"] = f"/api/v1/robots/{made.robot.id}"
    return _made(made, response)


@router.get("/robots/{robot_id}")
async def show_robot(caller: Known, robots: RobotsOf, robot_id: ObjectId, response: Response) -> RobotShown:
    """A robot."""
    robot = await robots.get(caller, robot_id)
    set_etag(response, robot.version)
    return _shown(robot)


@router.patch("/robots/{robot_id}")
async def change_robot(
    caller: Known, robots: RobotsOf, robot_id: ObjectId, body: RobotPatch, version: IfMatch, response: Response
) -> RobotShown:
    """Change a robot. Disabling and enabling end what was given out before."""
    expires_at = as_seconds(body.expires_at) if "expires_at" in body.model_fields_set else KEEP
    wanted = RobotChange(body.description, body.disabled, expires_at)
    robot = await robots.change(caller, robot_id, wanted, version)
    set_etag(response, robot.version)
    return _shown(robot)


@router.post("/robots/{robot_id}/rotate")
async def rotate_robot(
    caller: Known, robots: RobotsOf, robot_id: ObjectId, body: Rotation, version: IfMatch, response: Response
) -> RobotMade:
    """Give a robot another secret; the answer has it, once."""
    return _made(await robots.rotate(caller, robot_id, overlap=float(body.overlap), version=version), response)


@router.delete("/robots/{robot_id}", status_code=204)
async def delete_robot(caller: Known, robots: RobotsOf, robot_id: ObjectId, version: IfMatch) -> None:
    """Remove a robot with its secrets, grants and trust rules."""
    await robots.delete(caller, robot_id, version)


def _shown(robot: object) -> RobotShown:
    return RobotShown.model_validate(robot)


def _made(made: MadeRobot, response: Response) -> RobotMade:
    set_etag(response, made.robot.version)
    response.headers["cache-control"] = "no-store"
    return RobotMade(robot=_shown(made.robot), secret=made.secret)
