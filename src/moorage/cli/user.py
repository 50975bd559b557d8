"""`moorage user`: people."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from moorage.cli.client import Client, command, fail, read_secret

app = typer.Typer(help="Make, change and remove users.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The user name.", show_default=False)]
Email = Annotated[str | None, typer.Option(help="E-mail address.", show_default=False)]

_COLUMNS = ("id", "name", "email", "admin", "disabled", "source", "last_login_at")


@command(app, "create")
def create_user(
    client: Client,
    *,
    name: Name,
    email: Email = None,
    admin: Annotated[bool, typer.Option("--admin", help="May do everything on the system.")] = False,
    disabled: Annotated[bool, typer.Option("--disabled", help="May not log in yet.")] = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Make a user who cannot log in with a password.")
    ] = False,
    new_password_stdin: Annotated[
        bool, typer.Option("--new-password-stdin", help="Read the new user's password from standard input.")
    ] = False,
) -> None:
    """Make a user. The password is asked for, or comes from standard input."""
    body: dict[str, Any] = {"name": name, "email": email or "", "admin": admin, "disabled": disabled}
    if not no_password:
        body["password"] = read_secret(f"Password of {name}", from_stdin=new_password_stdin, twice=True)
    client.show(client.call("POST", "/users", body=body))


@command(app, "list")
def list_users(
    client: Client,
    *,
    prefix: Annotated[str | None, typer.Option(help="Only names that begin with this.", show_default=False)] = None,
) -> None:
    """Print users, by name."""
    client.table(client.items("/users", {"prefix": prefix}), _COLUMNS)


@command(app, "show")
def show_user(client: Client, *, name: Name) -> None:
    """Print one user."""
    client.show(_find(client, name))


@command(app, "change")
def change_user(
    client: Client,
    *,
    name: Name,
    email: Email = None,
    admin: Annotated[
        bool | None, typer.Option("--admin/--no-admin", help="Whether it may do everything.", show_default=False)
    ] = None,
    disabled: Annotated[
        bool | None,
        typer.Option("--disable/--enable", help="Either way, sessions and refresh tokens end.", show_default=False),
    ] = None,
) -> None:
    """Change a user. What is not named stays as it is."""
    body = {"email": email, "admin": admin, "disabled": disabled}
    client.show(client.call("PATCH", f"/users/{_find(client, name)['id']}", body=_given(body)))


@command(app, "password")
def set_password(
    client: Client,
    *,
    name: Name,
    new_password_stdin: Annotated[
        bool,
        typer.Option(
            "--new-password-stdin",
            help="Read from standard input, a line each: the old password where it is your own, and the new one.",
        ),
    ] = False,
) -> None:
    """Set a password. The user's sessions, refresh tokens and personal access tokens end."""
    user, me = _find(client, name), client.call("GET", "/me")
    body = {}
    if me["kind"] == "user" and me["id"] == user["id"]:
        body["old_password"] = read_secret("Your password so far", from_stdin=new_password_stdin)
    body["password"] = read_secret(f"New password of {name}", from_stdin=new_password_stdin, twice=True)
    client.call("PATCH", f"/users/{user['id']}", body=body)
    client.done(f"{user['name']} has a new password.")


@command(app, "delete")
def delete_user(client: Client, *, name: Name) -> None:
    """Remove a user with grants, memberships, tokens and sessions."""
    user = _find(client, name)
    client.call("DELETE", f"/users/{user['id']}")
    client.done(f"{user['name']} is gone.")


def _find(client: Client, name: str) -> dict[str, Any]:
    return client.find("/users", name, "user")


def _given(body: dict[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in body.items() if value is not None}
    return given or fail("Nothing is to be changed; see --help for what can be.", 2)
