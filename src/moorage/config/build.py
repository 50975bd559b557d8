"""From values to the settings of every room."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from moorage.blobs.settings import BlobSettings, WatchSettings
from moorage.config.build_access import build_auth, build_registry
from moorage.config.build_limits import build_audit, build_limits
from moorage.config.build_local import build_local
from moorage.config.build_serve import build_http, build_serve
from moorage.config.build_token import build_token
from moorage.config.check import Values
from moorage.config.keys_storage import BESIDE_DRIVERS
from moorage.config.overrides import Overrides
from moorage.config.settings import Settings
from moorage.config.table import children
from moorage.metadata.settings import MetadataSettings
from moorage.telemetry.settings import LogSettings
from moorage.upkeep.settings import EventSettings, UploadPurgeSettings

_ROOTDIRECTORY = "storage.filesystem.rootdirectory"


def build(values: Values, environ: Mapping[str, str], overrides: Overrides, *, has_file: bool) -> Settings:
    """Return the settings of the whole program.

    What does not fit together goes to the report of `values`; the settings are then not to be used.
    """
    driver = _driver(values, has_file=has_file)
    root = _root(values, environ, overrides)
    serve = build_serve(values, overrides)
    auth, htpasswd = build_auth(values, overrides, serve)
    local = build_local(values, root) if auth == "local" else None
    return Settings(
        serve=serve,
        log=_log(values),
        blobs=_blobs(values, driver, root),
        metadata=_metadata(values, driver, root),
        registry=build_registry(values, has_file=has_file),
        http=build_http(values),
        purge=_purge(values),
        events=EventSettings(int(values.seconds("events.keep", EventSettings().keep_seconds))),
        htpasswd=htpasswd,
        auth=auth,
        local=local,
        token=build_token(values) if auth == "token" else None,
        root=root,
        audit=build_audit(values, auth),
        limits=build_limits(values),
    )


def default_root(environ: Mapping[str, str], uid: int) -> Path:
    """Return the directory for everything that the program keeps, when nothing else names one.

    That is `$MOORAGE_ROOT`; else `/var/lib/moorage` for uid 0; else `moorage` in the user's data directory
    (`$XDG_DATA_HOME`, by default `~/.local/share`, as the XDG base directory specification says).
    """
    if environ.get("MOORAGE_ROOT"):
        return Path(environ["MOORAGE_ROOT"])
    if uid == 0:
        return Path("/var/lib/moorage")
    data = Path(environ.get("XDG_DATA_HOME", ""))
    if not data.is_absolute():
        data = Path(environ.get("HOME") or Path.home()) / ".local" / "share"
    return data / "moorage"


def _root(values: Values, environ: Mapping[str, str], overrides: Overrides) -> Path:
    written = values.text(_ROOTDIRECTORY)
    if overrides.root is not None:
        root = overrides.root
    elif written:
        root = Path(written)
        if environ.get("MOORAGE_ROOT") not in (None, "", written):
            message = f"counts, and MOORAGE_ROOT ({environ['MOORAGE_ROOT']}) does not; unset one of them"
            values.report.info(_ROOTDIRECTORY, message, values.origin(_ROOTDIRECTORY))
    else:
        root = default_root(environ, os.geteuid())
        if "storage.filesystem" in values:
            message = f"is not given: {root} is used (Distribution would use /var/lib/registry)"
            values.report.info(_ROOTDIRECTORY, message, values.origin("storage.filesystem"))
    return root.absolute()


def _driver(values: Values, *, has_file: bool) -> str:
    drivers = [name for name in children("storage") if name not in BESIDE_DRIVERS and f"storage.{name}" in values]
    if len(drivers) > 1:
        message = f"names {', '.join(drivers)}: exactly one driver is needed; remove the others"
        values.report.error("storage", message, values.origin(f"storage.{drivers[-1]}"))
    elif not drivers and has_file:
        message = "names no driver: `filesystem` is used; write `storage: {filesystem: {rootdirectory: ...}}`"
        values.report.warning("storage", message, values.origin("storage"))
    return "inmemory" if drivers == ["inmemory"] else "filesystem"


def _blobs(values: Values, driver: str, root: Path) -> BlobSettings:
    section, default = "health.storagedriver", WatchSettings()
    watch = WatchSettings(
        enabled=values.flag(f"{section}.enabled", default=default.enabled),
        interval_seconds=values.seconds(f"{section}.interval", default.interval_seconds),
        threshold=values.count(f"{section}.threshold", default.threshold),
    )
    threads = values.count("storage.filesystem.maxthreads", BlobSettings().max_threads)
    return BlobSettings(driver, root, threads, watch)


def _log(values: Values) -> LogSettings:
    return LogSettings(
        level=values.text("log.level", values.text("loglevel", LogSettings().level)),
        formatter=values.text("log.formatter", LogSettings().formatter),
        fields=values.labels("log.fields"),
        accesslog=not values.flag("log.accesslog.disabled", default=False),
    )


def _metadata(values: Values, driver: str, root: Path) -> MetadataSettings:
    url = values.text("database.url")
    if not url:
        return MetadataSettings("sqlite://" if driver == "inmemory" else f"sqlite:///{root / 'moorage.db'}")
    scheme, separator, rest = url.partition("://")
    family = scheme.lower().partition("+")[0]
    if not separator or family not in ("sqlite", "postgresql", "postgres"):
        message = (
            "is not a URL of a database that can be used; write `sqlite:////absolute/path/moorage.db` or "
            "`postgresql://user:password@host:5432/name`"
        )
        values.report.error("database.url", message, values.origin("database.url"))
    elif driver == "inmemory" and url != "sqlite://":
        message = "outlives in-memory storage: after a restart it names blobs that are gone; remove it"
        values.report.warning("database.url", message, values.origin("database.url"))
    # Which Python driver speaks to the database is the metadata room's choice.
    return MetadataSettings(f"{'sqlite' if family == 'sqlite' else 'postgresql'}://{rest}")


def _purge(values: Values) -> UploadPurgeSettings:
    section = "storage.maintenance.uploadpurging"
    default = UploadPurgeSettings()
    return UploadPurgeSettings(
        enabled=values.flag(f"{section}.enabled", default=default.enabled),
        age_seconds=int(values.seconds(f"{section}.age", default.age_seconds)),
        interval_seconds=int(values.seconds(f"{section}.interval", default.interval_seconds)),
        dryrun=values.flag(f"{section}.dryrun", default=default.dryrun),
    )
