"""What comes again and again is one entry a minute with a count, so that nobody fills the audit log by being refused.

The first one is written as it is. Those that are equal to it within a minute are counted, and become one entry at the
minute's end. Of one address, and of all together, only so many different ones are told apart at a time; what is beyond
is counted by address, or at last by what it is alone. So the entries of a minute are bounded whatever comes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from moorage.auth.addresses import customer
from moorage.core.access import Caller, Identity

if TYPE_CHECKING:
    from moorage.core.audit import AuditEntry

GATHER_SECONDS = 60.0
MOST_OF_ONE = 20
"""Different ones of one address (IPv6: of one /64) that are told apart."""

MOST = 2000
"""Different ones of all addresses together."""


class _Kind(NamedTuple):
    """What has to be equal for two of one minute to be one entry."""

    action: str
    outcome: str
    address: str
    who: str = ""
    target_kind: str = ""
    target: str = ""
    reason: str = ""


class _Minute:
    __slots__ = ("begun", "count", "last")

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.count = 0
        self.last: AuditEntry | None = None


class Gathering:
    """Counts. Not for several threads at a time."""

    def __init__(self) -> None:
        self._open: dict[_Kind, _Minute] = {}
        self._of: Counter[str] = Counter()

    def is_first(self, entry: AuditEntry, now: float) -> bool:
        """Whether an entry is to be written as it is; else it was counted, and `over` gives it in time."""
        where = customer(entry.caller.address)
        reason = str(entry.detail.get("reason", ""))
        who = f"{entry.caller.identity.kind}:{entry.caller.identity.name}"
        kind = _Kind(entry.action, entry.outcome, where, who, entry.target_kind, entry.target, reason)
        minute = self._open.get(kind)
        if minute is None:
            if len(self._open) < MOST and self._of[where] < MOST_OF_ONE:
                self._begin(kind, now)
                return True
            kind = _Kind(entry.action, entry.outcome, where if len(self._open) < MOST else "")
            entry = _without_particulars(entry, kind.address)
            minute = self._open.get(kind) or self._begin(kind, now)
        minute.count += 1
        minute.last = entry
        return False

    def over(self, now: float, *, at_once: bool = False) -> list[AuditEntry]:
        """What was counted in the minutes that have ended by `now`, each with `count` and `since` in its detail.

        at_once: in all others too, because the program ends.
        """
        found = []
        for kind, minute in list(self._open.items()):
            if not at_once and now - minute.begun < GATHER_SECONDS:
                break
            self._end(kind)
            if minute.last is not None:
                detail = {**minute.last.detail, "count": minute.count, "since": minute.begun}
                found.append(replace(minute.last, detail=detail))
                self._begin(kind, now)  # what goes on is one entry a minute, not two
        return found

    def _begin(self, kind: _Kind, now: float) -> _Minute:
        minute = self._open[kind] = _Minute(now)
        self._of[kind.address] += 1
        return minute

    def _end(self, kind: _Kind) -> None:
        del self._open[kind]
        self._of[kind.address] -= 1
        if not self._of[kind.address]:
            del self._of[kind.address]


def _without_particulars(entry: AuditEntry, address: str) -> AuditEntry:
    """The entry of many different ones."""
    caller = Caller(Identity("", "unknown"), address=address)
    return replace(entry, caller=caller, target="", project_id=None, detail={"different": True})
