"""What the operator decides about limits and the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something may happen: `count` times within `seconds` after the first time."""

    count: int
    seconds: int


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """When failed logins make further ones wait.

    enabled: whether they are counted at all.
    pair: failures of one account from one address.
    address: failures from one address, whatever the account.
    account: failures of one account from all addresses together; addresses from which it lately logged in are exempt.
    """

    enabled: bool = True
    pair: Rate = Rate(10, 900)
    address: Rate = Rate(50, 900)
    account: Rate = Rate(200, 3600)


@dataclass(frozen=True, slots=True)
class Rates:
    """How often different people may do something; None is without limit.

    anonymous: each address without credentials (IPv6: each /64).
    authenticated: each user and robot that is not named.
    named: users and robots with a rate of their own, by name.
    """

    anonymous: Rate | None = None
    authenticated: Rate | None = None
    named: Mapping[str, Rate | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is limited at all."""
        return bool(self.anonymous or self.authenticated or any(self.named.values()))


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Limits of all kinds.

    storage: "database", shared by all workers and instances, or "memory", each worker for itself.
    secret: for all who share it: names, addresses and passwords are counted as HMACs under it. Not needed with accounts
        of our own, which have one.
    """

    storage: str = "database"
    logins: LoginLimits = field(default_factory=LoginLimits)
    requests: Rates = field(default_factory=Rates)
    pulls: Rates = field(default_factory=Rates)
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SyslogSettings:
    """A collector of syslog messages (RFC 5424 over TCP with octet counting, RFC 6587; over TLS, RFC 5425).

    host, port: where it listens.
    tls: whether to speak TLS.
    ca: PEM file of the authorities to trust; None for the system's.
    certificate, key: our own, where the collector asks for one.
    facility: its number, 0 to 23; 13 is "log audit".
    appname: APP-NAME of each message.
    enterprise: the operator's number at IANA, for structured data of their own; 0: there is none.
    """

    host: str
    port: int
    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    facility: int = 13
    appname: str = "moorage"
    enterprise: int = 0


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """The audit log.

    enabled: whether it is written.
    pulls: whether pulls are in it.
    blobs: whether those of blobs are among them.
    keep_seconds: how long an entry is kept; 0 for ever.
    syslog: a collector that gets every entry too.
    """

    enabled: bool = False
    pulls: bool = True
    blobs: bool = True
    keep_seconds: int = 31_536_000
    syslog: SyslogSettings | None = None
