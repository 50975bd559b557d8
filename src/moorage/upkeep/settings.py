"""The work that keeps the store tidy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UploadPurgeSettings:
    """Removal of uploads that nobody finished.

    enabled: whether they are removed at all.
    age_seconds: an upload that nothing was written to for longer than this is abandoned, in seconds.
    interval_seconds: time between two looks, in seconds.
    dryrun: only log what would be removed.
    """

    enabled: bool = True
    age_seconds: int = 604_800
    interval_seconds: int = 86_400
    dryrun: bool = False


@dataclass(frozen=True, slots=True)
class EventSettings:
    """The outbox of events.

    keep_seconds: an event that nothing consumed is dropped when it is older than this, in seconds.
    """

    keep_seconds: int = 604_800
