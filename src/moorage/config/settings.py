"""The settings of the whole program, one object for each room."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from moorage.accounts.settings import AuditSettings, LimitSettings
from moorage.auth.external_settings import ExternalSettings
from moorage.auth.settings import HtpasswdSettings, LocalSettings
from moorage.blobs.settings import BlobSettings
from moorage.http.settings import HttpSettings
from moorage.metadata.settings import MetadataSettings
from moorage.registry.settings import RegistrySettings
from moorage.telemetry.settings import LogSettings
from moorage.upkeep.settings import EventSettings, UploadPurgeSettings


def usable_cpus() -> int:
    """Return how many CPUs this process may use; at least 1.

    On Linux that is the affinity mask, which containers and `taskset` narrow; elsewhere the number of CPUs.
    """
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """TLS at our own listener.

    certificate, key: PEM files; the certificate file holds the whole chain.
    minimum: lowest protocol version accepted, "tls1.2" or "tls1.3".
    client_cas: PEM files of authorities that client certificates are checked against.
    client_auth: "" (clients are not asked), or Distribution's "request-client-cert",
        "require-any-client-cert", "verify-client-cert-if-given", "require-and-verify-client-cert".
    """

    certificate: Path
    key: Path
    minimum: str = "tls1.2"
    client_cas: tuple[Path, ...] = ()
    client_auth: str = ""


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """The listener and the processes behind it.

    host, port: TCP address, or a name for the host; "" is every interface, "0.0.0.0" every one of IPv4. Not used when
        `unix` is set.
    unix: path of a socket to listen on instead of TCP.
    workers: number of worker processes.
    tls: certificate and rules, or None for plain HTTP.
    drain_seconds: how long running requests may take to end after SIGTERM, in seconds.
    http2: offer HTTP/2 to TLS clients.
    h2c: accept HTTP/2 without TLS.
    debug_addr: "host:port" of a second listener for `/metrics` and `/debug/health`; "" for none.
    metrics_enabled: whether Prometheus metrics are served.
    metrics_path: their path.
    metrics_public: whether they are for everybody also where the registry is not open.
    """

    host: str = "127.0.0.1"
    port: int = 5000
    unix: Path | None = None
    workers: int = field(default_factory=usable_cpus)
    tls: TlsSettings | None = None
    drain_seconds: float = 30.0
    http2: bool = True
    h2c: bool = False
    debug_addr: str = ""
    metrics_enabled: bool = True
    metrics_path: str = "/metrics"
    metrics_public: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the operator decided, room by room.

    auth: "none" (open to all), "htpasswd" (then `htpasswd` is set), "token" (`token`) or "local" (`local`).
    root: directory for everything that the program keeps on this machine.
    """

    serve: ServeSettings
    log: LogSettings
    blobs: BlobSettings
    metadata: MetadataSettings
    registry: RegistrySettings
    http: HttpSettings
    purge: UploadPurgeSettings
    events: EventSettings
    htpasswd: HtpasswdSettings | None
    auth: str
    root: Path
    local: LocalSettings | None = None
    token: ExternalSettings | None = None
    audit: AuditSettings = field(default_factory=AuditSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
