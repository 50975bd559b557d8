"""`REGISTRY_...` variables over a file, and without one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from moorage.config import Finding, Loaded, Overrides, load
from moorage.config.environment import overlay
from moorage.config.findings import Report
from moorage.config.tree import Items, Node, Scalar, Table, parse

Read = Callable[..., Loaded]
Said = Callable[[Loaded, str], Finding]

STORAGE = "version: 0.1\nstorage: {filesystem: {rootdirectory: /srv/images}}\n"


def plain(node: Node) -> Any:
    if isinstance(node, Scalar):
        return None if node.null else node.text
    if isinstance(node, Items):
        return [plain(item) for item in node.nodes]
    return {name: plain(value) for name, value in node.entries.items()}


def laid(text: str, environ: Mapping[str, str]) -> tuple[Any, list[Finding]]:
    report = Report()
    tree = parse(text or "{}", report)
    assert isinstance(tree, Table)
    overlay(tree, environ, report)
    return plain(tree), list(report)


def test_a_variable_wins_over_the_file() -> None:
    tree, findings = laid("http: {addr: ':1', host: h}", {"REGISTRY_HTTP_ADDR": ":2"})
    assert tree == {"http": {"addr": ":2", "host": "h"}}
    assert findings == []


def test_a_variable_replaces_a_key_of_another_case() -> None:
    tree, _ = laid("Http: {ADDR: ':1'}", {"REGISTRY_HTTP_ADDR": ":2"})
    assert tree == {"Http": {"ADDR": ":2"}}


def test_other_variables_are_left_alone() -> None:
    tree, findings = laid("", {"registry_http_addr": ":2", "MOORAGE_ROOT": "/x", "REGISTRYHTTP": "x", "PATH": "/bin"})
    assert tree == {}
    assert findings == []


def test_a_list_is_set_entry_by_entry() -> None:
    environ = {
        "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME": "one",
        "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL": "https://one.example.com",
        "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_IGNORE_ACTIONS_0": "pull",
        "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_HEADERS_AUTHORIZATION": "[Bearer x]",
        "REGISTRY_NOTIFICATIONS_ENDPOINTS_1": "{name: two}",
        "REGISTRY_NOTIFICATIONS_ENDPOINTS_1_TIMEOUT": "1s",
    }
    tree, findings = laid("", environ)
    assert findings == []
    assert tree["notifications"]["endpoints"] == [
        {
            "name": "one",
            "url": "https://one.example.com",
            "ignore": {"actions": ["pull"]},
            "headers": {"authorization": ["Bearer x"]},
        },
        {"name": "two", "timeout": "1s"},
    ]


def test_an_entry_of_the_file_is_changed_in_place() -> None:
    text = "notifications: {endpoints: [{name: a, url: u}, {name: b}]}"
    tree, _ = laid(
        text, {"REGISTRY_NOTIFICATIONS_ENDPOINTS_1_NAME": "c", "REGISTRY_NOTIFICATIONS_ENDPOINTS_2_NAME": "d"}
    )
    assert tree["notifications"]["endpoints"] == [{"name": "a", "url": "u"}, {"name": "c"}, {"name": "d"}]


def test_entries_of_a_list_of_texts() -> None:
    text = "http: {tls: {clientcas: [a, b]}}"
    tree, _ = laid(text, {"REGISTRY_HTTP_TLS_CLIENTCAS_1": "c", "REGISTRY_HTTP_TLS_CLIENTCAS_2": "d"})
    assert tree["http"]["tls"]["clientcas"] == ["a", "c", "d"]


def test_values_of_a_header_one_by_one() -> None:
    environ = {
        "REGISTRY_HTTP_HEADERS_X-Foo_0": "bar",
        "REGISTRY_HTTP_HEADERS_X-Foo_1": "a: b",
        "REGISTRY_HTTP_HEADERS_Access-Control-Allow-Origin_0": "*",
    }
    tree, findings = laid("http: {headers: {X-FOO: [old, older], X-Kept: [k]}}", environ)
    assert findings == []
    headers = {"X-FOO": ["bar", "a: b"], "X-Kept": ["k"], "access-control-allow-origin": ["*"]}
    assert tree["http"]["headers"] == headers


def test_a_whole_header() -> None:
    environ = {
        "REGISTRY_HTTP_HEADERS_Access-Control-Allow-Origin": "*",
        "REGISTRY_HTTP_HEADERS_Access-Control-Allow-Methods": "[GET, HEAD]",
    }
    tree, findings = laid("", environ)
    assert findings == []
    assert tree["http"]["headers"] == {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": ["GET", "HEAD"],
    }


def test_a_pattern_that_looks_like_a_list_is_a_text() -> None:
    tree, findings = laid(
        "", {"REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_0": "[a-z]", "REGISTRY_HTTP_TLS_CLIENTCAS_0": "*"}
    )
    assert findings == []
    assert tree["validation"]["manifests"]["urls"]["allow"] == ["[a-z]"]
    assert tree["http"]["tls"]["clientcas"] == ["*"]


def test_a_gap_in_the_values_of_a_header_is_an_error() -> None:
    _, findings = laid("", {"REGISTRY_HTTP_HEADERS_X-Foo_1": "bar"})
    (finding,) = findings
    assert (finding.severity, finding.key) == ("error", "http.headers")


@pytest.mark.parametrize(("value", "count"), [("otlp", 1), ("console", 1), ("none", 0), ("", 0)])
def test_traces_are_not_sent(read: Read, value: str, count: int) -> None:
    loaded = read(None, {"OTEL_TRACES_EXPORTER": value, "MOORAGE_ROOT": "/x"})
    found = [(finding.severity, finding.variable) for finding in loaded.findings]
    assert found == [("warning", "OTEL_TRACES_EXPORTER")] * count


@pytest.mark.parametrize("index", ["2", "x", "-1", "99999999", "٣"])
def test_a_position_that_cannot_be_is_an_error(index: str) -> None:
    _, findings = laid("http: {tls: {clientcas: [a]}}", {f"REGISTRY_HTTP_TLS_CLIENTCAS_{index}": "c"})
    (finding,) = findings
    assert (finding.severity, finding.key) == ("error", "http.tls.clientcas")
    assert finding.variable == f"REGISTRY_HTTP_TLS_CLIENTCAS_{index}"


def test_a_whole_section_is_replaced_before_its_keys_are_set(read: Read, said: Said) -> None:
    text = "version: 0.1\nstorage:\n  inmemory:\n  delete: {enabled: true}\n"
    environ = {"REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "/srv/other", "REGISTRY_STORAGE": "filesystem"}
    loaded = read(text, environ)
    assert loaded.errors == ()
    assert loaded.settings.blobs.driver == "filesystem"
    assert loaded.settings.root == Path("/srv/other")
    assert not loaded.settings.registry.delete_enabled
    finding = said(loaded, "storage")
    assert finding.severity == "info"
    assert "line 2" in finding.message
    assert "inmemory, delete" in finding.message


def test_two_drivers_are_an_error(read: Read) -> None:
    loaded = read("version: 0.1\nstorage: filesystem\n", {"REGISTRY_STORAGE_INMEMORY": ""})
    assert [finding.key for finding in loaded.errors] == ["storage"]


def test_a_bare_driver_of_the_file_takes_settings(read: Read) -> None:
    environ = {"REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "/srv/x", "REGISTRY_STORAGE_DELETE_ENABLED": "true"}
    settings = read("version: 0.1\nstorage: filesystem\n", environ).settings
    assert settings.root == Path("/srv/x")
    assert settings.registry.delete_enabled


def test_htpasswd_by_name_and_keys(read: Read) -> None:
    environ = {
        "REGISTRY_AUTH": "htpasswd",
        "REGISTRY_AUTH_HTPASSWD_REALM": "Images",
        "REGISTRY_AUTH_HTPASSWD_PATH": "/auth/htpasswd",
    }
    loaded = read(STORAGE, environ)
    assert loaded.findings == ()
    assert loaded.settings.auth == "htpasswd"
    assert loaded.settings.htpasswd is not None
    assert loaded.settings.htpasswd.path == Path("/auth/htpasswd")


def test_htpasswd_as_one_value(read: Read) -> None:
    loaded = read(None, {"REGISTRY_AUTH": "{htpasswd: {realm: localhost, path: /auth/htpasswd}}"})
    assert loaded.findings == ()
    assert loaded.settings.auth == "htpasswd"


@pytest.mark.parametrize("name", ["REGISTRY_AUTH_LDAP_URL", "REGISTRY_AUTH_LDAP"])
def test_an_unknown_door_is_an_error(read: Read, said: Said, name: str) -> None:
    finding = said(read(None, {name: "ldap://x"}), "auth.ldap")
    assert (finding.severity, finding.variable) == ("error", name)


def test_an_unknown_driver_is_an_error(read: Read, said: Said) -> None:
    assert said(read(None, {"REGISTRY_STORAGE": "floppy"}), "storage.floppy").severity == "error"


def test_a_driver_that_is_not_there_yet_is_an_error(read: Read, said: Said) -> None:
    finding = said(read(None, {"REGISTRY_STORAGE_S3_BUCKET": "b"}), "storage.s3")
    assert (finding.severity, finding.variable) == ("error", "REGISTRY_STORAGE_S3_BUCKET")


@pytest.mark.parametrize(("name", "hint"), [("REGISTRY_HTPP_ADDR", "`http`"), ("REGISTRY_HTTP_ADR", "`addr`")])
def test_an_unknown_variable_warns_with_a_guess(read: Read, name: str, hint: str) -> None:
    (finding,) = read(STORAGE, {name: "x"}).findings
    assert (finding.severity, finding.variable) == ("warning", name)
    assert hint in finding.message


@pytest.mark.parametrize(
    "name", ["REGISTRY_HTTP_ADDR_MORE", "REGISTRY_HTTP_TLS_CLIENTCAS_0_MORE", "REGISTRY_", "REGISTRY__"]
)
def test_a_name_that_leads_nowhere_warns(read: Read, name: str) -> None:
    (finding,) = read(STORAGE, {name: "x"}).findings
    assert (finding.severity, finding.variable) == ("warning", name)


@pytest.mark.parametrize(
    "name",
    [
        "REGISTRY_SERVICE_HOST",
        "REGISTRY_SERVICE_PORT",
        "REGISTRY_SERVICE_PORT_HTTP",
        "REGISTRY_PORT",
        "REGISTRY_PORT_5000_TCP",
        "REGISTRY_PORT_5000_TCP_ADDR",
    ],
)
def test_what_kubernetes_sets_is_only_noted(read: Read, name: str) -> None:
    (finding,) = read(STORAGE, {name: "tcp://10.0.0.1:5000"}).findings
    assert finding.severity == "info"
    assert "Kubernetes" in finding.message


def test_values_are_yaml(read: Read) -> None:
    environ = {
        "REGISTRY_HTTP_HEADERS": "{X-One: [a], x-two: b}",
        "REGISTRY_HTTP_HEADERS_X-THREE": "[c, d]",
        "REGISTRY_LOG_FIELDS_SERVICE": "'007'",
        "REGISTRY_LOG_FIELDS_BUILD_NUMBER": "12",
        "REGISTRY_LOG_ACCESSLOG_DISABLED": "yes",
        "REGISTRY_HTTP_TRUSTEDPROXIES": "10.0.0.0/8,192.0.2.7",
        "REGISTRY_MIDDLEWARE_REGISTRY_0_NAME": "repository",
        "REGISTRY_MIDDLEWARE_REGISTRY_0_OPTIONS_ALLOW_0": "^a/",
        "REGISTRY_MIDDLEWARE_REGISTRY_0_OPTIONS_ALLOW_1": "^b/",
    }
    loaded = read(STORAGE, environ)
    assert loaded.findings == ()
    settings = loaded.settings
    assert settings.http.headers == (("X-One", "a"), ("X-Two", "b"), ("X-Three", "c"), ("X-Three", "d"))
    assert settings.log.fields == {"service": "007", "build_number": "12"}
    assert not settings.log.accesslog
    assert settings.http.trusted_proxies == ("10.0.0.0/8", "192.0.2.7/32")
    assert settings.registry.repository_allow == ("^a/", "^b/")


def test_an_empty_value_takes_the_key_of_the_file_away(read: Read) -> None:
    text = STORAGE + "http: {tls: {certificate: c.pem, key: k.pem}}\n"
    loaded = read(text, {"REGISTRY_HTTP_TLS_KEY": "", "REGISTRY_HTTP_TLS_CERTIFICATE": ""})
    assert loaded.findings == ()
    assert loaded.settings.serve.tls is None


@pytest.mark.parametrize("value", ["@realm", "a: b", "[x", "%", "*star"])
def test_a_text_that_is_not_yaml_stands_for_itself(read: Read, value: str) -> None:
    environ = {"REGISTRY_AUTH_HTPASSWD_REALM": value, "REGISTRY_AUTH_HTPASSWD_PATH": "/x"}
    loaded = read(STORAGE, environ)
    assert loaded.findings == ()
    assert loaded.settings.htpasswd is not None
    assert loaded.settings.htpasswd.realm == value


@pytest.mark.parametrize("name", ["REGISTRY_HTTP_HEADERS", "REGISTRY_HTTP", "REGISTRY_HTTP_TLS_CLIENTCAS"])
def test_a_broken_list_or_section_is_an_error(read: Read, name: str) -> None:
    (finding,) = read(STORAGE, {name: "[x"}).errors
    assert finding.variable == name
    assert "read as YAML" in finding.message


def test_a_wrong_value_names_its_variable(read: Read, said: Said) -> None:
    finding = said(read(STORAGE, {"REGISTRY_CATALOG_MAXENTRIES": "many"}), "catalog.maxentries")
    assert (finding.severity, finding.line, finding.variable) == ("error", None, "REGISTRY_CATALOG_MAXENTRIES")


def test_keys_with_an_underscore() -> None:
    environ = {"REGISTRY_STORAGE_AZURE_MAX_RETRIES": "3", "REGISTRY_STORAGE_GCS_CREDENTIALS_PRIVATE_KEY_ID": "x"}
    tree, findings = laid("", environ)
    assert findings == []
    assert tree == {"storage": {"azure": {"max_retries": "3"}, "gcs": {"credentials": {"private_key_id": "x"}}}}


def test_a_variable_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "named.yml"
    file.write_text(STORAGE)
    loaded = load(None, {"REGISTRY_CONFIGURATION_PATH": str(file)}, Overrides())
    assert loaded.findings == ()
    assert loaded.path == file
    assert loaded.settings.root == Path("/srv/images")


def test_our_own_keys_have_variables_too(read: Read) -> None:
    environ = {
        "REGISTRY_DATABASE_URL": "postgresql://moorage:pw@db.example.com:5432/moorage",
        "REGISTRY_REGISTRY_MANIFESTLIMIT": "8MiB",
        "REGISTRY_REGISTRY_LEASE": "48h",
        "REGISTRY_EVENTS_KEEP": "72h",
        "REGISTRY_HTTP_WORKERS": "3",
        "REGISTRY_HTTP_BODYIDLETIMEOUT": "1500ms",
        "REGISTRY_VALIDATION_MANIFESTS_SPARSE": "true",
    }
    loaded = read(None, environ)
    assert loaded.findings == ()
    settings = loaded.settings
    assert settings.metadata.url == "postgresql://moorage:pw@db.example.com:5432/moorage"
    assert settings.registry.manifest_limit == 8 << 20
    assert settings.registry.lease_seconds == 172_800
    assert settings.events.keep_seconds == 259_200
    assert settings.serve.workers == 3
    assert settings.http.body_idle_seconds == 1.5
    assert settings.registry.sparse
