"""YAML as a tree in which every value still knows where it was written."""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml

from moorage.config.findings import Origin, Report

_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"
_MOST_NODES = 100_000  # aliases multiply; a configuration never comes near this
_DEEPEST = 50


@dataclass(slots=True)
class Scalar:
    """One value: its text as written, and whether it is YAML's null (nothing at all, `~`, `null`)."""

    text: str
    null: bool
    origin: Origin


@dataclass(slots=True)
class Items:
    """A list."""

    nodes: list[Node]
    origin: Origin


@dataclass(slots=True)
class Table:
    """A mapping, in the order of the file; the names are as written."""

    entries: dict[str, Node] = field(default_factory=dict)
    origin: Origin = field(default_factory=Origin)


Node = Scalar | Items | Table


class Unreadable(Exception):
    """The text is not YAML that can be used; `line` counts from 1, when it is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def parse(text: str | bytes, report: Report, variable: str = "") -> Node:
    """Return the tree of the first YAML document in `text`.

    variable: the environment variable that the text is the value of; lines mean nothing then.
    Names given twice are reported: two mappings are joined, of anything else the last one counts.
    Raises Unreadable, with a message that never quotes the text, because the text may hold a secret.
    """
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_node() if loader.check_node() else None
            if node is not None and loader.check_node():
                report.warning("", "there is a second YAML document after `---`; only the first one counts")
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(_explain(error), mark.line + 1 if mark else None) from None
    except (yaml.YAMLError, UnicodeError, ValueError):
        raise Unreadable("contains characters that YAML does not allow; save it as UTF-8 text") from None
    except RecursionError:
        raise Unreadable("is nested too deeply") from None
    if node is None:
        return Scalar("", True, Origin(None if variable else 1, variable))
    return _Converter(report, variable).convert(node, "")


def _explain(error: yaml.MarkedYAMLError) -> str:
    if error.problem and "'\\t'" in error.problem:
        return "is not YAML: a tab is used for indentation; use spaces"
    # PyYAML's own words name a syntax element or one character, never a whole value, except for these:
    words = f"{error.context} {error.problem}"
    if any(word in words for word in ("alias", "anchor", "tag")):
        return "is not YAML: an alias or a tag that is not defined; put quotes around the value"
    said = error.problem or error.context or "unreadable"
    return f"is not YAML: {said}".replace(repr("\0"), "the end")


class _Converter:
    def __init__(self, report: Report, variable: str) -> None:
        self._report = report
        self._variable = variable
        self._open: set[int] = set()
        self._count = 0

    def convert(self, node: yaml.Node, path: str, origin: Origin | None = None) -> Node:
        where = origin or self._origin(node)
        self._count += 1
        if id(node) in self._open or self._count > _MOST_NODES:
            raise Unreadable("has an alias that contains itself, or too many values", where.line)
        if len(self._open) >= _DEEPEST:
            raise Unreadable("is nested too deeply", where.line)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._table(node, path, where)
            if isinstance(node, yaml.SequenceNode):
                items = [self.convert(item, f"{path}[{index}]") for index, item in enumerate(node.value)]
                return Items(items, where)
            return Scalar(str(node.value), node.tag == _NULL, where)
        finally:
            self._open.discard(id(node))

    def _table(self, node: yaml.MappingNode, path: str, origin: Origin) -> Table:
        table = Table({}, origin)
        merged: list[Table] = []
        for key_node, value_node in node.value:
            where = self._origin(key_node)
            if key_node.tag == _MERGE:
                merged.extend(self._sources(value_node, path))
            elif isinstance(key_node, yaml.ScalarNode):
                name = str(key_node.value)
                child = f"{path}.{name}" if path else name
                self._put(table, name, child, self.convert(value_node, child, where))
            else:
                self._report.error(path, "a key must be a plain word, found a list or a mapping", where)
        for source in merged:
            for name, value in source.entries.items():
                table.entries.setdefault(name, value)
        return table

    def _sources(self, node: yaml.Node, path: str) -> list[Table]:
        converted = self.convert(node, path)
        nodes = converted.nodes if isinstance(converted, Items) else [converted]
        return [each for each in nodes if isinstance(each, Table)]

    def _put(self, table: Table, name: str, path: str, value: Node) -> None:
        before = table.entries.get(name)
        table.entries[name] = value if before is None else join(before, value, path, self._report)

    def _origin(self, node: yaml.Node) -> Origin:
        if self._variable:
            return Origin(None, self._variable)
        return Origin(node.start_mark.line + 1 if node.start_mark else None)


def join(first: Node, second: Node, path: str, report: Report) -> Node:
    """Return what counts when the key `path` is given twice, and report that it is.

    Two mappings are joined, as Distribution does with its sections; otherwise the second value counts.
    """
    both = isinstance(first, Table) and isinstance(second, Table)
    consequence = "both are read together" if both else "the last one counts"
    earlier = f" (first on line {first.origin.line})" if first.origin.line else ""
    report.warning(path, f"is given twice{earlier}; {consequence}: keep one of them", second.origin)
    if not (isinstance(first, Table) and isinstance(second, Table)):
        return second
    joined = Table(dict(first.entries), first.origin)
    for name, value in second.entries.items():
        before = joined.entries.get(name)
        joined.entries[name] = value if before is None else join(before, value, f"{path}.{name}", report)
    return joined


def is_inert(node: Node) -> bool:
    """Tell whether a value asks for nothing: empty, or switched off by its own `enabled` or `disabled`."""
    if isinstance(node, Scalar):
        return node.null or not node.text
    if isinstance(node, Items):
        return all(is_inert(item) for item in node.nodes)
    if _says(node, "disabled", ("true", "yes", "on")) or _says(node, "enabled", ("false", "no", "off")):
        return True
    return all(is_inert(value) for value in node.entries.values())


def _says(table: Table, name: str, words: tuple[str, ...]) -> bool:
    for key, value in table.entries.items():
        if key.lower() == name and isinstance(value, Scalar) and value.text.lower() in words:
            return True
    return False
