"""Printing a secret that was just made: alone on standard output, so that it can be piped where it is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from moorage.cli.client import Client


def show_secret(client: Client, answer: Mapping[str, Any], sentence: str) -> None:
    """Print the secret of an answer, this once.

    Args:
        client: knows whether the user wants JSON, and then gets the whole answer.
        answer: has the member `secret`.
        sentence: what this is; goes to standard error.
    """
    if client.as_json:
        client.show(answer)
        return
    typer.echo(f"{sentence} It is shown only this once.", err=True)
    typer.echo(answer["secret"])
