"""`moorage serve`: run the registry."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moorage.telemetry import logs

if TYPE_CHECKING:
    from moorage.config import Loaded


def serve(
    config: Annotated[
        Path | None, typer.Argument(help="YAML file with Distribution's keys and ours.", show_default=False)
    ] = None,
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on.", show_default="5000")] = None,
    root: Annotated[
        Path | None, typer.Option(help="Directory for everything that is kept.", show_default=False)
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes.", show_default="one a CPU")] = None,
    auth: Annotated[
        str | None,
        typer.Option(
            help="none: open to everybody; local: accounts of its own; whatever the file says.", show_default=False
        ),
    ] = None,
) -> None:
    """Run the registry until SIGTERM or SIGINT."""
    from moorage.config import Overrides, load

    loaded = load(config, os.environ, Overrides(host=host, port=port, root=root, workers=workers, auth=auth))
    _report(loaded)
    from moorage.cli.errors import CannotStart
    from moorage.cli.supervisor import run

    try:
        run(loaded.settings)
    except CannotStart as error:
        typer.echo(f"moorage: {error}", err=True)
        raise typer.Exit(1) from None


def _report(loaded: Loaded) -> None:
    """What there is to say of the configuration: into the log, or plain where the program does not start."""
    if not loaded.errors:
        logs.configure(loaded.settings.log)
        log = logs.logger("moorage.config")
        for finding in loaded.findings:
            tell = log.warning if finding.severity == "warning" else log.info
            place = finding.variable or (f"{loaded.path}:{finding.line}" if finding.line else str(loaded.path or ""))
            tell(f"{finding.key}: {finding.message}" if finding.key else finding.message, place=place)
        return
    for finding in loaded.findings:
        place = finding.variable or (f"{loaded.path}:{finding.line}" if finding.line else str(loaded.path or "moorage"))
        parts = (place, finding.severity, finding.key, finding.message)
        sys.stderr.write(": ".join(part for part in parts if part) + "\n")
    sys.stderr.write("moorage: not started, because of the errors above\n")
    raise typer.Exit(1)
