"""`REGISTRY_...` variables, laid over the tree of the file.

The rules are Distribution's (`configuration/parser.go`): names are the path of the key joined by `_`, numbers
are positions in lists, the value is YAML, and variables apply in the order of their names, so that
`REGISTRY_STORAGE` comes before `REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY` and replaces the whole section.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

from moorage.config.check import expand
from moorage.config.findings import Origin, Report
from moorage.config.keys import TEXTUAL, Key, Kind
from moorage.config.table import TOP, children
from moorage.config.tree import Items, Node, Scalar, Table, Unreadable, is_inert, parse

PREFIX = "REGISTRY_"
CONFIGURATION = "REGISTRY_CONFIGURATION_PATH"  # names the file; read by the loader

TRACES = "OTEL_TRACES_EXPORTER"  # of OpenTelemetry; Distribution 3 sends traces unless it is `none`

_LISTED = (Kind.TEXTS, Kind.PATTERNS, Kind.NETWORKS)
# Docker links and Kubernetes services named "registry" leave these behind in every container near them.
_FROM_PLATFORM = re.compile(r"REGISTRY_(SERVICE_(HOST|PORT.*)|PORT(_\d+_(TCP|UDP).*)?|NAME|ENV_.*)")


def overlay(tree: Table, environ: Mapping[str, str], report: Report) -> None:
    """Lay every `REGISTRY_...` variable of `environ` over the tree.

    Unknown variables are reported by name; the value of a variable is never part of a finding here.
    """
    for name in sorted(name for name in environ if name.startswith(PREFIX) and name != CONFIGURATION):
        segments = name[len(PREFIX) :].split("_")
        _Setter(name, environ[name], report).set(TOP, tree, segments)


def report_others(environ: Mapping[str, str], report: Report) -> None:
    """Report what Distribution reads besides its own variables and what has no effect here."""
    if environ.get(TRACES, "none").lower() not in ("", "none"):
        message = "has no effect: no traces are sent; figures are at `/metrics`. Unset it, or write `none`"
        report.warning("", message, Origin(None, TRACES))


class _Setter:
    """Carries one variable down the tree to its place."""

    def __init__(self, variable: str, text: str, report: Report) -> None:
        self._variable = variable
        self._text = text
        self._report = report
        self._origin = Origin(None, variable)

    def set(self, section: Key, table: Table, segments: Sequence[str]) -> None:
        row, rest = _match(section, segments)
        if row is None:
            self._unknown(section, table, segments)
        elif not rest:
            self._assign(table, row)
        elif row.kind is Kind.SECTION:
            self.set(row, self._section(table, row), rest)
        elif row.kind is Kind.ENTRIES:
            self._entry(row, self._list(table, row.name), rest)
        elif row.kind in _LISTED and len(rest) == 1:
            self._item(row, self._list(table, row.name), rest[0])
        elif row.kind is Kind.HEADERS and len(rest) > 1 and rest[-1].isdigit():
            self._item(row, self._list(self._section(table, row), "_".join(rest[:-1]).lower()), rest[-1])
        elif row.kind in (Kind.LABELS, Kind.HEADERS, Kind.ANY):
            inner = self._section(table, row)
            _replace(inner, "_".join(rest).lower(), self._value(row, entry=True))
        else:
            self._unknown(section, table, segments)

    def _assign(self, table: Table, row: Key) -> None:
        name = _spelling(table, row.name)
        before = table.entries.get(name)
        table.entries[name] = self._value(row)
        if isinstance(before, Table) and before.origin.line and not is_inert(before):
            lost = ", ".join(before.entries)
            self._report.info(
                row.path,
                f"replaces the whole section of the file (line {before.origin.line}): {lost}",
                self._origin,
            )

    def _section(self, table: Table, row: Key) -> Table:
        name = _spelling(table, row.name)
        node = table.entries.get(name)
        node = expand(row, node) if node is not None else Table({}, self._origin)
        if not isinstance(node, Table):
            node = Table({}, self._origin)
        table.entries[name] = node
        return node

    def _list(self, table: Table, name: str) -> Items:
        name = _spelling(table, name)
        node = table.entries.get(name)
        if isinstance(node, Scalar) and not node.null:
            node = Items([node], node.origin)
        if not isinstance(node, Items):
            node = Items([], self._origin)
        table.entries[name] = node
        return node

    def _entry(self, row: Key, items: Items, segments: Sequence[str]) -> None:
        index = self._index(row, items, segments[0])
        if index is None:
            return
        if index == len(items.nodes):
            items.nodes.append(Table({}, self._origin))
        if len(segments) == 1:
            items.nodes[index] = self._value(row)
            return
        entry = items.nodes[index]
        if not isinstance(entry, Table):
            entry = items.nodes[index] = Table({}, self._origin)
        self.set(row, entry, segments[1:])

    def _item(self, row: Key, items: Items, segment: str) -> None:
        index = self._index(row, items, segment)
        if index is None:
            return
        node = self._value(row, entry=True)
        items.nodes[index : index + 1] = [node if isinstance(node, Scalar) else Scalar(self._text, False, self._origin)]

    def _index(self, row: Key, items: Items, segment: str) -> int | None:
        if not (segment.isascii() and segment.isdigit() and len(segment) < 6):
            self._report.error(row.path, f"found {segment!r} where a position in the list is needed", self._origin)
            return None
        if int(segment) > len(items.nodes):
            message = f"sets entry {int(segment)} of a list of {len(items.nodes)}; number them from 0 upwards"
            self._report.error(row.path, message, self._origin)
            return None
        return int(segment)

    def _value(self, row: Key, *, entry: bool = False) -> Node:
        """Read the value as YAML; where a plain text is wanted, whatever is not YAML stands for itself.

        entry: it is one text of a list, or one value of a mapping.
        """
        scratch = Report()
        try:
            node = parse(self._text, scratch, self._variable)
        except Unreadable as error:
            if row.kind in TEXTUAL or row.shorthand or entry:
                return Scalar(self._text, False, self._origin)
            self._report.error(row.path, f"{error}; a value here is read as YAML", self._origin)
            return Scalar("", True, self._origin)
        for finding in scratch:
            self._report.add(finding.severity, row.path, finding.message, self._origin)
        if row.kind in TEXTUAL and not isinstance(node, Scalar):
            return Scalar(self._text, False, self._origin)
        return node

    def _unknown(self, section: Key, table: Table, segments: Sequence[str]) -> None:
        if section.shorthand:
            # An unknown driver or door is an error, which the check of the tree reports.
            table.entries.setdefault(segments[0].lower(), Scalar("", True, self._origin))
        elif _FROM_PLATFORM.fullmatch(self._variable):
            message = "is no setting; Docker or Kubernetes sets it for a service called `registry`"
            self._report.info("", message, self._origin)
        else:
            close = difflib.get_close_matches(segments[0].lower(), sorted(children(section.path)), n=1)
            self._warn(
                section.path,
                "sets nothing that is known" + (f"; did you mean `{close[0]}`?" if close else ""),
            )

    def _warn(self, path: str, message: str) -> None:
        self._report.warning(path, message, self._origin)


def _match(section: Key, segments: Sequence[str]) -> tuple[Key | None, Sequence[str]]:
    """Find the key below `section` that the first segments name; names may contain `_`, and the longest counts."""
    known = children(section.path)
    for taken in range(len(segments), 0, -1):
        row = known.get("_".join(segments[:taken]).lower())
        if row is not None:
            return row, segments[taken:]
    return None, segments


def _spelling(table: Table, name: str) -> str:
    """Return how the table spells `name`, so that a variable replaces `Http` as well as `http`."""
    return next((written for written in table.entries if written.lower() == name.lower()), name)


def _replace(table: Table, name: str, node: Node) -> None:
    table.entries[_spelling(table, name)] = node
