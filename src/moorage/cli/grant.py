"""`moorage grant`: who may do what where."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from moorage.cli.client import Client, command, fail, moment
from moorage.cli.project import find

app = typer.Typer(help="Allow people and robots something in a project, or deny it.", no_args_is_help=True)

Project = Annotated[str, typer.Argument(help="The project's name; / is the root.", show_default=False)]
MaybeProject = Annotated[str | None, typer.Argument(help="The project's name; / is the root.", show_default=False)]
Whom = Annotated[
    str,
    typer.Argument(help="user:NAME, group:NAME, robot:NAME, authenticated or anonymous.", show_default=False),
]
Number = Annotated[int, typer.Argument(help="The grant's number, as in the list.", show_default=False)]
Until = Annotated[str | None, typer.Option("--expires", help="When it ends (2030-01-31), in UTC.", show_default=False)]
Note = Annotated[str | None, typer.Option(help="For people.", show_default=False)]

_COLUMNS = ("id", "project", "kind", "principal", "effect", "role", "actions", "pattern", "expires_at", "note")


@command(app, "list")
def list_grants(
    client: Client,
    project: Annotated[
        str | None, typer.Argument(help="The project's name; / is the root.", show_default=False)
    ] = None,
    *,
    whom: Annotated[
        str | None, typer.Option("--for", help="All grants of one, written as for create.", show_default=False)
    ] = None,
) -> None:
    """Print the grants of a project, or all of one principal."""
    if (project is None) == (whom is None):
        fail("Name a project, or a principal with --for.", 2)
    if project is not None:
        client.table(client.items(f"/projects/{find(client, project)['id']}/grants"), _COLUMNS)
    else:
        client.table(client.items("/grants", _principal(whom or "")), _COLUMNS)


@command(app, "create")
def create_grant(
    client: Client,
    project: Project,
    whom: Whom,
    role_or_actions: Annotated[
        str, typer.Argument(help="reader, writer, maintainer, admin; or actions with commas, such as pull,push.")
    ],
    *,
    pattern: Annotated[
        str | None,
        typer.Option(help="Only repositories whose full names match it.", show_default=False),
    ] = None,
    deny: Annotated[bool, typer.Option(help="Take it away; wins over everything that allows it.")] = False,
    expires: Until = None,
    note: Note = None,
) -> None:
    """Allow somebody something in a project."""
    from moorage.core.access import ROLES

    body: dict[str, Any] = _principal(whom)
    if role_or_actions in ROLES:
        body["role"] = role_or_actions
    else:
        body["actions"] = [each.strip() for each in role_or_actions.split(",")]
    body |= {"effect": "deny"} if deny else {}
    body |= {
        name: value
        for name, value in (("pattern", pattern), ("expires_at", moment(expires)), ("note", note))
        if value is not None
    }
    made = client.call("POST", f"/projects/{find(client, project)['id']}/grants", body=body)
    client.show(made) if client.as_json else client.done(f"made the grant {made['id']}")


@command(app, "change")
def change_grant(
    client: Client,
    number: Number,
    *,
    role: Annotated[
        str | None, typer.Option(help="Another role, in place of that or of the actions so far.", show_default=False)
    ] = None,
    actions: Annotated[
        str | None, typer.Option(help="Other actions, with commas (pull,push), likewise.", show_default=False)
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="When it ends (2030-01-31), in UTC; or never.", show_default=False)
    ] = None,
    note: Note = None,
) -> None:
    """Change what a grant says. Whom it is for and where it counts stay, and so does what is not named."""
    body: dict[str, Any] = {}
    if role is not None:
        body["role"] = role
    if actions is not None:
        body["actions"] = [each.strip() for each in actions.split(",")]
    if expires is not None:
        body["expires_at"] = None if expires == "never" else moment(expires)
    if note is not None:
        body["note"] = note
    if not body:
        fail("Say what is to change: --role, --actions, --expires or --note.", 2)
    changed = client.call("PATCH", f"/grants/{number}", body=body)
    client.show(changed) if client.as_json else client.done(f"changed the grant {number}")


@command(app, "show")
def show_grant(client: Client, number: Number) -> None:
    """Print a grant."""
    client.show(client.call("GET", f"/grants/{number}"))


@command(app, "delete")
def delete_grant(client: Client, number: Number) -> None:
    """Remove a grant."""
    client.call("DELETE", f"/grants/{number}")
    client.done(f"removed the grant {number}")


def _principal(text: str) -> dict[str, Any]:
    kind, _, name = text.partition(":")
    return {"kind": kind, "principal": name}
