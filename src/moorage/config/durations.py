"""Durations as Go writes them, and sizes in bytes."""

from __future__ import annotations

import re
from decimal import Decimal

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # micro sign
    "\u03bcs": 1_000,  # Greek mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
_BARE = re.compile(r"[-+]?[0-9]+")
_SIZE = re.compile(r"([0-9]{1,15}) ?(|KiB|MiB|GiB)", re.IGNORECASE)
_UNITS = {"": 1, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
_MOST_CHARACTERS = 100
_LONGEST = 2**63 - 1  # a Go duration is a signed 64-bit count of nanoseconds: about 292 years


def parse_duration(text: str) -> int:
    """Return the nanoseconds that `text` stands for.

    text: what Go's `time.ParseDuration` takes (`1h30m`, `500ms`, `1.5s`, `-2m`, `0`), or a plain integer,
        which counts nanoseconds as a duration in a Go program's YAML does.
    Raises ValueError when it is neither, or longer than 292 years.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ValueError("too long")
    if _BARE.fullmatch(text):
        nanoseconds = int(text)
    else:
        sign = -1 if text[:1] == "-" else 1
        nanoseconds = sign * _sum_of_parts(text[1:] if text[:1] in "+-" else text)
    if abs(nanoseconds) > _LONGEST:
        raise ValueError("longer than 292 years")
    return nanoseconds


def _sum_of_parts(text: str) -> int:
    total = Decimal(0)
    position = 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            raise ValueError(_why_not(text))
        total += Decimal(part[1]) * _NANOSECONDS[part[2]]
        position = part.end()
    if not text:
        raise ValueError("empty")
    return int(total)


def _why_not(text: str) -> str:
    if re.search(r"[0-9]\s*(d|days?|w|weeks?)\b", text):
        return "the longest unit is the hour: a day is 24h, a week is 168h"
    if " " in text:
        return "no spaces are allowed in it"
    return "the units are ns, us, ms, s, m and h"


def has_unit(text: str) -> bool:
    """Tell whether a readable duration names its unit; zero needs none."""
    return _BARE.fullmatch(text) is None or int(text) == 0


def parse_size(text: str) -> int:
    """Return the bytes that `text` stands for: `4194304`, `4096KiB`, `4MiB` or `1GiB`.

    Raises ValueError when it is none of these.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("not a size")
    return int(match[1]) * _UNITS[match[2].lower()]
