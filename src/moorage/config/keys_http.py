"""Keys: the listener."""

from __future__ import annotations

from moorage.config.keys import Key, Kind, Source, Status, parts

CLIENT_AUTH = (
    "request-client-cert",
    "require-any-client-cert",
    "verify-client-cert-if-given",
    "require-and-verify-client-cert",
)

ADDRESS = (
    Key("http", Kind.SECTION, "The listener and what it tells clients."),
    Key(
        "http.addr",
        Kind.ADDRESS,
        "`host:port` to listen on, or the path of a socket when `http.net` is `unix`. `:5000` is port 5000 "
        "of every interface, IPv6 and IPv4; of a name the first address counts, IPv4 before IPv6.",
        example=":5000",
        default="127.0.0.1:5000",
    ),
    Key(
        "http.net",
        Kind.WORD,
        "Listen on TCP or on a Unix socket.",
        example="tcp",
        default="tcp",
        choices=("tcp", "unix"),
    ),
    Key(
        "http.prefix",
        Kind.TEXT,
        "Path under which everything is served. A missing slash at either end is added.",
        example="/registry/",
        default="/",
    ),
    Key(
        "http.host",
        Kind.URL,
        "Public URL of the registry; only scheme and host count. It is where a 401 sends clients for a token, and "
        "where browsers come back to after a login. `Location` and `Link` are relative whatever it says. An open "
        "registry takes changes of the management API by this name.",
        example="https://registry.example.com",
        default="the address by which the client came",
        status=Status.MAPPED,
    ),
    Key(
        "http.secret",
        Kind.TEXT,
        "Uploads are kept in the database, so nothing is signed, and instances need no shared secret. Remove the key.",
        example="not-a-real-one",
        status=Status.IGNORED,
        severity="info",
    ),
    Key(
        "http.relativeurls",
        Kind.FLAG,
        "`Location` and `Link` are relative in every answer, which is right behind any proxy. Remove the key.",
        example="true",
        status=Status.IGNORED,
        severity="info",
    ),
    Key(
        "http.draintimeout",
        Kind.DURATION,
        "How long running requests may take to end after SIGTERM.",
        example="60s",
        default="30s",
        least=0,
    ),
    Key(
        "http.timeout",
        Kind.DURATION,
        "There is no time limit for a whole request, because a large push may take hours. A request that "
        "stands still is closed after `http.bodyidletimeout`; set that instead.",
        example="1h",
        status=Status.IGNORED,
        source=Source.FOREIGN,
    ),
    Key(
        "http.headers",
        Kind.HEADERS,
        "Headers added to every answer, each with a list of values. Those that belong to one answer, such as "
        "`Content-Type`, `Location` and whatever says where it ends, are not added, and a warning says so. Pages of "
        "the origins in `Access-Control-Allow-Origin` may ask for changes with a password that the browser remembers; "
        "other pages of other sites may not.",
        example="{X-Content-Type-Options: [nosniff]}",
    ),
    Key("http.http2", Kind.SECTION, "HTTP/2 over TLS."),
    Key(
        "http.http2.disabled",
        Kind.FLAG,
        "Offer only HTTP/1.1 to TLS clients.",
        example="true",
        default="false",
    ),
    Key("http.h2c", Kind.SECTION, "HTTP/2 without TLS.", source=Source.V3),
    Key(
        "http.h2c.enabled",
        Kind.FLAG,
        "Accept HTTP/2 without TLS.",
        example="true",
        default="false",
        source=Source.V3,
    ),
    Key(
        "http.workers",
        Kind.COUNT,
        "Number of worker processes.",
        example="4",
        default="number of CPUs that the process may use",
        source=Source.OWN,
        least=1,
    ),
    Key(
        "http.trustedproxies",
        Kind.NETWORKS,
        "Networks of proxies that are believed: `X-Forwarded-For` says who the client is, for logs and limits; "
        "`X-Forwarded-Proto` and `X-Forwarded-Host` by which address it came, where `http.host` does not; "
        "`Client-Cert` and `Client-Cert-Chain` which certificate it showed.",
        example="[10.0.0.0/8]",
        default="none: these headers are not looked at",
        source=Source.OWN,
    ),
    Key(
        "http.bodyidletimeout",
        Kind.DURATION,
        "A request whose body stands still for longer than this is given up.",
        example="2m",
        default="60s",
        source=Source.OWN,
        least=1,
        unit_required=True,
    ),
)

