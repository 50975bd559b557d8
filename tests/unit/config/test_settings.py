"""What the rooms get."""

from __future__ import annotations

import dataclasses
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from moorage.auth.settings import LocalSettings
from moorage.config import Finding, Loaded, Overrides
from moorage.config.build import default_root
from moorage.config.settings import ServeSettings, Settings, usable_cpus

Read = Callable[..., Loaded]
Said = Callable[[Loaded, str], Finding]

STORAGE = "version: 0.1\nstorage: {filesystem: {rootdirectory: /srv/images}}\n"


def settings_of(read: Read, text: str) -> Settings:
    loaded = read(STORAGE + text)
    assert loaded.errors == ()
    return loaded.settings


def test_without_anything_it_is_open_on_loopback(read: Read) -> None:
    loaded = read(None, {"MOORAGE_ROOT": "/srv/moorage"})
    settings = loaded.settings
    assert loaded.findings == ()
    assert settings.serve == ServeSettings(workers=usable_cpus())
    assert (settings.serve.host, settings.serve.port) == ("127.0.0.1", 5000)
    assert settings.auth == "none"
    assert settings.registry.delete_enabled
    assert settings.root == Path("/srv/moorage")
    assert settings.metadata.url == "sqlite:////srv/moorage/moorage.db"


@pytest.mark.parametrize(
    ("text", "enabled"),
    [
        ("", False),
        ("  delete: {enabled: true}\n", True),
        ("  delete: {enabled: false}\n", False),
        ("  delete:\n", False),
    ],
)
def test_deleting_with_a_file_is_as_in_distribution(read: Read, text: str, enabled: bool) -> None:
    file = "version: 0.1\nstorage:\n  filesystem: {rootdirectory: /x}\n" + text
    assert read(file).settings.registry.delete_enabled is enabled


def test_deleting_without_a_file_can_be_switched_off(read: Read) -> None:
    assert not read(None, {"REGISTRY_STORAGE_DELETE_ENABLED": "false"}).settings.registry.delete_enabled


@pytest.mark.parametrize(
    ("environ", "uid", "root"),
    [
        ({"MOORAGE_ROOT": "/m", "XDG_DATA_HOME": "/d"}, 0, "/m"),
        ({"MOORAGE_ROOT": "/m"}, 1000, "/m"),
        ({"MOORAGE_ROOT": ""}, 0, "/var/lib/moorage"),
        ({"XDG_DATA_HOME": "/d"}, 0, "/var/lib/moorage"),
        ({"XDG_DATA_HOME": "/d", "HOME": "/h"}, 1000, "/d/moorage"),
        ({"XDG_DATA_HOME": "relative", "HOME": "/h"}, 1000, "/h/.local/share/moorage"),
        ({"HOME": "/h"}, 1000, "/h/.local/share/moorage"),
    ],
)
def test_the_default_root(environ: dict[str, str], uid: int, root: str) -> None:
    assert default_root(environ, uid) == Path(root)


def test_the_root_of_the_command_line_wins(read: Read) -> None:
    settings = read(STORAGE, {"MOORAGE_ROOT": "/m"}, Overrides(root=Path("/o"))).settings
    assert settings.root == settings.blobs.root == Path("/o")
    assert settings.metadata.url == "sqlite:////o/moorage.db"


def test_the_root_of_the_file_wins_over_the_default_and_says_so(read: Read, said: Said) -> None:
    loaded = read(STORAGE, {"MOORAGE_ROOT": "/m"})
    assert loaded.settings.root == Path("/srv/images")
    assert said(loaded, "storage.filesystem.rootdirectory").severity == "info"


def test_a_driver_without_directory_says_which_is_used(read: Read, said: Said) -> None:
    loaded = read("version: 0.1\nstorage: filesystem\n", {"MOORAGE_ROOT": "/m"})
    finding = said(loaded, "storage.filesystem.rootdirectory")
    assert finding.severity == "info"
    assert "/m" in finding.message
    assert loaded.settings.root == Path("/m")


