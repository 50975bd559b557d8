"""What is said about a file, and on which line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from moorage.config import Finding, Loaded, Overrides, load
from moorage.config.findings import Report, shown

Read = Callable[..., Loaded]
Said = Callable[[Loaded, str], Finding]

STORAGE = "version: 0.1\nstorage: {filesystem: {rootdirectory: /srv/images}}\n"  # two lines without findings


def test_a_plain_file_has_no_findings(read: Read) -> None:
    assert read(STORAGE).findings == ()


def test_an_unknown_key_warns_with_its_line_and_a_guess(read: Read, said: Said) -> None:
    loaded = read(STORAGE + "http:\n  adr: :5000\nfnord: 1\n")
    guess, none = said(loaded, "http.adr"), said(loaded, "fnord")
    assert (guess.severity, guess.line) == ("warning", 4)
    assert "did you mean `addr`?" in guess.message
    assert (none.severity, none.line) == ("warning", 5)
    assert "remove it" in none.message
    assert loaded.errors == ()


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("catalog: {maxentries: many}", "catalog.maxentries", ("'many'", "a whole number", "`maxentries: 500`")),
        ("catalog: {maxentries: 1.5}", "catalog.maxentries", ("'1.5'",)),
        ("catalog: {maxentries: 99999999999999999999}", "catalog.maxentries", ("a whole number",)),
        ("log: {level: loud}", "log.level", ("'loud'", "error, warn, info, debug")),
        ("log: {accesslog: {disabled: perhaps}}", "log.accesslog.disabled", ("'perhaps'", "true or false")),
        ("http: {draintimeout: 1 minute}", "http.draintimeout", ("'1 minute'", "no spaces", "`draintimeout: 60s`")),
        ("http: {draintimeout: -5s}", "http.draintimeout", ("'-5s'", "least")),
        ("http: {bodyidletimeout: 60}", "http.bodyidletimeout", ("nanoseconds", "`60s`")),
        ("registry: {lease: 2d}", "registry.lease", ("a day is 24h",)),
        ("registry: {manifestlimit: big}", "registry.manifestlimit", ("a number of bytes", "8MiB")),
        ("registry: {manifestlimit: 10}", "registry.manifestlimit", ("1024 bytes",)),
        ("http: {workers: 0}", "http.workers", ("least that is allowed is 1",)),
        ("http: {host: registry.example.com}", "http.host", ("'registry.example.com'", "https://")),
        ("http: {host: 'https://'}", "http.host", ("host name",)),
        ("http: {host: 'https://x:99999'}", "http.host", ("host name",)),
        ("http: {trustedproxies: [10.0.0.0/99]}", "http.trustedproxies", ("not a network", "/32")),
        ("http: {headers: {'X Y': [z]}}", "http.headers", ("no header may have",)),
        ('http: {headers: {X-Y: ["a\\r\\nb"]}}', "http.headers", ("X-Y", "newline")),
        ("http: {addr: localhost}", "http.addr", ("'localhost'", "port is missing")),
        ("http: {addr: 'localhost:http'}", "http.addr", ("must be a number",)),
        ("http: {addr: 'localhost:65536'}", "http.addr", ("0 to 65535",)),
        ("http: {addr: '::1:5000'}", "http.addr", ("brackets",)),
        ("http: {addr: '[::x]:5000'}", "http.addr", ("not an IPv6 address",)),
        ("http: {addr: 'a b:5000'}", "http.addr", ("neither a name nor an address",)),
        ("http: {debug: {addr: localhost}}", "http.debug.addr", ("port is missing",)),
        ("http: {net: unix}", "http.net", ("path of the socket",)),
        ("http: {tls: {certificate: c.pem}}", "http.tls.key", ("is missing", "certificate")),
        ("http: {tls: {key: k.pem}}", "http.tls.certificate", ("is missing", "http.tls.key")),
        ("http: {tls: {clientcas: [ca.pem]}}", "http.tls.clientcas", ("plain HTTP",)),
        ("http: {tls: {clientauth: request-client-cert}}", "http.tls.clientauth", ("plain HTTP",)),
        (
            "http: {tls: {certificate: c, key: k, clientauth: require-and-verify-client-cert}}",
            "http.tls.clientauth",
            ("clientcas",),
        ),
        (
            "http: {tls: {certificate: c, key: k, clientcas: [a], clientauth: require-any-client-cert}}",
            "http.tls.clientauth",
            ("not available",),
        ),
        (
            "middleware: {registry: [{name: repository, options: {allow: ['(']}}]}",
            "middleware.registry[0].options.allow",
            ("regular expression", "'('"),
        ),
        ("validation: {manifests: {urls: {deny: ['[[:alpha:]]']}}}", "validation.manifests.urls.deny", ("[A-Za-z]",)),
        ("validation: {manifests: {indexes: {platforms: some}}}", "validation.manifests.indexes.platforms", ("list",)),
        (
            "validation: {manifests: {indexes: {platformlist: [{os: linux}]}}}",
            "validation.manifests.indexes.platformlist[0]",
            ("architecture",),
        ),
        ("middleware: {registry: repository}", "middleware.registry", ("a list is needed",)),
        ("http: 5000", "http", ("a section with keys such as addr",)),
        ("http: [addr]", "http", ("found a list",)),
        ("database: {url: 'mysql://db/x'}", "database.url", ("postgresql://",)),
        ("database: {url: moorage.db}", "database.url", ("sqlite:///",)),
        ("proxy: {remoteurl: 'https://registry.example.com'}", "proxy.remoteurl", ("not available yet",)),
        ("auth: {token: {realm: 'https://a.io', service: a, issuer: a}}", "auth.token", ("rootcertbundle", "no token")),
        ("auth: {token: {realm: 'https://a.io', service: a, jwks: b}}", "auth.token.issuer", ("required",)),
        ("auth: silly", "auth.silly", ("lets in whoever",)),
        ("auth: {ldap: {url: x}}", "auth.ldap", ("not known here", "none, local, htpasswd")),
        ("auth: {htpaswd: {realm: a, path: b}}", "auth.htpaswd", ("did you mean `htpasswd`?",)),
        ("auth: {htpasswd: {realm: a, path: b}, none: }", "auth", ("exactly one",)),
        ("auth: {htpasswd: {path: b}}", "auth.htpasswd.realm", ("required",)),
        ("auth: {local: {secret: short}}", "auth.local.secret", ("32 characters",)),
        (f"auth: {{local: {{secret: {'s' * 32}, secretfile: f}}}}", "auth.local.secret", ("both given",)),
        ("auth: {local: {service: 'a\"b'}}", "auth.local.service", ("without quotes",)),
        ("auth: {local: {tokenlife: 59s}}", "auth.local.tokenlife", ("60",)),
        ("auth: {htpasswd: {realm: b}}", "auth.htpasswd.path", ("required",)),
    ],
)
def test_what_is_wrong_is_an_error_with_line_and_advice(
    read: Read, said: Said, text: str, key: str, words: tuple[str, ...]
) -> None:
    loaded = read(STORAGE + text + "\n")
    finding = said(loaded, key)
    assert (finding.severity, finding.line) == ("error", 3)
    assert [word for word in words if word not in finding.message] == []
    assert loaded.errors == (finding,)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("storage: s3", "storage.s3", ("not available yet",)),
        ("storage: {azure: {accountname: a}}", "storage.azure", ("not available yet",)),
        ("storage: {gcs: }", "storage.gcs", ("not available yet",)),
        ("storage: {swift: {}}", "storage.swift", ("Distribution 3 too",)),
        ("storage: {oss: {bucket: b}}", "storage.oss", ("Distribution 3 too",)),
        ("storage: floppy", "storage.floppy", ("known are filesystem, inmemory",)),
        ("storage: {filesytem: {rootdirectory: /x}}", "storage.filesytem", ("did you mean `filesystem`?",)),
        ("storage: {filesystem: {rootdirectory: /x}, inmemory: }", "storage", ("filesystem, inmemory", "exactly one")),
        ("storage: {filesystem: {rootdirectory: /x, maxthreads: 0}}", "storage.filesystem.maxthreads", ("least",)),
        (
            "storage: {filesystem: {rootdirectory: /x}, maintenance: {uploadpurging: {age: 168}}}",
            "storage.maintenance.uploadpurging.age",
            ("`168h`",),
        ),
    ],
)
def test_what_is_wrong_with_storage(read: Read, said: Said, text: str, key: str, words: tuple[str, ...]) -> None:
    loaded = read("version: 0.1\n" + text + "\n")
    finding = said(loaded, key)
    assert (finding.severity, finding.line) == ("error", 2)
    assert [word for word in words if word not in finding.message] == []


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("loglevel: debug", "loglevel", ("Old name",)),
        ("validation: {enabled: true}", "validation.enabled", ("Old opposite",)),
        ("http: {tls: {certificate: c, key: k, minimumtls: tls1.0}}", "http.tls.minimumtls", ("tls1.2 is used",)),
        ("http: {tls: {minimumtls: tls1.3}}", "http.tls.minimumtls", ("plain HTTP",)),
        ("http: {tls: {letsencrypt: {email: a@example.com}}}", "http.tls.letsencrypt", ("plain HTTP is served",)),
        ("http: {draintimeout: 60}", "http.draintimeout", ("nanoseconds",)),
        (
            "http: {tls: {certificate: c, key: k, clientauth: request-client-cert}}",
            "http.tls.clientauth",
            ("not asked for",),
        ),
        ("http: {host: 'https://x.example.com/path'}", "http.host", ("http.prefix",)),
        (
            "validation: {manifests: {indexes: {platforms: list}}}",
            "validation.manifests.indexes.platforms",
            ("no child",),
        ),
        ("middleware: {registry: [{name: other}]}", "middleware.registry[0].name", ("'other'", "only `repository`")),
        ("middleware: {storage: [{name: cloudfront}]}", "middleware.storage", ("Remove the section",)),
        ("http: {addr: ':5000'}", "auth", (":5000 can be reached", "auth: local", "auth: none")),
    ],
)
def test_what_starts_with_a_warning(read: Read, said: Said, text: str, key: str, words: tuple[str, ...]) -> None:
    loaded = read(STORAGE + text + "\n")
    finding = said(loaded, key)
    assert (finding.severity, finding.line) == ("warning", 3)
    assert [word for word in words if word not in finding.message] == []
    assert loaded.errors == ()


@pytest.mark.parametrize(
    "text",
    [
        "redis:",
        "notifications: {endpoints: []}",
        "notifications: {endpoints: [{name: a, disabled: true, url: 'https://a.example.com'}]}",
        "health: {storagedriver: {enabled: false, interval: 10s}}",
        "proxy: {remoteurl: '', username: '', password: ''}",
        "proxy:",
        "middleware: {storage: [{name: cloudfront, disabled: true}]}",
        "middleware: {registry: [{name: other, disabled: true}]}",
        "compatibility: {schema1: {enabled: false}}",
        "http: {secret: '', tls: {letsencrypt: }, headers: }",
        "auth: none\nhttp: {addr: ':5000'}",
        "http: {addr: '127.0.0.2:5000'}",
        "http: {tls: {certificate: c, key: k, clientcas: [a, b]}}",
        "http: {addr: '[::1]:5000'}",
        "http: {addr: /run/moorage.sock, net: unix}",
        "HTTP: {Addr: 'localhost:5000'}",
        "http: {addr: '', host: '', net: '', prefix: '', tls: {certificate: '', key: '', clientauth: ''}}",
    ],
)
def test_what_asks_for_nothing_special_is_not_reported(read: Read, text: str) -> None:
    assert read(STORAGE + text + "\n").findings == ()


def test_keys_given_twice_are_reported_whatever_their_case(read: Read, said: Said) -> None:
    loaded = read(STORAGE + "http:\n  addr: localhost:1\nHttp:\n  addr: localhost:2\n  host: https://a.example.com\n")
    assert said(loaded, "http").line == 5
    assert said(loaded, "http.addr").line == 6
    assert loaded.settings.serve.port == 2
    assert loaded.settings.http.host == "https://a.example.com"


def test_two_doors_in_two_sections_are_an_error(read: Read) -> None:
    loaded = read(STORAGE + "auth: {htpasswd: {realm: a, path: b}}\nauth: {none: }\n")
    assert [finding.key for finding in loaded.errors] == ["auth"]


@pytest.mark.parametrize(("text", "line"), [("storage: filesystem\n", None), ("", None), ("# nothing\n", None)])
def test_a_missing_version_is_a_warning(read: Read, said: Said, text: str, line: int | None) -> None:
    finding = said(read(text), "version")
    assert (finding.severity, finding.line) == ("warning", line)


@pytest.mark.parametrize("version", ["0.2", "1", "0.10", "latest"])
def test_another_version_is_an_error(read: Read, said: Said, version: str) -> None:
    finding = said(read(f"storage: inmemory\nversion: {version}\n"), "version")
    assert (finding.severity, finding.line) == ("error", 2)
    assert "`version: 0.1`" in finding.message


@pytest.mark.parametrize("version", ["0.1", "'0.1'", '"0.1"'])
def test_this_version_is_fine_in_quotes_too(read: Read, version: str) -> None:
    assert read(f"version: {version}\nstorage: inmemory\n").findings == ()


def test_a_file_without_a_driver_warns(read: Read, said: Said) -> None:
    loaded = read("version: 0.1\n")
    assert said(loaded, "storage").severity == "warning"
    assert loaded.settings.blobs.driver == "filesystem"


@pytest.mark.parametrize("text", ["hello", "- a\n- b\n", "42"])
def test_a_file_that_is_no_mapping_is_an_error(read: Read, text: str) -> None:
    (error,) = read(text, {"REGISTRY_LOG_LEVEL": "info"}).errors
    assert (error.key, error.line) == ("", 1)


def test_broken_yaml_is_an_error_with_its_line(read: Read) -> None:
    (error,) = read("version: 0.1\nhttp:\n  addr: [\n").errors
    assert error.line == 4
    assert "is not YAML" in error.message


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    (error,) = load(tmp_path / "absent.yml", {}, Overrides()).errors
    assert "no such file" in error.message


def test_a_directory_is_an_error(tmp_path: Path) -> None:
    (error,) = load(tmp_path, {}, Overrides()).errors
    assert "is a directory" in error.message


def test_a_huge_file_is_an_error(read: Read) -> None:
    (error,) = read("#" * (5 << 20)).errors
    assert "larger than" in error.message


def test_findings_come_in_the_order_of_the_file(read: Read) -> None:
    loaded = read("version: 0.1\nredis: {addr: x}\nfnord: 1\nstorage: inmemory\nhttp: {addr: x}\nreporting: {x: y}\n")
    assert [finding.line for finding in loaded.findings] == [2, 3, 5, 6]


SECRET = "hunter2"


@pytest.mark.parametrize(
    "text",
    [
        "http: {secret: [hunter2]}",
        "http: {tls: {key: [hunter2], certificate: c}}",
        "http: {headers: {Authorization: {Bearer: hunter2}}}",
        'http: {headers: {Authorization: ["hunter2\\n"]}}',
        "http: {host: 'ftp://user:hunter2@example.com'}",
        "http: {addr: 'http://user:hunter2@example.com'}",
        "database: {url: 'mysql://user:hunter2@db'}",
        "database: {url: hunter2}",
        "redis: {password: hunter2}",
        "auth: {token: {secret: hunter2}}",
        "proxy: {remoteurl: 'https://a.example.com', password: hunter2}",
        "passwrd: hunter2",
        "storage: {s3: {secretkey: hunter2}}",
        "database: {url: *hunter2}",
        "a: 1\na: hunter2",
    ],
)
def test_no_secret_is_shown(read: Read, text: str) -> None:
    findings = read("version: 0.1\n" + text).findings
    assert findings
    assert not any(SECRET in finding.message + finding.key for finding in findings)


def test_no_secret_of_the_environment_is_shown(read: Read) -> None:
    environ = {
        "REGISTRY_HTTP_SECRET": "hunter2: [",
        "REGISTRY_REDIS": "{password: hunter2",
        "REGISTRY_PASSWORD": "hunter2",
        "REGISTRY_DATABASE_URL": "mysql://user:hunter2@db",
        "REGISTRY_LOG_FIELDS": "*hunter2",
        "REGISTRY_STORAGE_S3_SECRETKEY": "hunter2",
    }
    findings = read(STORAGE, environ).findings
    assert {finding.variable for finding in findings} == set(environ)
    assert not any(SECRET in finding.message + finding.key for finding in findings)


def test_a_quoted_value_is_cut_and_printable() -> None:
    assert shown("http.addr", "x" * 500, secret=False) == repr("x" * 57 + "...")
    assert "\n" not in shown("http.addr", "a\nb", secret=False)


def test_a_key_with_a_newline_cannot_forge_a_line() -> None:
    report = Report()
    report.warning("a\nconfig.yml:1: error: b", "is odd")
    (finding,) = report
    assert "\n" not in finding.key
