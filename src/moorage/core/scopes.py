"""Docker's scopes (Docker token specification, "Requesting a Token"): `type[(class)]:name:action,action`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from moorage.core.access import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_SCOPES = 100
"""Scopes of one request that are looked at; a client asks for a handful."""

_MAX_LENGTH = 2048
_TYPE = re.compile(r"[a-z0-9-]{1,64}(?:\([a-z0-9]{1,64}\))?", re.ASCII)
_ACTION = re.compile(r"[a-z*]{1,32}", re.ASCII)


def parse_scopes(values: Iterable[str]) -> list[Scope]:
    """The scopes of `scope` parameters: given several times, separated by blanks in one, or both.

    What is no scope is left out, not refused: "a token with less access is not an error". Equal resources are one.
    """
    words = [word for value in values for word in value.split(" ") if word]
    found: dict[tuple[str, str], frozenset[str]] = {}
    for word in words[:MAX_SCOPES]:
        scope = parse_scope(word)
        if scope is not None:
            key = scope.type, scope.name
            found[key] = found.get(key, frozenset()) | scope.actions
    return [Scope(type_, name, actions) for (type_, name), actions in found.items()]


def parse_scope(text: str) -> Scope | None:
    """One scope, or None for what is none. The class is ignored; a name may hold `host:port/`."""
    if len(text) > _MAX_LENGTH:
        return None
    kind, _, rest = text.partition(":")
    name, colon, actions = rest.rpartition(":")
    if not colon or not name or _TYPE.fullmatch(kind) is None:
        return None
    words = frozenset(word for word in actions.split(",") if _ACTION.fullmatch(word))
    return Scope(kind.partition("(")[0], name, words)


def write_scope(scope: Scope) -> str:
    """A scope as text, its actions in a fixed order."""
    return f"{scope.type}:{scope.name}:{','.join(sorted(scope.actions))}"