def test_a_relative_root_becomes_absolute(read: Read, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert read(None, {}, Overrides(root=Path("data"))).settings.root == tmp_path / "data"


def test_in_memory(read: Read) -> None:
    settings = read("version: 0.1\nstorage: inmemory\n").settings
    assert settings.blobs.driver == "inmemory"
    assert settings.metadata.url == "sqlite://"


def test_in_memory_with_a_database_that_stays_warns(read: Read, said: Said) -> None:
    loaded = read("version: 0.1\nstorage: inmemory\ndatabase: {url: 'sqlite:////x.db'}\n")
    assert said(loaded, "database.url").severity == "warning"
    assert loaded.settings.metadata.url == "sqlite:////x.db"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@h:5432/d?sslmode=require", "postgresql://u:p@h:5432/d?sslmode=require"),
        ("postgres://u@h/d", "postgresql://u@h/d"),
        ("postgresql+asyncpg://u@h/d", "postgresql://u@h/d"),
        ("sqlite:////srv/x.db", "sqlite:////srv/x.db"),
    ],
)
def test_database_urls(read: Read, url: str, expected: str) -> None:
    assert settings_of(read, f"database: {{url: '{url}'}}\n").metadata.url == expected


@pytest.mark.parametrize(
    ("addr", "host", "port"),
    [
        (":5000", "", 5000),
        ("0.0.0.0:80", "0.0.0.0", 80),
        ("localhost:5001", "localhost", 5001),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("[::]:443", "::", 443),
        ("[::1]:443", "::1", 443),
        ("registry_1.example.com:5000", "registry_1.example.com", 5000),
    ],
)
def test_addresses(read: Read, addr: str, host: str, port: int) -> None:
    serve = settings_of(read, f"http: {{addr: '{addr}'}}\n").serve
    assert (serve.host, serve.port) == (host, port)


def test_a_unix_socket(read: Read) -> None:
    assert settings_of(read, "http: {net: unix, addr: /run/moorage.sock}\n").serve.unix == Path("/run/moorage.sock")


def test_the_command_line_wins_over_the_listener_of_the_file(read: Read) -> None:
    text = STORAGE + "http: {addr: '10.0.0.1:80', workers: 9}\n"
    serve = read(text, {}, Overrides(port=81)).settings.serve
    assert (serve.host, serve.port, serve.workers) == ("10.0.0.1", 81, 9)
    serve = read(text, {}, Overrides(host="localhost", port=82, workers=2)).settings.serve
    assert (serve.host, serve.port, serve.workers) == ("localhost", 82, 2)


def test_the_command_line_wins_over_a_socket(read: Read) -> None:
    serve = read(STORAGE + "http: {net: unix, addr: /run/x}\n", {}, Overrides(host="localhost")).settings.serve
    assert serve.unix is None
    assert serve.host == "localhost"


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (Overrides(workers=0), "http.workers"),
        (Overrides(port=70000), "http.addr"),
        (Overrides(port=-1), "http.addr"),
        (Overrides(auth="ldap"), "auth"),
    ],
)
def test_wrong_options_are_errors(read: Read, overrides: Overrides, key: str) -> None:
    (error,) = read(None, {}, overrides).errors
    assert error.key == key


def test_headers_that_belong_to_one_answer_are_left_out(read: Read, said: Said) -> None:
    loaded = read(
        "version: 0.1\nhttp:\n  headers:\n    Content-length: [7]\n    OCI-Subject: [x]\n    X-Range: [a, b]\n"
    )
    assert loaded.settings is not None
    assert loaded.settings.http.headers == (("X-Range", "a"), ("X-Range", "b"))
    found = said(loaded, "http.headers")
    assert found.severity == "warning"
    assert "Content-Length, Oci-Subject" in found.message
    assert "X-Range" not in found.message


def test_opening_the_door_from_the_command_line_is_said(read: Read, said: Said) -> None:
    text = STORAGE + "auth: {htpasswd: {realm: a, path: b}}\n"
    loaded = read(text, {}, Overrides(auth="none"))
    assert loaded.settings.auth == "none"
    assert loaded.settings.htpasswd is None
    finding = said(loaded, "auth")
    assert (finding.severity, finding.line) == ("warning", 3)


def test_opening_on_purpose_is_not_reported(read: Read) -> None:
    assert read(STORAGE + "http: {addr: ':5000'}\n", {}, Overrides(auth="none")).findings == ()


@pytest.mark.parametrize("host", ["", "0.0.0.0", "192.0.2.1", "::", "registry.example.com"])
def test_an_open_door_to_others_is_reported(read: Read, said: Said, host: str) -> None:
    loaded = read(None, {}, Overrides(host=host))
    assert said(loaded, "auth").severity == "warning"
    assert loaded.settings.auth == "local"


def test_local_accounts_have_defaults_that_hold(read: Read, tmp_path: Path) -> None:
    loaded = read(None, {}, Overrides(auth="local", root=tmp_path))
    local = loaded.settings.local
    assert local is not None
    assert loaded.findings == ()
    assert local == LocalSettings(secret_file=tmp_path / "secret.key")
    assert (local.token_seconds, local.algorithm, local.service, local.realm) == (300, "ES256", "moorage", "")


