"""Wiring of the audit log and of limits: what is not configured is not even imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moorage.accounts.audit_pulls import PullLog
from moorage.upkeep.auditing import AuditKeeper

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from moorage.accounts.attempts import LoginAttempts
    from moorage.accounts.journal import Journal
    from moorage.config.settings import Settings
    from moorage.core.clock import Clock
    from moorage.http.request_limit import RequestLimit
    from moorage.http.v2.limits import RateGate
    from moorage.metadata.database import Database
    from moorage.telemetry.metrics import Metrics


@dataclass(slots=True)
class Watch:
    """What watches over requests.

    Attributes:
        journal: takes note of logins and refusals; None without an audit log where everybody may do everything.
        pulls: takes note of pulls; None where they are not in the audit log.
        requests: limits requests; None where they are not limited.
        gate: limits requests and pulls; None where nothing is limited.
        tasks: to be run beside the requests for as long as the worker lives.
        closes: to be awaited at its end, before the database is closed.
    """

    journal: Journal | None = None
    pulls: PullLog | None = None
    requests: RequestLimit | None = None
    gate: RateGate | None = None
    tasks: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    closes: list[Callable[[], Awaitable[None]]] = field(default_factory=list)


def watch(settings: Settings, database: Database, clock: Clock, metrics: Metrics) -> Watch:
    """What the settings of `audit` and `limits` ask for."""
    found = Watch()
    if settings.audit.enabled or settings.auth != "none":
        from moorage.accounts.journal import Journal

        found.journal = Journal(database, clock, audit=settings.audit.enabled)
        found.tasks.append(found.journal.run)
        found.closes.append(found.journal.close)
    flushes: list[Callable[[], Awaitable[object]]] = []
    if settings.audit.enabled and settings.audit.pulls:
        found.pulls = PullLog(database, clock, lambda count: metrics.count_event("audit_pulls_lost", count))
        flushes.append(found.pulls.flush)
    if settings.limits.requests or settings.limits.pulls:
        flushes.append(_limit(found, settings, database, clock))
    if settings.audit.enabled or flushes or settings.auth != "none":
        keeper = AuditKeeper(database, clock, settings.audit, flushes)
        found.tasks.append(keeper.run)
        found.closes.append(keeper.close)
    if settings.audit.enabled and settings.audit.syslog is not None:
        from moorage.upkeep.syslog_export import SyslogExport

        found.tasks.append(SyslogExport(database, clock, settings.audit.syslog).run)
    return found


def _limit(found: Watch, settings: Settings, database: Database, clock: Clock) -> Callable[[], Awaitable[object]]:
    """Set up what limits requests and pulls; returns what brings their counters together."""
    from moorage.accounts.counters import LocalCounters
    from moorage.accounts.rate_limits import RateLimit
    from moorage.http.request_limit import RequestLimit
    from moorage.http.v2.limits import RateGate

    limits = settings.limits
    counters = LocalCounters(database if limits.storage == "database" else None, clock)
    note = found.journal.note if found.journal is not None else None
    if limits.requests:
        found.requests = RequestLimit(RateLimit("requests", limits.requests, counters, clock), note)
    pulls = RateLimit("pulls", limits.pulls, counters, clock) if limits.pulls else None
    found.gate = RateGate(found.requests, pulls, note)
    return counters.reconcile


def login_attempts(
    settings: Settings, database: Database, clock: Clock, metrics: Metrics, secret: bytes
) -> LoginAttempts | None:
    """Who counts failed logins; None where the settings want none counted.

    secret: the same for all workers and instances.
    """
    if not settings.limits.logins.enabled:
        return None
    from moorage.accounts.attempts import LoginAttempts
    from moorage.accounts.counters import DatabaseCounters, LocalCounters

    shared = settings.limits.storage == "database"
    counters = DatabaseCounters(database, clock) if shared else LocalCounters(None, clock)
    return LoginAttempts(
        counters, settings.limits.logins, secret, clock, lambda kind: metrics.count_event(f"logins_blocked_{kind}")
    )
