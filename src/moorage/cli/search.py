"""`moorage search`: repositories and projects by a part of their names."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from moorage.cli.client import Client, command

app = typer.Typer()


class Kind(StrEnum):
    """What is searched for."""

    PROJECT = "project"
    REPOSITORY = "repository"


@command(app, "search")
def search_names(
    client: Client,
    text: Annotated[str, typer.Argument(help="A part of a name.", show_default=False)],
    *,
    kind: Annotated[Kind | None, typer.Option(help="Only these.", show_default=False)] = None,
) -> None:
    """Find the repositories that you may pull and the projects that you may see, by a part of their names."""
    query = {"q": text, "kind": kind.value if kind is not None else None}
    client.table(client.items("/search", query), ("kind", "name"))
