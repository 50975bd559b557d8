"""Settings of the audit log and of limits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from moorage.accounts.settings import AuditSettings, LimitSettings, LoginLimits, Rate, Rates, SyslogSettings
from moorage.config import Finding, Loaded
from moorage.config.settings import Settings

Read = Callable[..., Loaded]
Said = Callable[[Loaded, str], Finding]

STORAGE = "version: 0.1\nstorage: {filesystem: {rootdirectory: /srv/images}}\n"
DOOR = "auth: {htpasswd: {realm: x, path: /etc/htpasswd}}\n"


def settings_of(read: Read, text: str) -> Settings:
    loaded = read(STORAGE + text)
    assert loaded.findings == ()
    return loaded.settings


@pytest.mark.parametrize(
    ("text", "enabled"),
    [
        ("auth: none\n", False),
        (DOOR, True),
        ("auth: none\naudit: {enabled: true}\n", True),
        (DOOR + "audit: {enabled: false}\n", False),
    ],
)
def test_the_audit_log_is_written_where_people_have_names(read: Read, text: str, enabled: bool) -> None:
    assert settings_of(read, text).audit == AuditSettings(enabled=enabled)


def test_all_of_the_audit_log(read: Read) -> None:
    text = """audit:
  pulls: false
  keep: 2160h
  syslog:
    address: siem.example.com:6514
    tls: {ca: /etc/ca.pem, certificate: /etc/own.pem, key: /etc/own.key}
    facility: local3
    appname: images
    enterprise: 12345
"""
    files = Path("/etc/ca.pem"), Path("/etc/own.pem"), Path("/etc/own.key")
    syslog = SyslogSettings("siem.example.com", 6514, True, *files, facility=19, appname="images", enterprise=12345)
    expected = AuditSettings(enabled=True, pulls=False, keep_seconds=7_776_000, syslog=syslog)
    assert settings_of(read, DOOR + text).audit == expected


def test_little_of_syslog(read: Read) -> None:
    plain = settings_of(read, DOOR + "audit: {syslog: {address: '[2001:db8::1]:601'}}\n").audit.syslog
    assert plain == SyslogSettings("2001:db8::1", 601, facility=13)
    default = settings_of(read, DOOR + "audit: {keep: 0, syslog: {address: 'siem:6514', tls: {}}}\n").audit
    assert default == AuditSettings(enabled=True, keep_seconds=0, syslog=SyslogSettings("siem", 6514, tls=True))


def test_without_limits_only_failed_logins_are_limited(read: Read) -> None:
    limits = settings_of(read, "auth: none\n").limits
    assert limits == LimitSettings("database", LoginLimits(), Rates(), Rates())
    assert (limits.logins.enabled, bool(limits.requests), bool(limits.pulls)) == (True, False, False)


def test_all_of_the_limits(read: Read) -> None:
    text = """limits:
  storage: memory
  logins: {enabled: false, pair: 5/10m, address: 30 / 10m, account: 1000/1h30m}
  requests: {anonymous: 600/1m}
  pulls:
    anonymous: 100/6h
    authenticated: 200/6h
    named:
      - {name: team+builder, rate: 5000/6h}
      - {name: alice, rate: Unlimited}
      - {name: bob}
"""
    logins = LoginLimits(False, Rate(5, 600), Rate(30, 600), Rate(1000, 5400))
    named = {"team+builder": Rate(5000, 21_600), "alice": None, "bob": None}
    pulls = Rates(Rate(100, 21_600), Rate(200, 21_600), named)
    expected = LimitSettings("memory", logins, Rates(Rate(600, 60)), pulls)
    limits = settings_of(read, "auth: none\n" + text).limits
    assert limits == expected
    assert limits.requests
    assert limits.pulls


@pytest.mark.parametrize(
    "rate", ["0/1m", "100", "100/", "/1m", "100/6", "100/0s", "100/900ms", "-1/1m", "1/9000h", "x/y"]
)
def test_a_rate_that_cannot_be_read_is_an_error(read: Read, said: Said, rate: str) -> None:
    finding = said(
        read(STORAGE + f"auth: none\nlimits: {{pulls: {{anonymous: '{rate}'}}}}\n"), "limits.pulls.anonymous"
    )
    assert (finding.severity, finding.line) == ("error", 4)
    assert "`100/6h`" in finding.message


def test_logins_are_not_unlimited_by_a_rate(read: Read, said: Said) -> None:
    loaded = read(STORAGE + "auth: none\nlimits: {logins: {pair: unlimited}}\n")
    assert said(loaded, "limits.logins.pair").severity == "error"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{tls: {}}", "audit.syslog.address"),
        ("{address: siem}", "audit.syslog.address"),
        ("{address: 'siem:1', enterprise: 4294967296}", "audit.syslog.enterprise"),
        ("{address: 'siem:1', enterprise: 0}", "audit.syslog.enterprise"),
        ("{address: 'siem:1', tls: {certificate: /a}}", "audit.syslog.tls"),
        ("{address: 'siem:1', tls: {key: /a}}", "audit.syslog.tls"),
        ("{address: 'siem:1', appname: 'two words'}", "audit.syslog.appname"),
        ("{address: 'siem:1', facility: local8}", "audit.syslog.facility"),
    ],
)
def test_syslog_that_cannot_work_is_an_error(read: Read, said: Said, text: str, path: str) -> None:
    assert said(read(f"{STORAGE}auth: none\naudit: {{syslog: {text}}}\n"), path).severity == "error"


def test_a_rate_without_a_name_is_an_error(read: Read, said: Said) -> None:
    loaded = read(STORAGE + "auth: none\nlimits: {requests: {named: [{rate: 1/1m}]}}\n")
    assert said(loaded, "limits.requests.named[0].name").severity == "error"
