"""From values to the settings of the audit log and of limits."""

from __future__ import annotations

from pathlib import Path

from moorage.accounts.settings import AuditSettings, LimitSettings, LoginLimits, Rate, Rates, SyslogSettings
from moorage.config.addresses import parse_address
from moorage.config.check import Values
from moorage.config.durations import parse_duration
from moorage.config.findings import shown
from moorage.config.keys_limits import FACILITIES

_UNLIMITED = "unlimited"
_MOST = 10**9
_LONGEST = 366 * 86_400


def build_audit(values: Values, auth: str) -> AuditSettings:
    """Return the settings of the audit log.

    auth: the name of the door; an open registry writes no audit log unless told to.
    """
    default = AuditSettings()
    return AuditSettings(
        enabled=values.flag("audit.enabled", default=auth != "none"),
        pulls=values.flag("audit.pulls", default=default.pulls),
        blobs=values.flag("audit.blobs", default=default.blobs),
        keep_seconds=int(values.seconds("audit.keep", default.keep_seconds)),
        syslog=_syslog(values) if "audit.syslog" in values else None,
    )


def _syslog(values: Values) -> SyslogSettings | None:
    path = "audit.syslog.address"
    written = values.text(path)
    if not written:
        values.report.error(
            path, "is missing; write for example `siem.example.com:6514`", values.origin("audit.syslog")
        )
        return None
    try:
        host, port = parse_address(written)
    except ValueError as error:
        values.report.error(path, f"found {shown(path, written, secret=False)}: {error}", values.origin(path))
        return None
    files = {name: values.text(f"audit.syslog.tls.{name}") for name in ("ca", "certificate", "key")}
    if bool(files["certificate"]) != bool(files["key"]):
        message = "needs both `certificate` and `key`, or neither"
        values.report.error("audit.syslog.tls", message, values.origin("audit.syslog.tls"))
    appname = values.text("audit.syslog.appname", "moorage")
    if len(appname) > 48 or not all("!" <= char <= "~" for char in appname):
        message = "must be at most 48 printable ASCII characters without blanks (RFC 5424)"
        values.report.error("audit.syslog.appname", message, values.origin("audit.syslog.appname"))
    enterprise = values.count("audit.syslog.enterprise", 0)
    if enterprise >= 2**32:
        message = "must be the number that IANA gave you, below 4294967296"
        values.report.error("audit.syslog.enterprise", message, values.origin("audit.syslog.enterprise"))
    return SyslogSettings(
        host=host,
        port=port,
        tls="audit.syslog.tls" in values,
        ca=Path(files["ca"]) if files["ca"] else None,
        certificate=Path(files["certificate"]) if files["certificate"] else None,
        key=Path(files["key"]) if files["key"] else None,
        facility=FACILITIES.index(values.text("audit.syslog.facility", "audit")),
        appname=appname,
        enterprise=enterprise,
    )


def build_limits(values: Values) -> LimitSettings:
    """Return the settings of limits; a rate that cannot be read goes to the report of `values`."""
    default = LoginLimits()
    return LimitSettings(
        storage=values.text("limits.storage", "database"),
        logins=LoginLimits(
            enabled=values.flag("limits.logins.enabled", default=default.enabled),
            pair=_rate(values, "limits.logins.pair") or default.pair,
            address=_rate(values, "limits.logins.address") or default.address,
            account=_rate(values, "limits.logins.account") or default.account,
        ),
        requests=_rates(values, "limits.requests"),
        pulls=_rates(values, "limits.pulls"),
    )


def _rates(values: Values, section: str) -> Rates:
    named: dict[str, Rate | None] = {}
    for index in range(values.length(f"{section}.named")):
        entry = f"{section}.named[{index}]"
        name = values.text(f"{entry}.name")
        if not name:
            values.report.error(f"{entry}.name", "is missing: whose rate is that?", values.origin(entry))
        named[name] = _rate(values, f"{entry}.rate", unlimited=True)
    return Rates(
        anonymous=_rate(values, f"{section}.anonymous", unlimited=True),
        authenticated=_rate(values, f"{section}.authenticated", unlimited=True),
        named=named,
    )


def _rate(values: Values, path: str, *, unlimited: bool = False) -> Rate | None:
    """A rate; None where it is absent, unlimited, or wrong (which is reported)."""
    written = values.text(path).strip()
    if not written or (unlimited and written.lower() == _UNLIMITED):
        return None
    count, slash, duration = (part.strip() for part in written.partition("/"))
    try:
        seconds = parse_duration(duration) / 1e9 if slash and not duration.isdecimal() else 0.0
    except ValueError:
        seconds = 0.0
    if count.isascii() and count.isdecimal() and 0 < int(count[:11]) <= _MOST and 1 <= seconds <= _LONGEST:
        return Rate(int(count), int(seconds))
    wanted = "a number of at least 1, a slash, and a duration from 1s to 8784h"
    message = f"found {shown(path, written, secret=False)} where {wanted} is needed; write for example `100/6h`"
    values.report.error(path, message, values.origin(path))
    return None
