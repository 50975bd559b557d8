"""Rules for the text of every file that git would commit. Prints each breach with its line, and fails on any.

- no path of the machine that somebody worked on;
- no host name of a package registry: which mirror serves a package is the user's choice, not the project's;
- no control characters but tab and newline, no trailing blanks in what people read, a newline at the end.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Written with [brackets], so that this file does not break its own rules.
MACHINE_PATHS = "/wor[k]/|/roo[t]/|/User[s]/|/hom[e]/"
REGISTRY_HOSTS = r"pyp[i]\.org|files\.python[h]osted|(?:proxy|sum)\.golan[g]\.org|registry\.np[m]js"
RULES = (
    (re.compile(rf"(?<![\w.}}])(?:{MACHINE_PATHS})"), "a path of somebody's machine"),
    (re.compile(REGISTRY_HOSTS), "a package registry's host name"),
    (re.compile(r"[\x00-\x08\x0b-\x1f\x7f]"), "a control character"),
)
TIDY = {".py", ".sh", ".toml", ".yml", ".yaml", ".md", ".json", ".sql", ""}

# (path, rule) -> why it may stand there.
EXCEPTIONS: dict[tuple[str, str], str] = {}


def committed_files(root: Path) -> list[Path]:
    """What git tracks or would track, as paths below `root`."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [root / name for name in sorted(set(names.split("\0"))) if name and (root / name).is_file()]


def breaches(name: str, text: str) -> Iterator[str]:
    """Every breach in one file's text, as `name:line: what`."""
    for number, line in enumerate(text.split("\n"), 1):
        for pattern, what in RULES:
            if pattern.search(line) and (name, what) not in EXCEPTIONS:
                yield f"{name}:{number}: {what}"
        if Path(name).suffix in TIDY and line != line.rstrip():
            yield f"{name}:{number}: blanks at the end of the line"
    if text and not text.endswith("\n"):
        yield f"{name}: no newline at the end"


def main(root: Path = ROOT) -> int:
    """Check all files; 1 where there is a breach or no file was seen, else 0."""
    seen = 0
    found: list[str] = []
    for path in committed_files(root):
        data = path.read_bytes()
        if b"\0" in data[:8192]:
            continue  # an image or an archive
        seen += 1
        found += breaches(path.relative_to(root).as_posix(), data.decode("utf-8", "replace"))
    for breach in found:
        print(breach, file=sys.stderr)
    print(f"{seen} text files, {len(found)} breaches")
    return 1 if found or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
