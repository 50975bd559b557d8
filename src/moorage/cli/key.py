"""`moorage key`: the keys that tokens are signed with."""

from __future__ import annotations

from typing import Annotated

import typer

from moorage.cli.client import Client, command

app = typer.Typer(help="Replace the key that tokens are signed with.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Replace the key that tokens are signed with."""


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