def test_local_accounts_as_the_file_says(read: Read) -> None:
    text = """
http: {host: 'https://r.example.com:444'}
auth: {local: {realm: 'https://r.example.com:444/token', tokenlife: 2m, refreshlife: 24h, rotation: 1h,
  personaltokenlife: 48h, algorithm: EdDSA, secretfile: /run/s, issuer: me}}
"""
    loaded = read(STORAGE + text)
    assert loaded.findings == ()
    assert loaded.settings.local == LocalSettings(
        "https://r.example.com:444/token",
        "r.example.com:444",
        "me",
        120,
        86400,
        3600,
        "EdDSA",
        secret_file=Path("/run/s"),
        personal_seconds=172800,
    )


def test_the_secret_is_in_no_repr(read: Read) -> None:
    loaded = read(STORAGE + f"auth: {{local: {{secret: {'hidden' * 8}}}}}\n")
    assert loaded.settings.local is not None
    assert loaded.settings.local.secret == "hidden" * 8
    assert "hidden" not in repr(loaded.settings)


def test_none_stands_for_no_accounts(read: Read) -> None:
    assert read(None, {}, Overrides()).settings.local is None
    assert read(STORAGE + "auth: local\n").settings.auth == "local"


@pytest.mark.parametrize(
    ("prefix", "expected"), [("/", "/"), ("a/b", "/a/b/"), ("/a", "/a/"), ("/a/b/", "/a/b/"), ("''", "/")]
)
def test_prefixes(read: Read, prefix: str, expected: str) -> None:
    assert settings_of(read, f"http: {{prefix: {prefix}}}\n").http.prefix == expected


def test_a_public_host_keeps_neither_user_nor_path(read: Read) -> None:
    assert (
        settings_of(read, "http: {host: 'https://u:p@r.example.com:444/x'}\n").http.host == "https://r.example.com:444"
    )


def test_client_authorities_mean_that_certificates_are_required(read: Read) -> None:
    tls = settings_of(read, "http: {tls: {certificate: c, key: k, clientcas: [ca]}}\n").serve.tls
    assert tls is not None
    assert tls.client_auth == "require-and-verify-client-cert"


def test_old_tls_becomes_the_oldest_that_is_safe(read: Read) -> None:
    tls = settings_of(read, "http: {tls: {certificate: c, key: k, minimumtls: tls1.1}}\n").serve.tls
    assert tls is not None
    assert tls.minimum == "tls1.2"


@pytest.mark.parametrize(
    ("text", "validate"),
    [("", True), ("disabled: true", False), ("enabled: false", True), ("enabled: true, disabled: true", True)],
)
def test_validation(read: Read, text: str, validate: bool) -> None:
    assert settings_of(read, f"validation: {{{text}}}\n").registry.validate is validate


@pytest.mark.parametrize("number", [0, -5])
def test_no_page_size_means_the_default(read: Read, number: int) -> None:
    registry = settings_of(read, f"catalog: {{maxentries: {number}}}\ntags: {{maxtags: {number}}}\n").registry
    assert (registry.catalog_page, registry.tags_page) == (1000, 1000)


def test_the_old_level_counts_only_without_the_new_one(read: Read) -> None:
    assert settings_of(read, "loglevel: debug\n").log.level == "debug"
    assert settings_of(read, "loglevel: debug\nlog: {level: WARN}\n").log.level == "warn"


def test_an_empty_pattern_does_not_match_everything(read: Read) -> None:
    text = "middleware: {registry: [{name: repository, options: {allow: [, ^a/]}}]}\n"
    text = text.replace("[,", "[~,")
    assert settings_of(read, text).registry.repository_allow == ("^a/",)


def test_several_allow_lists_are_joined_and_disabled_ones_skipped(read: Read) -> None:
    text = """\
middleware:
  registry:
    - {name: repository, options: {allow: [^a/]}}
    - {name: repository, options: {allow: [^b/]}, disabled: true}
    - {name: repository, options: {allow: [^c/]}}
"""
    assert settings_of(read, text).registry.repository_allow == ("^a/", "^c/")


def test_settings_can_be_sent_to_another_process(read: Read) -> None:
    settings = settings_of(read, "log: {fields: {a: b}}\nhttp: {tls: {certificate: c, key: k}}\n")
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_settings_cannot_be_changed(read: Read) -> None:
    settings = settings_of(read, "")
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.auth = "htpasswd"  # type: ignore[misc]


def test_workers_follow_the_cpus_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 3, 5})
    assert usable_cpus() == 3
