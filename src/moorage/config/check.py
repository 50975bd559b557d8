"""Walking a tree along the table: values for the keys that have an effect, findings for the rest."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar, cast

from moorage.config.findings import Origin, Report
from moorage.config.keys import TEXTUAL, Key, Kind, Status
from moorage.config.keys_storage import BESIDE_DRIVERS
from moorage.config.table import TOP, children
from moorage.config.tree import Items, Node, Scalar, Table, is_inert, join
from moorage.config.values import Headers, Labels, Value, WrongValue, describe, read_value

T = TypeVar("T")


class Values:
    """What a configuration says, by the path of the key; entries of lists are numbered, as in `a[0].b`."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self._values: dict[str, Value] = {}
        self._origins: dict[str, Origin] = {}
        self._lengths: dict[str, int] = {}

    def put(self, path: str, value: Value, origin: Origin) -> None:
        """Remember the value of a key."""
        self._values[path] = value
        self._origins[path] = origin

    def mark(self, path: str, origin: Origin, length: int = 0) -> None:
        """Remember that a section is there, and how many entries it has when it is a list."""
        self._origins[path] = origin
        self._lengths[path] = length

    def __contains__(self, path: str) -> bool:
        return path in self._origins

    def given(self, path: str) -> bool:
        """Tell whether the key has a value that is not empty."""
        return bool(self._values.get(path))

    def origin(self, path: str) -> Origin:
        """Return where the key was written; an empty origin when it was not."""
        return self._origins.get(path, Origin())

    def length(self, path: str) -> int:
        """Return how many entries the list of sections has."""
        return self._lengths.get(path, 0)

    def text(self, path: str, default: str = "") -> str:
        """Return a text, or the default when it is absent or empty."""
        return self._get(path, default) or default

    def flag(self, path: str, *, default: bool) -> bool:
        """Return true or false."""
        return self._get(path, default)

    def count(self, path: str, default: int) -> int:
        """Return a whole number, or a number of bytes."""
        return self._get(path, default)

    def seconds(self, path: str, default: float) -> float:
        """Return a duration in seconds."""
        return self._get(path, default)

    def texts(self, path: str) -> tuple[str, ...]:
        """Return a list of texts; empty when it is absent."""
        return self._get(path, cast("tuple[str, ...]", ()))

    def labels(self, path: str) -> Labels:
        """Return names and texts; empty when absent."""
        return self._get(path, cast("Labels", {}))

    def headers(self, path: str) -> Headers:
        """Return (name, value) pairs; empty when absent."""
        return self._get(path, cast("Headers", ()))

    def _get(self, path: str, default: T) -> T:
        # The table fixes the kind of value at each path, and so its type; each caller asks for that one.
        return cast("T", self._values.get(path, default))


def check(tree: Table, report: Report) -> Values:
    """Return what the tree says; everything that is unknown, wrong or without effect goes to the report."""
    values = Values(report)
    _section(TOP, tree, "", values)
    return values


def _section(key: Key, table: Table, path: str, values: Values) -> None:
    known = children(key.path)
    for name, node in _folded(table, known, path, values.report).items():
        child = f"{path}.{name}" if path else name
        row = known.get(name)
        if row is None:
            _unknown(key, name, child, node.origin, values.report)
        else:
            _key(row, node, child, values, counts_when_empty=key.shorthand)


def _folded(table: Table, known: Mapping[str, Key], path: str, report: Report) -> dict[str, Node]:
    """Bring known names to the spelling of the table; names that then are the same are joined."""
    folded: dict[str, Node] = {}
    for written, node in table.entries.items():
        name = written.lower() if written.lower() in known else written
        before = folded.get(name)
        where = f"{path}.{name}" if path else name
        folded[name] = node if before is None else join(before, node, where, report)
    return folded


def _unknown(section: Key, name: str, path: str, origin: Origin, report: Report) -> None:
    known = sorted(children(section.path))
    close = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f"; did you mean `{close[0]}`?" if close else ""
    if section.shorthand:
        # An unknown driver or door must not turn into the default one.
        rows = children(section.path).values()
        usable = [row.name for row in rows if row.status is Status.HONOURED and row.name not in BESIDE_DRIVERS]
        report.error(path, f"is not known here{hint or '; known are ' + ', '.join(usable)}", origin)
    else:
        report.warning(path, f"is not a key that is known here, and has no effect{hint or '; remove it'}", origin)


def _key(key: Key, node: Node, path: str, values: Values, *, counts_when_empty: bool) -> None:
    asks_for_nothing = is_inert(node) and not counts_when_empty
    if key.loudness is not None and not asks_for_nothing:
        values.report.add(key.loudness, path, _verdict(key), node.origin)
    if key.status in (Status.IGNORED, Status.UNAVAILABLE):
        if counts_when_empty:
            values.mark(path, node.origin)
        return
    if key.kind is Kind.SECTION:
        _enter(key, node, path, values)
    elif key.kind is Kind.ENTRIES:
        _entries(key, node, path, values)
    elif not _is_absent(key, node):
        _leaf(key, node, path, values)


def _is_absent(key: Key, node: Node) -> bool:
    return isinstance(node, Scalar) and (node.null or (not node.text and key.kind in TEXTUAL))


def _verdict(key: Key) -> str:
    return f"has no effect: {key.note}" if key.status is Status.IGNORED else key.note


def _leaf(key: Key, node: Node, path: str, values: Values) -> None:
    try:
        value = read_value(key, node)
    except WrongValue as error:
        values.report.error(path, str(error), node.origin)
        return
    values.put(path, value, node.origin)
    if key.kind is Kind.DURATION and isinstance(node, Scalar) and isinstance(value, float) and 0 < value < 1e-3:
        short = f"is {node.text}, which is less than a millisecond; a number without a unit means nanoseconds, "
        values.report.warning(path, short + f"as in Distribution: write for example `{key.example}`", node.origin)


def _enter(key: Key, node: Node, path: str, values: Values) -> None:
    node = expand(key, node)
    if isinstance(node, Table):
        values.mark(path, node.origin)
        _section(key, node, path, values)
    elif isinstance(node, Scalar) and node.null:
        values.mark(path, node.origin)
    else:
        names = ", ".join(list(children(key.path))[:4])
        needed = f"with keys such as {names}" if names else "of settings, or nothing,"
        values.report.error(path, f"found {describe(node)} where a section {needed} is needed", node.origin)


def expand(key: Key, node: Node) -> Node:
    """Return the section that a bare name stands for, as in `storage: filesystem`; others as they are."""
    if key.shorthand and isinstance(node, Scalar) and node.text and not node.null:
        return Table({node.text: Scalar("", True, node.origin)}, node.origin)
    return node


def _entries(key: Key, node: Node, path: str, values: Values) -> None:
    if isinstance(node, Scalar) and node.null:
        return
    if not isinstance(node, Items):
        values.report.error(path, f"found {describe(node)} where a list is needed", node.origin)
        return
    values.mark(path, node.origin, len(node.nodes))
    for index, item in enumerate(node.nodes):
        _enter(key, item, f"{path}[{index}]", values)
