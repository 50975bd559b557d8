"""`moorage token`: personal access tokens."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from moorage.cli.client import Client, command, fail
from moorage.cli.made_secrets import show_secret

app = typer.Typer(help="Make, list and revoke personal access tokens.", no_args_is_help=True)

Owner = Annotated[
    str | None, typer.Option(help="Whose; with --server yourself, if it is not given.", show_default=False)
]
Known = Annotated[str, typer.Argument(help="Its name or id.", show_default=False)]
DAY = 86400

_COLUMNS = ("id", "user", "name", "scopes", "expires_at", "last_used_at")


@command(app, "create")
def create_token(
    client: Client,
    *,
    name: Annotated[str, typer.Argument(help="Your word for it, such as `laptop`.", show_default=False)],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it is narrowed to: `repository:team/**:pull`; several times for more.", show_default=False
        ),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, help="How long it lives; else 90 days.", show_default=False)
    ] = None,
    owner: Owner = None,
) -> None:
    """Make a token and print it: alone on standard output, and only this once."""
    body: dict[str, Any] = {"name": name, "scopes": scope or []}
    if days is not None:
        body["lifetime"] = days * DAY
    if owner is not None:
        body["user_id"] = client.find("/users", owner, "user")["id"]
    made = client.call("POST", "/tokens", body=body)
    token = made["token"]
    show_secret(client, made, f"This is the token {token['name']} of {token['user']}; use it as a password.")


@command(app, "list")
def list_tokens(client: Client, *, owner: Owner = None) -> None:
    """Print tokens: your own, or for an admin everybody's."""
    client.table(client.items("/tokens", _of(client, owner)), _COLUMNS)


@command(app, "show")
def show_token(
    client: Client,
    *,
    name: Annotated[str, typer.Argument(help="Its name or id.", show_default=False)],
    owner: Owner = None,
) -> None:
    """Print what a token may do and when it ends, not the token."""
    client.show(_find(client, name, owner))


@command(app, "revoke")
def revoke_token(
    client: Client,
    *,
    name: Annotated[str, typer.Argument(help="Its name or id.", show_default=False)],
    owner: Owner = None,
) -> None:
    """End a token at once, and the logins that were made with it."""
    token = _find(client, name, owner)
    client.call("DELETE", f"/tokens/{token['id']}")
    client.done(f"The token {token['name']} of {token['user']} is revoked.")


def _of(client: Client, owner: str | None) -> dict[str, Any]:
    return {"user_id": client.find("/users", owner, "user")["id"] if owner is not None else None}


def _find(client: Client, name: str, owner: str | None) -> dict[str, Any]:
    query = _of(client, owner)
    if owner is None:
        me = client.call("GET", "/me")
        query = {"user_id": me["id"] if me["kind"] == "user" and not name.isdigit() else None}
    found = [token for token in client.items("/tokens", query) if name in (token["name"], str(token["id"]))]
    if len(found) > 1:
        fail(f"Several users have a token {name}; say whose with --owner, or give its id.")
    return found[0] if found else fail(f"There is no token {name}, or it is not yours to see.")
