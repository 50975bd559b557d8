"""Size budgets: of functions, files and protocols. Prints the numbers and fails where a budget is exceeded.

What is exceptional by nature is named below with its reason; an exception that is no longer needed fails too,
so that the list stays short and true.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("src", "tests", "scripts", "bench")

FUNCTION_MEDIAN = 10
FUNCTION_P90 = 35
FUNCTION_HARD = 80
FILE_P90 = 400
FILE_HARD = {"src": 600, "scripts": 600, "bench": 600, "tests": 800}
PROTOCOL_METHODS = 8

# "path", "path::function" or "path::Protocol" -> why it may be larger.
EXCEPTIONS: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Thing:
    """A file, function or protocol and how large it is (lines, or methods of a protocol)."""

    name: str
    size: int
    limit: int


@dataclass(slots=True)
class Found:
    """All that was measured under one folder."""

    files: list[Thing] = field(default_factory=list)
    functions: list[Thing] = field(default_factory=list)
    protocols: list[Thing] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)  # protocol methods without the sentence that is their promise


def is_protocol(node: ast.ClassDef) -> bool:
    """Whether a class names Protocol among its bases, as `Protocol`, `typing.Protocol` or `Protocol[T]`."""
    bases = (base.value if isinstance(base, ast.Subscript) else base for base in node.bases)
    return any(ast.unparse(base).split(".")[-1] == "Protocol" for base in bases)


def measure(path: Path, name: str, limit: int, found: Found) -> None:
    """Add one file, its functions (nested ones count for themselves too) and its protocols to `found`."""
    text = path.read_text(encoding="utf-8")
    found.files.append(Thing(name, len(text.splitlines()), limit))
    for node in ast.walk(ast.parse(text, name)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            found.functions.append(Thing(f"{name}::{node.name}", lines, FUNCTION_HARD))
        elif isinstance(node, ast.ClassDef) and is_protocol(node):
            methods = [part for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)]
            found.protocols.append(Thing(f"{name}::{node.name}", len(methods), PROTOCOL_METHODS))
            if name.startswith("src/"):
                found.silent += [f"{name}::{node.name}.{m.name}" for m in methods if not ast.get_docstring(m)]


def measure_folder(root: Path, folder: str) -> Found:
    """Measure every Python file under one folder of the project."""
    found = Found()
    for path in sorted((root / folder).rglob("*.py")):
        measure(path, path.relative_to(root).as_posix(), FILE_HARD[folder], found)
    return found


def summary(things: list[Thing]) -> tuple[float, float, int]:
    """Median, 90th percentile and maximum of the sizes; zeros where there is nothing."""
    sizes = [thing.size for thing in things]
    if len(sizes) < 2:
        only = sizes[0] if sizes else 0
        return only, only, only
    return median(sizes), quantiles(sizes, n=10, method="inclusive")[8], max(sizes)


def complaints(folder: str, found: Found) -> Iterator[str]:
    """Every breach under one folder, as a sentence; a large thing that is a named exception is none."""
    for thing in (*found.files, *found.functions, *found.protocols):
        if thing.size > thing.limit and thing.name not in EXCEPTIONS:
            yield f"{thing.name}: {thing.size}, the limit is {thing.limit}"
    middle, tail, _ = summary(found.functions)
    if middle > FUNCTION_MEDIAN:
        yield f"{folder}: the median function has {middle:g} lines, the budget is {FUNCTION_MEDIAN}"
    if tail > FUNCTION_P90:
        yield f"{folder}: the 90th percentile of functions is {tail:g} lines, the budget is {FUNCTION_P90}"
    if (long := summary(found.files)[1]) > FILE_P90:
        yield f"{folder}: the 90th percentile of files is {long:g} lines, the budget is {FILE_P90}"
    for name in found.silent:
        yield f"{name}: a method of a port says in a docstring what it promises"


def stale_exceptions(everything: list[Found]) -> Iterator[str]:
    """Exceptions that nothing needs any longer."""
    large = {t.name for f in everything for t in (*f.files, *f.functions, *f.protocols) if t.size > t.limit}
    for name in EXCEPTIONS.keys() - large:
        yield f"{name}: is named as an exception and is none; take it off the list"


def main(root: Path = ROOT) -> int:
    """Print the table and the breaches; 1 where there is a breach or nothing was measured, else 0."""
    everything = {folder: measure_folder(root, folder) for folder in FOLDERS}
    spread = f"{'med / p90 / max':>18}"
    print(f"{'':10}{'files':>6} {spread}{'functions':>12} {spread}{'protocols':>11}{'max':>5}")
    for folder, found in everything.items():
        files, functions = ("{:.0f} / {:.0f} / {}".format(*summary(part)) for part in (found.files, found.functions))
        widest = max((thing.size for thing in found.protocols), default=0)
        row = f"{folder:10}{len(found.files):>6} {files:>18}{len(found.functions):>12} {functions:>18}"
        print(f"{row}{len(found.protocols):>11}{widest:>5}")
    breaches = [text for folder, found in everything.items() for text in complaints(folder, found)]
    breaches += stale_exceptions(list(everything.values()))
    if not everything["src"].files:
        breaches.append("src: nothing found to measure")
    for breach in breaches:
        print(breach, file=sys.stderr)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
