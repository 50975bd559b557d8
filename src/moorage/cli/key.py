"""`moorage key`: the keys that tokens are signed with."""

from __future__ import annotations

from typing import Annotated

import typer

from moorage.cli.client import Client, command

app = typer.Typer(help="See and replace the keys that tokens are signed with.", no_args_is_help=True)

_COLUMNS = ("kid", "algorithm", "state", "age", "created_at", "signs_from", "ends_at")
_UNITS = ((86400, "days"), (3600, "hours"), (60, "minutes"))


@command(app, "list")
def list_keys(client: Client) -> None:
    """Print keys by when they begin to sign, without their private halves; as JSON with the public ones."""
    items = client.items("/keys")
    client.table(items if client.as_json else ({**each, "age": _age(each["age"])} for each in items), _COLUMNS)


@command(app, "rotate")
def rotate_key(
    client: Client,
    *,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="The old key was seen by others: end all tokens within seconds.")
    ] = False,
) -> None:
    """Make a new key that signs from the next minute on; the old one verifies until its last token has ended."""
    client.show(client.call("POST", "/keys/rotate", body={"at_once": at_once}))


def _age(seconds: int) -> str:
    size, word = next((unit for unit in _UNITS if seconds >= 2 * unit[0]), (1, "seconds"))
    return f"{seconds // size} {word}"
