"""Counts of a run, read from its junit.xml, and the table of all runs."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("suite", "server", "spec", "tests", "passed", "failures", "errors", "skipped", "disabled")


class NoReport(Exception):
    """There is no junit.xml, or it does not say how many tests ran."""


@dataclass(frozen=True)
class Counts:
    """What became of the tests of one run.

    tests: all that the suite has, those included that did not run.
    disabled: tests that the suite's own settings leave out.
    notes: names of what did not pass, for the reader.
    """

    tests: int
    failures: int
    errors: int
    skipped: int
    disabled: int = 0
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> int:
        """Tests that ran and passed."""
        return self.tests - self.failures - self.errors - self.skipped - self.disabled

    @property
    def good(self) -> bool:
        """Whether everything ran and passed."""
        return self.passed > 0 and self.passed == self.tests


def read(report: Path) -> Counts:
    """Return the counts of a junit.xml: its attributes, or what its elements say where that is more.

    Raises:
        NoReport: the file is missing, is no XML, or has no tests.
    """
    try:
        root = ET.parse(report).getroot()
    except (OSError, ET.ParseError) as error:
        raise NoReport(f"{report}: {error}") from error
    suites = [root] if root.tag == "testsuite" else root.findall("testsuite")
    if not suites or any("tests" not in suite.attrib or "failures" not in suite.attrib for suite in suites):
        raise NoReport(f"{report}: no counts")

    def count(attribute: str, element: str) -> int:
        said = sum(int(suite.get(attribute, "0")) for suite in suites)
        return max(said, sum(case.find(element) is not None for case in root.iter("testcase")))

    notes = tuple(
        f"{child.tag}: {case.get('classname', '')} {case.get('name', '')}"
        for case in root.iter("testcase")
        for child in case
        if child.tag in {"failure", "error", "skipped"}
    )
    cases = sum(1 for _ in root.iter("testcase"))
    tests = max(cases, sum(int(suite.get("tests", "0")) for suite in suites))
    if not tests:
        raise NoReport(f"{report}: no tests")
    return Counts(
        tests,
        count("failures", "failure"),
        count("errors", "error"),
        count("skipped", "skipped"),
        sum(int(suite.get("disabled") or "0") for suite in suites),
        notes,
    )


@dataclass(frozen=True)
class Run:
    """One suite against one server. `problem` says why it is no success although the counts look like one."""

    suite: str
    server: str
    spec: str
    counts: Counts | None
    problem: str | None = None

    @property
    def good(self) -> bool:
        """Whether the run is a success."""
        return self.problem is None and self.counts is not None and self.counts.good

    def row(self) -> tuple[str, ...]:
        """Return the run's line of the table."""
        if self.counts is None:
            return (self.suite, self.server, self.spec, *["-"] * 6)
        found = self.counts
        numbers = (
            found.tests,
            found.passed,
            found.failures,
            found.errors,
            found.skipped,
            found.disabled,
        )
        return (self.suite, self.server, self.spec, *map(str, numbers))


def table(runs: Iterable[Run]) -> str:
    """Return all runs as a table for a terminal."""
    rows = [COLUMNS, *(run.row() for run in runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]

    def line(row: tuple[str, ...]) -> str:
        words = zip(row, widths, strict=True)
        return "  ".join(
            word.ljust(width) if column < 3 else word.rjust(width) for column, (word, width) in enumerate(words)
        ).rstrip()

    return "\n".join([line(rows[0]), "  ".join("-" * width for width in widths), *map(line, rows[1:])])
