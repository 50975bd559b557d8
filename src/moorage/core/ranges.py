"""Byte ranges: `Range` of a GET (RFC 9110 section 14) and `Content-Range` of an upload's chunk.

Numbers are ASCII digits only: `int()` alone would take `1_000`, `+5` and Unicode digits.
"""

from __future__ import annotations

import re

from moorage.core.errors import RangeNotSatisfiable, UploadInvalid

MAX_RANGES = 64
"""More parts than this in one `Range` are answered with the whole content (the rule lets a server ignore a Range)."""

MAX_RANGE_HEADER = 4096
"""Characters of a `Range` header that are looked at: its numbers may be as long, beyond what any content has."""

_SPEC = re.compile(r"[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t]*", re.ASCII)
_CHUNK = re.compile(r"(?:bytes[ =])?([0-9]{1,19})-([0-9]{1,19})(?:/(?:[0-9]{1,19}|\*))?", re.ASCII)

Span = tuple[int, int]
"""`(start, stop)`: bytes from `start` up to, without, `stop`."""


def parse_range(header: str, size: int) -> list[Span] | None:
    """What a `Range` header asks of a content of `size` bytes.

    Returns:
        None where the header is to be ignored (another unit, no valid syntax, too many parts, or parts that overlap so
        that more would be sent than the content has); else the spans in the order asked for, clamped to the size.

    Raises:
        RangeNotSatisfiable: none of the parts lies within the content, or one is inverted (`500-0`): the official
            conformance suite wants 416 for that where RFC 9110 would ignore the header.
    """
    unit, equals, rest = header.partition("=")
    if not equals or unit.strip().lower() != "bytes" or len(header) > MAX_RANGE_HEADER:
        return None
    parts = rest.split(",")
    if len(parts) > MAX_RANGES:
        return None
    spans: list[Span] = []
    for part in parts:
        match = _SPEC.fullmatch(part)
        if match is None:
            return None
        span = _span(match, size)
        if span is not None:
            spans.append(span)
    if not spans:
        raise _outside(size)
    if len(spans) > 1 and sum(stop - start for start, stop in spans) > size:
        return None
    return spans


def _span(match: re.Match[str], size: int) -> Span | None:
    first, last, suffix = match.groups()
    if suffix is not None:
        length = min(int(suffix), size)
        return (size - length, size) if length else None
    start = int(first)
    if not last:
        return (start, size) if start < size else None
    end = int(last)
    if end < start:
        raise _outside(size)
    return (start, min(end + 1, size)) if start < size else None


def _outside(size: int) -> RangeNotSatisfiable:
    return RangeNotSatisfiable(
        f"The range lies outside the content, which has {size} bytes.",
        {"size": size},
        headers=(("content-range", f"bytes */{size}"),),
    )


def parse_chunk_range(header: str) -> Span:
    """`Content-Range` of an upload's chunk: `0-1023`, as the distribution specification writes it.

    `bytes 0-1023/*` is taken too: .NET's and other clients send the form of RFC 9110.

    Raises:
        UploadInvalid: not of that form, or its end lies before its start.
    """
    match = _CHUNK.fullmatch(header.strip())
    if match is None or int(match[2]) < int(match[1]):
        raise UploadInvalid(
            "Content-Range must be <start>-<end> in bytes, both included, for example 0-1023.",
            {"content-range": header[:100]},
        )
    return int(match[1]), int(match[2]) + 1
