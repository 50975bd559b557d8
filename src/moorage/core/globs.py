"""Globs of repository names and other texts in parts.

`*` is anything within one part, `**` any parts, everything else is itself.

No regular expression is made of them: people write globs, and one of many stars would take a backtracking matcher
longer than anybody lives. This takes the length of the glob times the length of the text at most.
"""

from __future__ import annotations

import re
from functools import lru_cache

_PIECES = re.compile(r"\*\*|\*|[^*]+")


@lru_cache(maxsize=4096)
def matches(glob: str, name: str) -> bool:
    """Whether a name matches as a whole; an empty glob matches every name. What was asked lately is known."""
    return not glob or fits(glob, name)


def fits(glob: str, text: str) -> bool:
    """Whether a whole text fits; an empty glob fits the empty text alone."""
    places = {0}
    for piece in _PIECES.findall(glob):
        if piece == "**":
            places = set(range(min(places), len(text) + 1))
        elif piece == "*":
            places = _within_parts(text, places)
        else:
            places = {start + len(piece) for start in places if text.startswith(piece, start)}
        if not places:
            return False
    return len(text) in places


def literal_prefix(glob: str) -> str:
    """What every name that matches begins with."""
    return glob.partition("*")[0]


def may_meet(one: str, other: str) -> bool:
    """Whether some name may match both globs; never No where one does. An empty glob matches every name."""
    if not one or not other:
        return True
    if "*" not in one:
        return fits(other, one)
    if "*" not in other:
        return fits(one, other)
    begin, end = (literal_prefix(one), literal_prefix(other)), (one.rpartition("*")[2], other.rpartition("*")[2])
    return _agree(*begin) and _agree(end[0][::-1], end[1][::-1])


def _agree(one: str, other: str) -> bool:
    """Whether one of two beginnings is that of the other."""
    return one.startswith(other) or other.startswith(one)


def _within_parts(text: str, places: set[int]) -> set[int]:
    """The places, and all behind them up to the ends of their parts; each is gone over once."""
    found: set[int] = set()
    reached = 0
    for start in sorted(places):
        if start >= reached:
            slash = text.find("/", start)
            reached = (len(text) if slash < 0 else slash) + 1
            found.update(range(start, reached))
    return found
