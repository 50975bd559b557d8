"""Reading a configuration: file, environment and command line, in this order; the later one wins."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moorage.config.build import build
from moorage.config.check import check
from moorage.config.environment import CONFIGURATION, overlay, report_others
from moorage.config.findings import Finding, Origin, Report
from moorage.config.overrides import Overrides
from moorage.config.settings import Settings
from moorage.config.tree import Table, Unreadable, is_inert, parse
from moorage.config.values import describe

__all__ = ["Loaded", "Overrides", "load"]

_LARGEST = 4 * 1024 * 1024  # bytes; no configuration is this large, but somebody may name the wrong file


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read.

    settings: for every room. Not to be used when there is an error among the findings: what was wrong has
        been replaced by a default, which may be less strict than what was meant.
    findings: everything that there is to say, in the order of the file, then of the environment.
    path: the file, when there was one.
    """

    settings: Settings
    findings: tuple[Finding, ...]
    path: Path | None = None

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings with which the program must not start."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


def load(path: Path | None, environ: Mapping[str, str], overrides: Overrides) -> Loaded:
    """Read the configuration.

    path: a YAML file with Distribution's keys and our own; None for none, unless
        `REGISTRY_CONFIGURATION_PATH` names one.
    environ: `REGISTRY_...` variables win over the file; `MOORAGE_ROOT` is the default of the root directory.
    overrides: what the command line says; wins over both.
    Never raises because of what is in the file or the environment, nor because the file cannot be read:
    that is an error among the findings.
    """
    report = Report()
    if path is None and environ.get(CONFIGURATION):
        path = Path(environ[CONFIGURATION])
    tree = Table() if path is None else _read(path, report)
    unreadable = report.has_errors
    overlay(tree, environ, report)
    report_others(environ, report)
    values = check(tree, report)
    if path is not None and "version" not in values and not report.has_errors:
        report.warning("version", "is missing; write `version: 0.1` at the top of the file")
    settings = build(values, environ, overrides, has_file=path is not None and not unreadable)
    return Loaded(settings, tuple(report), path)


def _read(path: Path, report: Report) -> Table:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else "unreadable"
        report.error("", f"cannot be read ({reason}); check the path and the rights")
        return Table()
    if len(data) > _LARGEST:
        report.error("", f"is larger than {_LARGEST} bytes, which no configuration is; check the path")
        return Table()
    try:
        tree = parse(data, report)
    except Unreadable as error:
        report.error("", str(error), Origin(error.line))
        return Table()
    if isinstance(tree, Table):
        return tree
    if not is_inert(tree):
        report.error("", f"found {describe(tree)} where sections such as `http:` are needed", tree.origin)
    return Table()
