"""`/api/v1/projects`: path prefixes with settings. Names have slashes, so that a project is addressed by its id."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import ConfigDict, Field

from moorage.accounts.projects import ProjectChange, Projects
from moorage.core.errors import ObjectUnknown
from moorage.http.api.etags import IfMatch, set_etag
from moorage.http.api.paging import Paged
from moorage.http.api.shapes import Body, ObjectId, PlainQuery, Shown, Text, given
from moorage.http.api.times import Moment
from moorage.http.api.who import Anybody, Known
from moorage.metadata.projects import Project

router = APIRouter(tags=["projects"])

ProjectsOf = Annotated[Projects, given(Projects)]
Visibility = Literal["inherit", "public", "private"]
CreateOnPush = Literal["inherit", "no", "repositories", "projects"]

_VISIBILITY = "Whether everybody may pull; inherit: as the project that it lies in."
_CREATE = "What a push may make: nothing, repositories, or projects on the way to them too."


class NewProject(Body):
    """A project to be made."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "team/web", "visibility": "private"}]})

    name: Annotated[Text, Field(description="A path prefix, written like a repository's name.")]
    description: Text = ""
    visibility: Annotated[Visibility, Field(description=_VISIBILITY)] = "inherit"
    create_on_push: Annotated[CreateOnPush, Field(description=_CREATE)] = "inherit"


class ProjectPatch(Body):
    """What is to become of a project; members that are missing stay as they are. Its name stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"visibility": "public"}]})

    description: Text | None = None
    visibility: Visibility | None = None
    create_on_push: CreateOnPush | None = None


class ProjectShown(Shown):
    """A project; `public` is what its visibility comes to. The root has the id 1 and an empty name."""

    id: int
    name: str
    description: str
    visibility: str
    create_on_push: str
    public: bool
    created_at: Moment
    created_by: str
    version: int


class ProjectPage(Shown):
    """Some projects."""

    items: list[ProjectShown]


class ProjectWithRights(ProjectShown):
    """A project, and what the caller may do in it."""

    actions: list[str]


@router.get("/projects")
async def list_projects(
    caller: Anybody,
    projects: ProjectsOf,
    page: Paged,
    *,
    prefix: PlainQuery = "",
    name: Annotated[PlainQuery | None, Query(description="One project by its name; an empty one is the root.")] = None,
) -> ProjectPage:
    """Projects that the caller may do something in, by name; the root is in no list."""
    if name is not None:
        with suppress(ObjectUnknown):
            return ProjectPage(items=[_shown(await projects.find(caller, name))])
        return ProjectPage(items=[])
    found = await projects.list(caller, prefix=prefix, after=page.after, limit=page.limit)
    return ProjectPage(items=[_shown(each) for each in page.cut(found, lambda project: project.name)])


@router.post("/projects", status_code=201)
async def create_project(caller: Known, projects: ProjectsOf, body: NewProject, response: Response) -> ProjectShown:
    """Make a project; for admins of the project that it lies in. Repositories in it become its own."""
    made = await projects.create(
        caller,
        body.name,
        description=body.description,
        visibility=body.visibility,
        create_on_push=body.create_on_push,
    )
    set_etag(response, made.version)
    response.headers["location"] = f"/api/v1/projects/{made.id}"
    return _shown(made)


@router.get("/projects/{project_id}")
async def show_project(
    caller: Anybody, projects: ProjectsOf, project_id: ObjectId, response: Response
) -> ProjectWithRights:
    """A project."""
    found, actions = await projects.rights(caller, project_id)
    set_etag(response, found.version)
    return ProjectWithRights(**_shown(found).model_dump(), actions=sorted(actions))


@router.patch("/projects/{project_id}")
async def change_project(
    caller: Known,
    projects: ProjectsOf,
    project_id: ObjectId,
    *,
    body: ProjectPatch,
    version: IfMatch,
    response: Response,
) -> ProjectShown:
    """Change a project; for its admins. What is nested in it and inherits, changes with it."""
    wanted = ProjectChange(body.description, body.visibility, body.create_on_push)
    changed = await projects.change(caller, project_id, wanted, version)
    set_etag(response, changed.version)
    return _shown(changed)


@router.delete("/projects/{project_id}", status_code=204)
async def delete_project(
    caller: Known,
    projects: ProjectsOf,
    project_id: ObjectId,
    version: IfMatch,
    *,
    force: Annotated[bool, Query(description="Remove its repositories too; without, 409 where it has any.")] = False,
) -> None:
    """Remove a project with its grants and robots; for admins of the one that it lies in. Nested ones stay."""
    await projects.delete(caller, project_id, version, force=force)


def _shown(project: Project) -> ProjectShown:
    return ProjectShown.model_validate(project)
