"""Keys: the file itself, logs, and the small sections of the top."""

from __future__ import annotations

from moorage.config.keys import Key, Kind, Source, Status, parts

_IGNORED = Status.IGNORED

FILE = (
    Key(
        "version",
        Kind.WORD,
        "Version of the format of this file. Only 0.1 exists.",
        example="0.1",
        choices=("0.1",),
    ),
)

LOG = (
    Key("log", Kind.SECTION, "What is logged, and how. Logs go to standard error, the access log to standard output."),
    Key("log.accesslog", Kind.SECTION, "One record for every request."),
    Key(
        "log.accesslog.disabled",
        Kind.FLAG,
        "Write no access log.",
        example="true",
        default="false",
    ),
    Key(
        "log.level",
        Kind.WORD,
        "Least severe level that is written.",
        example="debug",
        default="info",
        choices=("error", "warn", "info", "debug"),
    ),
    Key(
        "log.formatter",
        Kind.WORD,
        "`text` for people, `json` for machines, `logstash` for JSON with the names that Logstash expects.",
        example="json",
        default="text",
        choices=("text", "json", "logstash"),
    ),
    Key(
        "log.fields",
        Kind.LABELS,
        "Members added to every record.",
        example="{service: registry, environment: staging}",
    ),
    *parts(
        Key(
            "log.hooks",
            Kind.ENTRIES,
            "Moorage sends no mail. Collect the logs, and let the collector raise alarms.",
            example="[{type: mail, levels: [error]}]",
            status=_IGNORED,
        ),
        ("disabled", Kind.FLAG, "false"),
        ("type", Kind.TEXT, "mail"),
        ("levels", Kind.TEXTS, "[error]"),
        ("options", Kind.SECTION, "{from: registry@example.com}"),
        ("options.smtp", Kind.SECTION, "{addr: mail.example.com:25}"),
        ("options.smtp.addr", Kind.ADDRESS, "mail.example.com:25"),
        ("options.smtp.username", Kind.TEXT, "mailer"),
        ("options.smtp.password", Kind.TEXT, "not-a-real-one"),
        ("options.smtp.insecure", Kind.FLAG, "true"),
        ("options.from", Kind.TEXT, "registry@example.com"),
        ("options.to", Kind.TEXTS, "[operator@example.com]"),
    ),
    Key(
        "log.reportcaller",
        Kind.FLAG,
        "Records name their logger and event instead of a source line. Remove the key.",
        example="true",
        status=_IGNORED,
        source=Source.V3,
        severity="info",
    ),
    Key(
        "loglevel",
        Kind.WORD,
        "Old name of `log.level`; counts only where that is absent. Write `log: {level: ...}` instead.",
        example="debug",
        status=Status.MAPPED,
        choices=("error", "warn", "info", "debug"),
        severity="warning",
    ),
)

LISTS = (
    Key("catalog", Kind.SECTION, "The list of repositories, `/v2/_catalog`."),
    Key(
        "catalog.maxentries",
        Kind.COUNT,
        "Most repositories in one answer, and how many there are when the client names no number. "
        "Zero or less means the default.",
        example="500",
        default="1000",
    ),
    Key("tags", Kind.SECTION, "Lists of tags.", source=Source.V3),
    Key(
        "tags.maxtags",
        Kind.COUNT,
        "Most tags in one answer, and how many there are when the client names no number. "
        "Zero or less means the default.",
        example="500",
        default="1000",
        source=Source.V3,
    ),
)

OWN = (
    Key("database", Kind.SECTION, "The database of facts: repositories, manifests, tags.", source=Source.OWN),
    Key(
        "database.url",
        Kind.TEXT,
        "`sqlite:////absolute/path/moorage.db` or `postgresql://user:password@host:5432/name`. "
        "Several machines need PostgreSQL.",
        example="postgresql://moorage@db.example.com:5432/moorage",
        default="moorage.db in the root directory; with in-memory storage, a temporary file",
        source=Source.OWN,
        secret=True,
    ),
    Key("registry", Kind.SECTION, "Limits of the registry.", source=Source.OWN),
    Key(
        "registry.manifestlimit",
        Kind.SIZE,
        "Largest manifest accepted. A number of bytes, or with a unit: `4MiB`.",
        example="8MiB",
        default="4MiB",
        source=Source.OWN,
        least=1024,
    ),
    Key(
        "registry.lease",
        Kind.DURATION,
        "How long a blob that a client was told about is safe from garbage collection although no manifest "
        "refers to it yet. Longer than the longest push.",
        example="48h",
        default="24h",
        source=Source.OWN,
        least=60,
        unit_required=True,
    ),
    Key("events", Kind.SECTION, "What happened: pushes, deletes, moved tags.", source=Source.OWN),
    Key(
        "events.keep",
        Kind.DURATION,
        "How long an event that nothing consumes is kept.",
        example="72h",
        default="168h",
        source=Source.OWN,
        least=1,
        unit_required=True,
    ),
)
