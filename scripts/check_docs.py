"""What the documents point to exists: relative links, the headings in them, and every `make` target named."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
MAKE = re.compile(r"\bmake ([a-z]+)")
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def documents(root: Path) -> list[Path]:
    """The Markdown files that people read: at the top, and under docs/."""
    return sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md")])


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as Markdown viewers make them."""
    headings = HEADING.findall(path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(path: Path, text: str) -> Iterator[str]:
    """Relative links of one document whose file or heading is not there."""
    for link in LINK.findall(CODE.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.exists():
            yield f"links to {target}, which does not exist"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            yield f"links to {link}, a heading that does not exist"


def unknown_targets(text: str, targets: set[str]) -> Iterator[str]:
    """`make X` in code of one document where the Makefile has no X."""
    for code in CODE.findall(text):
        for name in MAKE.findall(code):
            if name not in targets:
                yield f"says `make {name}`, which the Makefile does not have"


def main(root: Path = ROOT) -> int:
    """Check all documents; 1 where something is missing or there is no document, else 0."""
    targets = set(TARGET.findall((root / "Makefile").read_text(encoding="utf-8")))
    found, files = [], documents(root)
    for path in files:
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(root).as_posix()
        found += [f"{name}: {what}" for what in (*broken_links(path, text), *unknown_targets(text, targets))]
    for line in found:
        print(line, file=sys.stderr)
    print(f"{len(files)} documents, {len(found)} breaches")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
