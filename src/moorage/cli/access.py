"""`moorage access`: who may do what, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from moorage.cli.client import Client, command

app = typer.Typer(help="Ask who you are, and why somebody may do something or may not.", no_args_is_help=True)


@command(app, "explain", failure=2)
def explain_access(
    client: Client,
    whom: Annotated[str, typer.Argument(help="A user, a robot, anonymous or authenticated.", show_default=False)],
    repository: Annotated[str, typer.Argument(help="Its name, whether it exists or not.", show_default=False)],
    action: Annotated[str, typer.Argument(help="pull, push, overwrite, delete or admin.", show_default=False)],
) -> None:
    """Say which rule decides. Status 0: allowed; 1: not allowed; 2: there is no answer.

    There is none about a user or robot that does not exist, an action that is none, or from a server that is away.
    """
    nameless = whom in ("anonymous", "authenticated")
    kind = whom if nameless else "robot" if "+" in whom else "user"
    query = {
        "kind": kind,
        "principal": "" if nameless else whom,
        "repository": repository,
        "action": action,
    }
    found = client.call("GET", "/access/explain", query=query)
    if client.as_json:
        client.show(found)
    else:
        typer.echo(found["reason"])
        for rule in found["rules"][1:]:
            typer.echo(f"  {'for it' if rule['gives'] else 'against it'}: {rule['sentence']}")
    if not found["allowed"]:
        raise typer.Exit(1)


@command(app, "whoami")
def who_am_i(client: Client) -> None:
    """Print who you are to the registry, by which credential, and your groups."""
    client.show(client.call("GET", "/me"))
