"""`moorage config`: look at a configuration without starting anything."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from moorage.config.findings import Finding
from moorage.config.loader import Loaded, Overrides, load
from moorage.config.schema import json_schema

app = typer.Typer(help="Check a configuration, or describe what one may hold.", no_args_is_help=True)


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="The YAML file.", show_default=False)],
    format_: Annotated[Format, typer.Option("--format", help="For people, or for programs.")] = Format.TEXT,
    environment: Annotated[
        bool, typer.Option(help="Lay the REGISTRY_... variables over the file, as `moorage serve` does.")
    ] = True,
) -> None:
    """Say what is wrong, outdated or without effect in a configuration.

    Ends with status 1 when the program would not start with it, and with 0 otherwise.
    """
    loaded = load(file, os.environ if environment else {}, Overrides())
    typer.echo(_as_json(loaded, file) if format_ is Format.JSON else _as_text(loaded, file), nl=False)
    raise typer.Exit(1 if loaded.errors else 0)


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema (2020-12) of the configuration."""
    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


def _as_text(loaded: Loaded, file: Path) -> str:
    return "".join(f"{_place(finding, file)}: {_sentence(finding)}\n" for finding in loaded.findings)


def _place(finding: Finding, file: Path) -> str:
    if finding.variable:
        return finding.variable
    return f"{file}:{finding.line}" if finding.line else str(file)


def _sentence(finding: Finding) -> str:
    key = f"{finding.key}: " if finding.key else ""
    return f"{finding.severity}: {key}{finding.message}"


def _as_json(loaded: Loaded, file: Path) -> str:
    findings = [asdict(finding) for finding in loaded.findings]
    answer = {"file": str(file), "ok": not loaded.errors, "findings": findings}
    return json.dumps(answer, indent=2, ensure_ascii=False) + "\n"
