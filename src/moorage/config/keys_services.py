"""Keys: other programs that Distribution talks to."""

from __future__ import annotations

from moorage.config.keys import Key, Kind, Source, Status, parts

_IGNORED = Status.IGNORED

NOTIFICATIONS = parts(
    Key(
        "notifications",
        Kind.SECTION,
        "Webhooks are not available yet: events are recorded in the database and kept for `events.keep`, but "
        "nobody is called. Remove the section, or leave it until they are.",
        example="{endpoints: [{name: hook, url: 'https://hooks.example.com'}]}",
        status=_IGNORED,
    ),
    ("events", Kind.SECTION, "{includereferences: true}"),
    ("events.includereferences", Kind.FLAG, "true"),
    ("endpoints", Kind.ENTRIES, "[{name: hook}]"),
    ("endpoints[].name", Kind.TEXT, "hook"),
    ("endpoints[].disabled", Kind.FLAG, "false"),
    ("endpoints[].url", Kind.URL, "https://hooks.example.com/registry"),
    ("endpoints[].headers", Kind.HEADERS, "{Authorization: [Bearer not-a-real-one]}"),
    ("endpoints[].timeout", Kind.DURATION, "500ms"),
    ("endpoints[].threshold", Kind.COUNT, "5"),
    ("endpoints[].backoff", Kind.DURATION, "1s"),
    ("endpoints[].ignoredmediatypes", Kind.TEXTS, "[application/octet-stream]"),
    ("endpoints[].ignore", Kind.SECTION, "{actions: [pull]}"),
    ("endpoints[].ignore.mediatypes", Kind.TEXTS, "[application/octet-stream]"),
    ("endpoints[].ignore.actions", Kind.TEXTS, "[pull]"),
)

_REDIS = Key(
    "redis",
    Kind.SECTION,
    "Moorage needs no Redis: facts and their caches are in the database. Remove the section.",
    example="{addrs: ['redis:6379']}",
    status=_IGNORED,
)

REDIS = (
    *parts(
        _REDIS,
        ("addrs", Kind.TEXTS, "['redis:6379']"),
        ("clientname", Kind.TEXT, "registry"),
        ("protocol", Kind.COUNT, "3"),
        ("username", Kind.TEXT, "registry"),
        ("sentinelusername", Kind.TEXT, "registry"),
        ("sentinelpassword", Kind.TEXT, "not-a-real-one"),
        ("mastername", Kind.TEXT, "primary"),
        ("maxretries", Kind.COUNT, "3"),
        ("minretrybackoff", Kind.DURATION, "8ms"),
        ("maxretrybackoff", Kind.DURATION, "512ms"),
        ("contexttimeoutenabled", Kind.FLAG, "true"),
        ("poolfifo", Kind.FLAG, "false"),
        ("poolsize", Kind.COUNT, "10"),
        ("pooltimeout", Kind.DURATION, "4s"),
        ("minidleconns", Kind.COUNT, "1"),
        ("maxidleconns", Kind.COUNT, "10"),
        ("maxactiveconns", Kind.COUNT, "64"),
        ("connmaxidletime", Kind.DURATION, "5m"),
        ("connmaxlifetime", Kind.DURATION, "1h"),
        ("maxredirects", Kind.COUNT, "3"),
        ("readonly", Kind.FLAG, "false"),
        ("routebylatency", Kind.FLAG, "false"),
        ("routerandomly", Kind.FLAG, "false"),
        ("disableidentity", Kind.FLAG, "true"),
        ("identitysuffix", Kind.TEXT, "registry"),
        ("unstableresp3", Kind.FLAG, "false"),
        ("tls", Kind.SECTION, "{rootcas: [/etc/redis/ca.crt]}"),
        ("tls.certificate", Kind.PATH, "/etc/redis/client.crt"),
        ("tls.key", Kind.PATH, "/etc/redis/client.pem"),
        ("tls.rootcas", Kind.TEXTS, "[/etc/redis/ca.crt]"),
        ("tls.clientcas", Kind.TEXTS, "[/etc/redis/ca.crt]"),
        source=Source.V3,
    ),
    *parts(
        _REDIS,
        ("password", Kind.TEXT, "not-a-real-one"),
        ("db", Kind.COUNT, "0"),
        ("dialtimeout", Kind.DURATION, "10ms"),
        ("readtimeout", Kind.DURATION, "10ms"),
        ("writetimeout", Kind.DURATION, "10ms"),
    )[1:],
    *parts(
        _REDIS,
        ("addr", Kind.ADDRESS, "redis:6379"),
        ("tls.enabled", Kind.FLAG, "true"),
        ("pool", Kind.SECTION, "{maxidle: 16}"),
        ("pool.maxidle", Kind.COUNT, "16"),
        ("pool.maxactive", Kind.COUNT, "64"),
        ("pool.idletimeout", Kind.DURATION, "300s"),
        source=Source.V2,
    )[1:],
)

_NO_CHECKS = (
    "Checks of other things cannot be configured; they are better watched by whatever watches them already. "
    "Remove the section."
)

