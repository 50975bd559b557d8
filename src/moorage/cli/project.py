"""`moorage project`: path prefixes with settings, grants and robots of their own."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from moorage.cli.client import Client, command, fail

app = typer.Typer(help="Make, change and remove projects.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The project's name; / is the root, above all others.", show_default=False)]
Description = Annotated[str | None, typer.Option(help="For people.", show_default=False)]

_COLUMNS = ("name", "visibility", "public", "create_on_push", "description")


class Visibility(StrEnum):
    """Who may pull without a grant."""

    INHERIT = "inherit"
    PUBLIC = "public"
    PRIVATE = "private"


class CreateOnPush(StrEnum):
    """What a push may make."""

    INHERIT = "inherit"
    NO = "no"
    REPOSITORIES = "repositories"
    PROJECTS = "projects"


Seen = Annotated[Visibility | None, typer.Option(help="Whether everybody may pull.", show_default=False)]
Create = Annotated[CreateOnPush | None, typer.Option(help="What a push may make there.", show_default=False)]


def find(client: Client, name: str) -> dict[str, Any]:
    """A project by its name; `/` is the root."""
    return client.find("/projects", "" if name == "/" else name, "project")


@command(app, "list")
def list_projects(
    client: Client,
    *,
    prefix: Annotated[str | None, typer.Option(help="Only names that begin so.", show_default=False)] = None,
) -> None:
    """Print the projects that you may do something in."""
    client.table(client.items("/projects", {"prefix": prefix}), _COLUMNS)


@command(app, "show")
def show_project(client: Client, name: Name) -> None:
    """Print a project, and what you may do in it."""
    client.show(client.call("GET", f"/projects/{find(client, name)['id']}"))


@command(app, "create")
def create_project(
    client: Client,
    name: Name,
    *,
    description: Description = None,
    visibility: Seen = None,
    create_on_push: Create = None,
) -> None:
    """Make a project."""
    body = _given(name=name, description=description, visibility=visibility, create_on_push=create_on_push)
    made = client.call("POST", "/projects", body=body)
    client.show(made) if client.as_json else client.done(f"made the project {made['name']}")


@command(app, "change")
def change_project(
    client: Client,
    name: Name,
    *,
    description: Description = None,
    visibility: Seen = None,
    create_on_push: Create = None,
) -> None:
    """Change a project; what is nested in it and inherits, changes with it."""
    body = _given(description=description, visibility=visibility, create_on_push=create_on_push)
    if not body:
        fail("Say what is to change: --description, --visibility or --create-on-push.", 2)
    changed = client.call("PATCH", f"/projects/{find(client, name)['id']}", body=body)
    client.show(changed) if client.as_json else client.done(f"changed the project {name}")


@command(app, "delete")
def delete_project(
    client: Client,
    name: Name,
    *,
    force: Annotated[bool, typer.Option(help="Remove its repositories too, with everything in them.")] = False,
) -> None:
    """Remove a project with its grants and robots; projects nested in it stay."""
    client.call("DELETE", f"/projects/{find(client, name)['id']}", query={"force": "true" if force else None})
    client.done(f"removed the project {name}")


@command(app, "import-policy")
def import_policy(
    client: Client,
    name: Name,
    file: Annotated[str, typer.Argument(help="The JSON document; - for standard input.", show_default=False)],
    *,
    repository: Annotated[
        str | None, typer.Option(help="Only for repositories of this full name or pattern.", show_default=False)
    ] = None,
    principal: Annotated[
        list[str] | None,
        typer.Option(help="Who somebody in it is here: ARN=user:NAME. Several are fine.", show_default=False),
    ] = None,
    partial: Annotated[bool, typer.Option(help="Import what can be, instead of nothing.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Make grants of a repository policy document of ECR, in place of what earlier imports made."""
    given = [each.rpartition("=") for each in principal or []]
    if not all(foreign and ours for foreign, _, ours in given):
        fail("--principal is written ARN=user:NAME.", 2)
    body = {
        "document": _document(file),
        "principals": {foreign: ours for foreign, _, ours in given},
        "partial": partial,
        "dry_run": dry_run,
        **_given(repository=repository),
    }
    found = client.call("PUT", f"/projects/{find(client, name)['id']}/policy", body=body)
    if client.as_json:
        client.show(found)
        return
    for each in found["problems"]:
        typer.echo(f"{each['statement'] or 'document'}: {each['message']}", err=True)
    made, kept, removed = (len(found[each]) for each in ("made", "kept", "removed"))
    typer.echo(f"grants: {made} made, {kept} kept, {removed} removed")
    if found["problems"] and not (partial or dry_run):
        raise typer.Exit(1)


@command(app, "export-policy")
def export_policy(
    client: Client,
    name: Name,
    *,
    repository: Annotated[str | None, typer.Option(help="The one of the import.", show_default=False)] = None,
) -> None:
    """Print the policy document that imports came to: `import-policy` of it changes nothing."""
    import json

    query = {"repository": repository}
    found = client.call("GET", f"/projects/{find(client, name)['id']}/policy", query=query)
    for each in found["left_out"]:
        typer.echo(f"moorage: {each['message']}", err=True)
    typer.echo(json.dumps(found if client.as_json else found["document"], indent=2, ensure_ascii=False))


def _document(file: str) -> Any:
    import json
    import sys

    try:
        return json.loads(sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        fail(f"{file} cannot be read as JSON: {error}")


def _given(**members: Any) -> dict[str, str]:
    return {name: str(value) for name, value in members.items() if value is not None}
