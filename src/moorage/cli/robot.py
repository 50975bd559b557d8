"""`moorage robot`: accounts for programs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from moorage.cli.client import Client, command, fail
from moorage.cli.made_secrets import show_secret

app = typer.Typer(help="Make, change and remove robots: accounts for programs.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="PROJECT+NAME, or +NAME for one of the system.", show_default=False)]
Description = Annotated[str | None, typer.Option(help="For people.", show_default=False)]

_COLUMNS = ("id", "name", "disabled", "expires_at", "last_used_at", "created_by", "description")


@command(app, "create")
def create_robot(
    client: Client,
    *,
    name: Name,
    description: Description = None,
    role: Annotated[
        str | None,
        typer.Option(help="What it may do in all of its project: reader, writer, ...", show_default=False),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="What it may do in some repositories: PATTERN:ACTIONS, `team/*:pull`.", show_default=False),
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="How long it lives.", show_default=False)] = None,
) -> None:
    """Make a robot and print its secret: alone on standard output, and only this once."""
    permissions: list[dict[str, Any]] = [{"role": role}] if role else []
    permissions += [_permission(each) for each in allow or []]
    body: dict[str, Any] = {"name": name, "description": description or "", "permissions": permissions}
    if days is not None:
        body["expires_at"] = _in_days(days)
    made = client.call("POST", "/robots", body=body)
    show_secret(client, made, f"This is the secret of {made['robot']['name']}, who logs in by that name.")


@command(app, "list")
def list_robots(
    client: Client,
    *,
    project: Annotated[str | None, typer.Option(help="Only those of this project.", show_default=False)] = None,
    system: Annotated[bool, typer.Option("--system", help="Only those of the system.")] = False,
    prefix: Annotated[
        str | None, typer.Option(help="Only full names that begin with this.", show_default=False)
    ] = None,
) -> None:
    """Print robots, by name."""
    query = {"project": project, "system": "true" if system else None, "prefix": prefix}
    client.table(client.items("/robots", query), _COLUMNS)


@command(app, "show")
def show_robot(client: Client, *, name: Name) -> None:
    """Print one robot, with the times of its secrets."""
    client.show(_find(client, name))


@command(app, "change")
def change_robot(
    client: Client,
    *,
    name: Name,
    description: Description = None,
    disabled: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Whether it is refused.", show_default=False)
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=0, help="How long it lives from now on; 0 for ever.", show_default=False)
    ] = None,
) -> None:
    """Change a robot. What is not named stays as it is."""
    body: dict[str, Any] = {}
    if description is not None:
        body["description"] = description
    if disabled is not None:
        body["disabled"] = disabled
    if days is not None:
        body["expires_at"] = _in_days(days) if days else None
    if not body:
        fail("Nothing is to be changed; see --help for what can be.", 2)
    client.show(client.call("PATCH", f"/robots/{_find(client, name)['id']}", body=body))


@command(app, "rotate")
def rotate_robot(
    client: Client,
    *,
    name: Name,
    overlap: Annotated[int, typer.Option(min=0, help="Seconds for which the secret so far lives on.")] = 0,
) -> None:
    """Give a robot another secret and print it: alone on standard output, and only this once."""
    made = client.call("POST", f"/robots/{_find(client, name)['id']}/rotate", body={"overlap": overlap})
    then = f"the one before ends in {overlap} seconds." if overlap else "the one before has ended."
    show_secret(client, made, f"This is the new secret of {made['robot']['name']}; {then}")


@command(app, "delete")
def delete_robot(client: Client, *, name: Name) -> None:
    """Remove a robot with its secrets, grants and trust rules."""
    robot = _find(client, name)
    client.call("DELETE", f"/robots/{robot['id']}")
    client.done(f"{robot['name']} is gone.")


def _find(client: Client, name: str) -> dict[str, Any]:
    return client.find("/robots", name, "robot")


def _permission(text: str) -> dict[str, Any]:
    pattern, colon, actions = text.rpartition(":")
    if not colon or not pattern or not actions:
        fail(f"{text!r} is not written PATTERN:ACTIONS, such as team/*:pull,push.", 2)
    return {"pattern": pattern, "actions": actions.split(",")}


def _in_days(days: int) -> str:
    from datetime import UTC, datetime, timedelta

    return (datetime.now(UTC) + timedelta(days=days)).isoformat()
