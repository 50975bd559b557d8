"""JSON as every client reads it, or not at all.

Two readers that disagree about a document are a hole: Go matches member names without regard to case and Python does
not, the last of two equal names wins in one and the first in another, and a digest seen by only one side is not
protected from garbage collection. So what is ambiguous is refused.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import orjson

from moorage.core.errors import ManifestInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DEPTH = 100
"""Levels of nesting; the deepest manifest of the field has about ten."""


class Ambiguous(ValueError):
    """A member name stands twice in one object."""


def check_members(data: bytes) -> None:
    """Refuse a document in which an object has two members of one name.

    Args:
        data: the document; one that is no JSON passes, because whoever reads it will say so.

    Raises:
        Ambiguous: see above.
    """
    try:
        json.loads(data, object_pairs_hook=_members)
    except Ambiguous:
        raise
    except (ValueError, RecursionError):
        return


def decode_object(data: bytes) -> dict[str, object]:
    """Decode a JSON object, strictly.

    Args:
        data: the document: UTF-8 without a byte order mark.

    Raises:
        ManifestInvalid: no JSON, no object, a member name twice in one object, or too deep.
    """
    try:
        orjson.loads(data)
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_members)
    except Ambiguous as error:
        raise ManifestInvalid(f"The manifest is ambiguous: {error}.") from None
    except (ValueError, RecursionError) as error:
        raise ManifestInvalid(f"The manifest is not valid JSON: {str(error)[:200]}.") from None
    if not isinstance(value, dict):
        raise ManifestInvalid("The manifest must be a JSON object.")
    _check_depth(value)
    return value


def refuse_look_alikes(members: Mapping[str, object], known: Mapping[str, str]) -> None:
    """Refuse a member that Go would take for a known one and we would not (`Layers` for `layers`).

    Args:
        members: an object of the document.
        known: lower-case spelling -> right spelling of every member with a meaning there. Go folds case as Unicode
            does, so that a long s (U+017F) is an s to it and the Kelvin sign (U+212A) a k.

    Raises:
        ManifestInvalid: such a member is there.
    """
    for name in members:
        right = known.get(name.casefold())
        if right is not None and right != name:
            raise ManifestInvalid(f"The manifest is ambiguous: the member {name!r} must be written {right!r}.")


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Ambiguous("a member name stands twice in one object")
    return found


def _check_depth(value: object) -> None:
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise ManifestInvalid(f"The manifest is nested deeper than {MAX_DEPTH} levels.")