TLS = (
    Key("http.tls", Kind.SECTION, "TLS at the listener."),
    Key(
        "http.tls.certificate",
        Kind.PATH,
        "PEM file with the certificate and its chain. Needs `http.tls.key`.",
        example="/etc/moorage/tls.crt",
    ),
    Key(
        "http.tls.key",
        Kind.PATH,
        "PEM file with the private key.",
        example="/etc/moorage/tls.pem",
    ),
    Key(
        "http.tls.minimumtls",
        Kind.WORD,
        "Lowest protocol version. `tls1.0` and `tls1.1` are broken and mean `tls1.2`.",
        example="tls1.3",
        default="tls1.2",
        choices=("tls1.0", "tls1.1", "tls1.2", "tls1.3"),
    ),
    Key(
        "http.tls.clientcas",
        Kind.TEXTS,
        "PEM files of the authorities that client certificates are checked against; all of them count, and one file "
        "may hold several certificates.",
        example="[/etc/moorage/clients.crt]",
    ),
    Key(
        "http.tls.clientauth",
        Kind.WORD,
        "What is asked of clients. Certificates are either required and checked, or not asked for: the two lenient "
        "words mean the second, and `require-any-client-cert` is refused.",
        example="require-and-verify-client-cert",
        default="require-and-verify-client-cert where `clientcas` is given, otherwise nothing",
        source=Source.V3,
        choices=CLIENT_AUTH,
    ),
    Key(
        "http.tls.ciphersuites",
        Kind.TEXTS,
        "Cipher suites cannot be chosen: only modern ones with forward secrecy are offered. Remove the key; "
        "to narrow the choice further, set `http.tls.minimumtls: tls1.3`.",
        example="[TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]",
        status=Status.IGNORED,
    ),
    *parts(
        Key(
            "http.tls.letsencrypt",
            Kind.SECTION,
            "Moorage does not fetch certificates yet. Let an ACME client such as certbot or lego keep "
            "`http.tls.certificate` and `http.tls.key` up to date; without these two, plain HTTP is served.",
            example="{email: operator@example.com}",
            status=Status.IGNORED,
        ),
        ("cachefile", Kind.PATH, "/var/cache/acme"),
        ("email", Kind.TEXT, "operator@example.com"),
        ("hosts", Kind.TEXTS, "[registry.example.com]"),
        ("directoryurl", Kind.URL, "https://acme.example.com/directory"),
    ),
)

DEBUG = (
    Key("http.debug", Kind.SECTION, "What is meant for the operator, not for clients."),
    Key(
        "http.debug.addr",
        Kind.ADDRESS,
        "`host:port` of a second listener, for `/metrics` and `/debug/health`. There are no profiles of the "
        "kind that Go has.",
        example="localhost:5001",
        default="none",
    ),
    Key("http.debug.prometheus", Kind.SECTION, "Metrics in Prometheus' format."),
    Key(
        "http.debug.prometheus.enabled",
        Kind.FLAG,
        "Whether metrics are served at all.",
        example="false",
        default="true (false in Distribution)",
    ),
    Key(
        "http.debug.prometheus.public",
        Kind.FLAG,
        "Whether everybody may read them at the public listener. If not, where the registry is not open: admins and "
        "their tokens with the scope `registry:metrics:*`, with `auth.htpasswd` every user, with `auth.token` nobody. "
        "`http.debug.addr` has them in any case.",
        example="true",
        default="false",
        source=Source.OWN,
    ),
    Key(
        "http.debug.prometheus.path",
        Kind.TEXT,
        "Path of the metrics.",
        example="/metrics",
        default="/metrics",
    ),
)
