"""Keys: the audit log, and how often somebody may do something."""

from __future__ import annotations

from moorage.config.keys import Key, Kind, Source

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
"""Names of the facilities of RFC 5424, table 1, in the order of their numbers."""

_RATE = "A number, a slash and a duration: `100/6h`; `unlimited` for no limit."


def _own(path: str, kind: Kind, note: str, example: str = "", default: str = "") -> Key:
    return Key(path, kind, note, example=example, default=default, source=Source.OWN)


AUDIT = (
    _own("audit", Kind.SECTION, "The audit log: who did what, when, from where."),
    _own(
        "audit.enabled",
        Kind.FLAG,
        "Whether it is written.",
        example="true",
        default="true, but false with `auth: none`, where nobody has a name",
    ),
    _own("audit.pulls", Kind.FLAG, "Whether pulls are in it.", example="false", default="true"),
    _own(
        "audit.blobs",
        Kind.FLAG,
        "Whether downloads of blobs are among the pulls; without them a pull is that of its manifest.",
        example="false",
        default="true",
    ),
    Key(
        "audit.keep",
        Kind.DURATION,
        "How long an entry is kept; 0 for ever. What is left verifies all the same.",
        example="2160h",
        default="8760h",
        source=Source.OWN,
        least=0,
        unit_required=True,
    ),
    _own("audit.syslog", Kind.SECTION, "A collector that gets every entry as syslog message (RFC 5424 over TCP)."),
    _own("audit.syslog.address", Kind.ADDRESS, "Where it listens. Required.", example="siem.example.com:6514"),
    _own("audit.syslog.tls", Kind.SECTION, "Speak TLS (RFC 5425); without this section, plain TCP (RFC 6587)."),
    _own(
        "audit.syslog.tls.ca",
        Kind.PATH,
        "PEM file of the authorities to trust.",
        example="/etc/moorage/siem-ca.pem",
        default="the system's",
    ),
    _own(
        "audit.syslog.tls.certificate",
        Kind.PATH,
        "Our own certificate, where the collector wants one.",
        example="/etc/moorage/siem.pem",
    ),
    _own("audit.syslog.tls.key", Kind.PATH, "Its key.", example="/etc/moorage/siem.key"),
    Key(
        "audit.syslog.facility",
        Kind.WORD,
        "Facility of the messages.",
        example="local0",
        default="audit",
        source=Source.OWN,
        choices=FACILITIES,
    ),
    _own("audit.syslog.appname", Kind.TEXT, "APP-NAME of the messages.", example="registry", default="moorage"),
    Key(
        "audit.syslog.enterprise",
        Kind.COUNT,
        "Your private enterprise number at IANA. With one, `sequence` and `hash` are structured data "
        "(`audit@NUMBER`), too; they are in the JSON of every message anyway.",
        example="12345",
        default="none",
        source=Source.OWN,
        least=1,
    ),
)


def _rates(section: str, what: str, counted: str) -> tuple[Key, ...]:
    return (
        _own(section, Kind.SECTION, f"How many {what}. Not limited unless given."),
        _own(
            f"{section}.anonymous",
            Kind.TEXT,
            f"For each address without credentials (IPv6: each /64). {counted} {_RATE}",
            example="100/6h",
            default="unlimited",
        ),
        _own(
            f"{section}.authenticated",
            Kind.TEXT,
            f"For each user and robot that has no rate of its own. {_RATE}",
            example="200/6h",
            default="unlimited",
        ),
        _own(
            f"{section}.named",
            Kind.ENTRIES,
            "Users and robots with a rate of their own.",
            example="[{name: team+builder, rate: 5000/6h}]",
        ),
        _own(f"{section}.named[].name", Kind.TEXT, "Name of the user or robot.", example="team+builder"),
        _own(f"{section}.named[].rate", Kind.TEXT, f"Its rate. {_RATE}", example="5000/6h", default="unlimited"),
    )


_REQUESTS = "A limit against abuse: all requests to `/v2/`, `/token` and `/api/v1` count, refused ones too."

LIMITS = (
    _own("limits", Kind.SECTION, "How often somebody may do something."),
    Key(
        "limits.storage",
        Kind.WORD,
        "Where is counted: `database`, for all workers and instances together; `memory`, each worker for itself.",
        example="memory",
        default="database",
        source=Source.OWN,
        choices=("database", "memory"),
    ),
    _own(
        "limits.logins",
        Kind.SECTION,
        "Failed logins with `auth.local` and `auth.htpasswd`; too many make further ones wait (429).",
    ),
    _own("limits.logins.enabled", Kind.FLAG, "Whether they are counted.", example="false", default="true"),
    _own(
        "limits.logins.pair",
        Kind.TEXT,
        "Failures of one account from one address (IPv6: one /64). A number, a slash and a duration.",
        example="5/10m",
        default="10/15m",
    ),
    _own(
        "limits.logins.address",
        Kind.TEXT,
        "Failures from one address, whatever the account. Accounts that lately logged in from there are exempt.",
        example="30/10m",
        default="50/15m",
    ),
    _own(
        "limits.logins.account",
        Kind.TEXT,
        "Failures of one account from all addresses together. Those from which it lately logged in are exempt.",
        example="1000/1h",
        default="200/1h",
    ),
    *_rates("limits.requests", "requests somebody may make", _REQUESTS),
    *_rates("limits.pulls", "manifests somebody may get", "As Docker Hub counts: GET of a manifest, not HEAD."),
)
