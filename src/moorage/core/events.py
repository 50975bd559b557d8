"""What happened, as values. Written in the transaction of the change itself (the outbox)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One change of the registry's facts.

    Attributes:
        action: `push`, `mount` or `delete`.
        repository: its name.
        digest: of the content; empty where only a tag was removed.
        media_type: of the content, where known.
        size: in bytes, where known.
        tag: the tag that was set or removed, else empty.
        source: repository that a blob was mounted from, else empty.
        actor: name of the identity, empty for anonymous.
    """

    action: str
    repository: str
    digest: str = ""
    media_type: str = ""
    size: int = 0
    tag: str = ""
    source: str = ""
    actor: str = ""
