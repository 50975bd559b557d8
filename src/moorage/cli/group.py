"""`moorage group`: groups of users."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from moorage.cli.client import Client, command

app = typer.Typer(help="Make, fill and remove groups.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The group's name.", show_default=False)]
Members = Annotated[list[str], typer.Argument(help="User names.", show_default=False)]


@command(app, "create")
def create_group(
    client: Client, *, name: Name, description: Annotated[str, typer.Option(help="For people.")] = ""
) -> None:
    """Make a group without members."""
    client.show(client.call("POST", "/groups", body={"name": name, "description": description}))


@command(app, "list")
def list_groups(
    client: Client,
    *,
    prefix: Annotated[str | None, typer.Option(help="Only names that begin with this.", show_default=False)] = None,
) -> None:
    """Print groups, by name."""
    client.table(client.items("/groups", {"prefix": prefix}), ("id", "name", "source", "description"))


@command(app, "show")
def show_group(client: Client, *, name: Name) -> None:
    """Print one group."""
    client.show(_find(client, name))


@command(app, "change")
def change_group(
    client: Client, *, name: Name, description: Annotated[str, typer.Option(help="For people.", show_default=False)]
) -> None:
    """Describe a group anew."""
    client.show(client.call("PATCH", f"/groups/{_find(client, name)['id']}", body={"description": description}))


@command(app, "members")
def list_members(client: Client, *, name: Name) -> None:
    """Print who is in a group, and who says so."""
    client.table(client.items(f"/groups/{_find(client, name)['id']}/members"), ("id", "name", "source"))


@command(app, "add")
def add_members(client: Client, *, name: Name, users: Members) -> None:
    """Put users into a group."""
    group = _find(client, name)
    for user in users:
        row = client.find("/users", user, "user")["id"]
        client.call("PUT", f"/groups/{group['id']}/members/{row}")
        client.done(f"{user} is in {group['name']}.")


@command(app, "remove")
def remove_members(client: Client, *, name: Name, users: Members) -> None:
    """Take users out of a group."""
    group = _find(client, name)
    for user in users:
        row = client.find("/users", user, "user")["id"]
        client.call("DELETE", f"/groups/{group['id']}/members/{row}")
        client.done(f"{user} is no longer in {group['name']}.")


@command(app, "delete")
def delete_group(client: Client, *, name: Name) -> None:
    """Remove a group with its grants; its members stay."""
    group = _find(client, name)
    client.call("DELETE", f"/groups/{group['id']}")
    client.done(f"{group['name']} is gone.")


def _find(client: Client, name: str) -> dict[str, Any]:
    return client.find("/groups", name, "group")
