"""Pulls in the audit log: noted on the way, written once a second by all requests together.

A pull that was answered a moment before a crash may be missing; no change ever is, because changes are written in their
own transaction.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from moorage.core.access import SYSTEM
from moorage.core.audit import FAILED, OK, AuditEntry
from moorage.metadata.audit import record
from moorage.metadata.audit_chain import projects_of
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from moorage.core.access import Caller
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

_log = logger(__name__)

MANIFEST, BLOB = "manifest.pull", "blob.pull"

MOST = 10_000
"""Different pulls that wait to be written; more are counted only."""


class _Pull(NamedTuple):
    """What has to be equal for two pulls of one second to be one entry."""

    who: str
    kind: str
    credential: str
    address: str
    name: str
    digest: str
    tag: str
    action: str


class _Noted:
    __slots__ = ("at", "caller", "count")

    def __init__(self, caller: Caller, at: float) -> None:
        self.caller = caller
        self.at = at
        self.count = 1


class PullLog:
    """Gathers the pulls of this worker, of manifests and of blobs. Equal ones within a second are one with a count.

    Args:
        database: where they go.
        clock: for their times.
        lost: told how many pulls could not be kept, for the counters.
    """

    def __init__(self, database: Database, clock: Clock, lost: Callable[[int], None] = lambda _count: None) -> None:
        self._database = database
        self._clock = clock
        self._tell_lost = lost
        self._noted: dict[_Pull, _Noted] = {}
        self._lost = 0
        self._lock = threading.Lock()

    def note(self, caller: Caller, name: str, digest: str, tag: str = "", action: str = MANIFEST) -> None:
        """Remember that something was sent; costs about a microsecond, does not wait and never fails. In any thread.

        Args:
            caller: to whom.
            name: of the repository.
            digest: of the manifest, or of the blob.
            tag: by which it was asked for; empty for a pull by digest.
            action: MANIFEST or BLOB.
        """
        identity = caller.identity
        pull = _Pull(identity.name, identity.kind, identity.credential, caller.address, name, digest, tag, action)
        with self._lock:
            noted = self._noted.get(pull)
            if noted is not None:
                noted.count += 1
            elif len(self._noted) < MOST:
                self._noted[pull] = _Noted(caller, self._clock.now())
            else:
                self._lost += 1

    async def flush(self) -> int:
        """Write what was noted, in one transaction; returns how many entries that were.

        What could not be noted is an entry of its own that says how many.

        Raises:
            Unavailable: the database does not answer; what was noted is kept for the next time.
        """
        with self._lock:
            noted, self._noted = self._noted, {}
            lost, self._lost = self._lost, 0
        if not noted and not lost:
            return 0
        try:
            await self._database.write(lambda connection: self._write(connection, noted, lost), durable=False)
        except BaseException:
            with self._lock:
                self._keep(noted, lost)
            raise
        if lost:
            self._tell_lost(lost)
            _log.warning("pulls are missing in the audit log: more than it could take", count=lost)
        return len(noted)

    def _write(self, connection: Connection, noted: dict[_Pull, _Noted], lost: int) -> None:
        projects = projects_of(connection, {pull.name for pull in noted})
        for pull, one in noted.items():
            detail: dict[str, object] = {"digest": pull.digest}
            if pull.tag:
                detail["tag"] = pull.tag
            if one.count > 1:
                detail["count"] = one.count
            project = projects.get(pull.name)
            entry = AuditEntry(pull.action, OK, one.caller, "repository", pull.name, project, detail)
            record(connection, entry, one.at)
        if lost:
            entry = AuditEntry("audit.lost", FAILED, SYSTEM, "system", "audit", detail={"pulls": lost})
            record(connection, entry, self._clock.now())

    def _keep(self, noted: dict[_Pull, _Noted], lost: int) -> None:
        """Put back what could not be written, before what came meanwhile."""
        meanwhile, self._noted = self._noted, noted
        self._lost += lost
        for pull, one in meanwhile.items():
            before = noted.get(pull)
            if before is not None:
                before.count += one.count
            elif len(noted) < MOST:
                noted[pull] = one
            else:
                self._lost += one.count
