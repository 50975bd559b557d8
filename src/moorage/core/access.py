"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who was identified.

    Attributes:
        name: as shown in logs and in the tag history; empty for anonymous.
        kind: `anonymous` or `user`.
    """

    name: str
    kind: str = "user"


ANONYMOUS = Identity("", "anonymous")
