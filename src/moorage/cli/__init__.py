"""The command line: one file a command group."""

from __future__ import annotations

from typing import Annotated

import typer

from moorage import __version__
from moorage.cli import access, audit, config, grant, group, k8s, key, project, robot, search, serve, token, trust, user

app = typer.Typer(name="moorage", help="A container image registry.", no_args_is_help=True, add_completion=True)
app.command("serve")(serve.serve)
app.add_typer(config.app, name="config")
app.add_typer(user.app, name="user")
app.add_typer(group.app, name="group")
app.add_typer(robot.app, name="robot")
app.add_typer(token.app, name="token")
app.add_typer(trust.app, name="trust")
app.add_typer(k8s.app, name="k8s")
app.add_typer(project.app, name="project")
app.add_typer(grant.app, name="grant")
app.add_typer(access.app, name="access")
app.add_typer(search.app)
app.add_typer(audit.app, name="audit")
app.add_typer(key.app, name="key")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"moorage {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """A container image registry."""


def main() -> None:
    """The console script."""
    app()
