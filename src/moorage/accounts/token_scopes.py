"""What a personal access token may be narrowed to: Docker's scopes with globs, `repository:team/**:pull`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from moorage.core.access import ADMIN, DELETE, OVERWRITE, PULL, PUSH
from moorage.core.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_SCOPES = 50
LONGEST_SCOPE = 512

_ACTIONS = (PULL, PUSH, OVERWRITE, DELETE, ADMIN, "*")
_GLOB = re.compile(r"[a-z0-9._/*-]+", re.ASCII)
_PART = re.compile(r"[a-z0-9._*-]+", re.ASCII)
_CATALOG = "registry:catalog:*"
_METRICS = "registry:metrics:*"


def checked_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    """Scopes as they are kept, each once, actions in a fixed order.

    Raises:
        Invalid: too many, or one outside the grammar; the sentence names it.
    """
    if len(scopes) > MOST_SCOPES:
        raise Invalid(f"A token has at most {MOST_SCOPES} scopes; a glob covers many repositories.")
    return tuple(dict.fromkeys(_checked(scope) for scope in scopes))


def is_glob(text: str) -> bool:
    """Whether a text may stand for repository names: `*` within one part, `**` as a part of its own."""
    if _GLOB.fullmatch(text) is None:
        return False
    return all(part == "**" or (_PART.fullmatch(part) and "**" not in part) for part in text.split("/"))


def _checked(scope: str) -> str:
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    if scope in (_CATALOG, _METRICS):
        return scope
    words = actions.split(",")
    good = kind == "repository" and is_glob(name) and len(scope) <= LONGEST_SCOPE
    if not good or not all(word in _ACTIONS for word in words):
        raise Invalid(
            f"{scope[:100]!r} is no scope. Write repository:NAME:ACTIONS, where NAME may hold * (within one part) and "
            f"** (any parts) and ACTIONS are of {', '.join(_ACTIONS)}, with commas between; or {_CATALOG}; "
            f"or {_METRICS}.",
            {"scope": scope[:200]},
        )
    return f"repository:{name}:{','.join(word for word in _ACTIONS if word in words)}"