HEALTH = (
    Key("health", Kind.SECTION, "What `/readyz` looks at besides the database, which it always asks."),
    Key("health.storagedriver", Kind.SECTION, "Whether the folder of the storage is there."),
    Key(
        "health.storagedriver.enabled",
        Kind.FLAG,
        "Look at it. Where it is missing, `/readyz` is 503; requests are served as far as they can be.",
        example="false",
        default="true (false in Distribution)",
    ),
    Key(
        "health.storagedriver.interval",
        Kind.DURATION,
        "How long what was seen counts.",
        example="10s",
        default="1s (10s in Distribution)",
    ),
    Key(
        "health.storagedriver.threshold",
        Kind.COUNT,
        "How often in a row it must be missing. Each worker counts for itself.",
        example="3",
        default="1",
    ),
    *parts(
        Key("health.file", Kind.ENTRIES, _NO_CHECKS, example="[{file: /run/registry-down}]", status=_IGNORED),
        ("file", Kind.PATH, "/run/registry-down"),
        ("interval", Kind.DURATION, "10s"),
        ("threshold", Kind.COUNT, "3"),
    ),
    *parts(
        Key("health.http", Kind.ENTRIES, _NO_CHECKS, example="[{uri: 'https://example.com/up'}]", status=_IGNORED),
        ("uri", Kind.URL, "https://example.com/up"),
        ("headers", Kind.HEADERS, "{Authorization: [Basic not-a-real-one]}"),
        ("statuscode", Kind.COUNT, "200"),
        ("timeout", Kind.DURATION, "3s"),
        ("interval", Kind.DURATION, "10s"),
        ("threshold", Kind.COUNT, "3"),
    ),
    *parts(
        Key("health.tcp", Kind.ENTRIES, _NO_CHECKS, example="[{addr: 'redis.example.com:6379'}]", status=_IGNORED),
        ("addr", Kind.ADDRESS, "redis.example.com:6379"),
        ("timeout", Kind.DURATION, "3s"),
        ("interval", Kind.DURATION, "10s"),
        ("threshold", Kind.COUNT, "3"),
    ),
)

_PROXY_ADVICE = (
    "A pull-through cache is not available yet, and without it this would be a registry that anybody pushes "
    "to. Remove the section, or keep Distribution for the cache."
)

_NO_PROXY = "A pull-through cache is not available yet. Remove the key."

PROXY = (
    Key("proxy", Kind.SECTION, "A pull-through cache of another registry, which `remoteurl` switches on."),
    Key(
        "proxy.remoteurl",
        Kind.URL,
        _PROXY_ADVICE,
        example="https://registry.example.com",
        status=Status.UNAVAILABLE,
    ),
    *(
        Key(f"proxy.{name}", kind, _NO_PROXY, example=example, status=_IGNORED)
        for name, kind, example in (
            ("username", Kind.TEXT, "reader"),
            ("password", Kind.TEXT, "not-a-real-one"),
            ("ttl", Kind.DURATION, "168h"),
        )
    ),
    *parts(
        Key(
            "proxy.exec",
            Kind.SECTION,
            _NO_PROXY,
            example="{command: docker-credential-helper}",
            status=_IGNORED,
            source=Source.V3,
        ),
        ("command", Kind.TEXT, "docker-credential-helper"),
        ("lifetime", Kind.DURATION, "1h"),
    ),
    Key("proxy.cachewritetimeout", Kind.DURATION, _NO_PROXY, example="5m", status=_IGNORED, source=Source.V3),
)

OLD = (
    *parts(
        Key(
            "reporting",
            Kind.SECTION,
            "Distribution 3 dropped these services too. Errors are in the log, figures at `/metrics`. "
            "Remove the section.",
            example="{bugsnag: {apikey: not-a-real-one}}",
            status=_IGNORED,
            source=Source.V2,
        ),
        ("bugsnag", Kind.SECTION, "{apikey: not-a-real-one}"),
        ("bugsnag.apikey", Kind.TEXT, "not-a-real-one"),
        ("bugsnag.releasestage", Kind.TEXT, "production"),
        ("bugsnag.endpoint", Kind.URL, "https://notify.example.com"),
        ("newrelic", Kind.SECTION, "{name: registry}"),
        ("newrelic.licensekey", Kind.TEXT, "not-a-real-one"),
        ("newrelic.name", Kind.TEXT, "registry"),
        ("newrelic.verbose", Kind.FLAG, "true"),
    ),
    *parts(
        Key(
            "compatibility",
            Kind.SECTION,
            "Manifests of schema 1 were given up by every client and are not accepted. Push such images "
            "again with a current client, and remove the section.",
            example="{schema1: {enabled: true}}",
            status=_IGNORED,
            source=Source.V2,
        ),
        ("schema1", Kind.SECTION, "{enabled: true}"),
        ("schema1.signingkeyfile", Kind.PATH, "/etc/registry/key.json"),
        ("schema1.enabled", Kind.FLAG, "true"),
    ),
)
