"""Globs of repository names: `*` is anything within one part, `**` any parts, everything else is itself.

No regular expression is made of them: people write globs, and one of many stars would take a backtracking matcher
longer than anybody lives. This takes the length of the glob times the length of the name at most.
"""

from __future__ import annotations

import re
from functools import lru_cache

_PIECES = re.compile(r"\*\*|\*|[^*]+")


@lru_cache(maxsize=4096)
def matches(glob: str, name: str) -> bool:
    """Whether a name matches as a whole; an empty glob matches every name."""
    if not glob:
        return True
    places = {0}
    for piece in _PIECES.findall(glob):
        if piece == "**":
            places = set(range(min(places), len(name) + 1))
        elif piece == "*":
            places = {stop for start in places for stop in range(start, _end_of_part(name, start) + 1)}
        else:
            places = {start + len(piece) for start in places if name.startswith(piece, start)}
        if not places:
            return False
    return len(name) in places


def literal_prefix(glob: str) -> str:
    """What every name that matches begins with."""
    return glob.partition("*")[0]


def _end_of_part(name: str, start: int) -> int:
    slash = name.find("/", start)
    return len(name) if slash < 0 else slash
