"""Whole files as people have them."""

from __future__ import annotations

from pathlib import Path

from moorage.auth.settings import HtpasswdSettings
from moorage.blobs.settings import WatchSettings
from moorage.config import Loaded, Overrides, TlsSettings, load

SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> Loaded:
    return load(SAMPLES / name, {}, Overrides())


def said(loaded: Loaded) -> dict[str, tuple[str, int | None]]:
    return {finding.key: (finding.severity, finding.line) for finding in loaded.findings}


def test_the_annotated_file_starts_and_says_what_has_no_effect() -> None:
    loaded = sample("annotated.yml")
    assert loaded.errors == ()
    assert said(loaded) == {
        "storage.cache": ("info", 14),
        "storage.redirect.disable": ("info", 23),
        "http.timeout": ("warning", 33),
        "reporting": ("warning", 49),
        "redis": ("warning", 55),
        "notifications": ("warning", 67),
    }


def test_no_finding_shows_a_secret() -> None:
    assert not any("not-a-real-one" in finding.message for finding in sample("annotated.yml").findings)


def test_the_annotated_file_is_followed() -> None:
    settings = sample("annotated.yml").settings
    assert settings.log.formatter == "json"
    assert settings.log.fields == {"service": "images", "environment": "staging"}
    assert settings.root == settings.blobs.root == Path("/srv/images")
    assert settings.metadata.url == "sqlite:////srv/images/moorage.db"
    assert settings.registry.delete_enabled
    assert settings.registry.repository_allow == ("^reviewed/.*$",)
    assert (settings.purge.age_seconds, settings.purge.interval_seconds) == (96 * 3600, 12 * 3600)
    assert (settings.serve.host, settings.serve.port) == ("", 5443)
    assert settings.serve.tls == TlsSettings(Path("/srv/tls/images.crt"), Path("/srv/tls/images.pem"))
    assert settings.serve.http2
    assert settings.http.headers == (("X-Content-Type-Options", "nosniff"),)
    assert settings.http.host == "https://images.example.org"
    assert settings.auth == "htpasswd"
    assert settings.htpasswd == HtpasswdSettings("Images of Example", Path("/srv/auth/htpasswd"))


def test_a_file_of_version_3_is_followed() -> None:
    loaded = sample("version3.yml")
    settings = loaded.settings
    assert loaded.errors == ()
    assert (settings.log.level, settings.log.formatter, settings.log.accesslog) == ("debug", "logstash", False)
    assert settings.blobs.max_threads == 40
    assert settings.blobs.watch == WatchSettings(enabled=True, interval_seconds=10, threshold=3)
    assert settings.registry.readonly
    assert (settings.registry.catalog_page, settings.registry.tags_page) == (50, 20)
    assert settings.registry.platforms == "list"
    assert settings.registry.platform_list == (("amd64", "linux"), ("arm64", "linux"))
    assert settings.registry.url_allow == ("^https://([^/]+[.])*example[.]com/",)
    assert settings.registry.url_deny == ("^https://www[.]example[.]com/",)
    assert settings.registry.classes == ("image",)
    assert settings.http.prefix == "/nested/registry/"
    assert settings.serve.drain_seconds == 90
    assert settings.serve.tls is not None
    assert settings.serve.tls.minimum == "tls1.3"
    assert settings.serve.tls.client_cas == (Path("/srv/tls/clients.crt"),)
    assert settings.serve.tls.client_auth == "verify-client-cert-if-given"
    assert (settings.serve.debug_addr, settings.serve.metrics_path) == ("localhost:5001", "/figures")
    assert (settings.serve.http2, settings.serve.h2c) == (False, True)
    assert settings.auth == "none"


def test_a_file_of_version_3_says_what_has_no_effect() -> None:
    assert said(sample("version3.yml")) == {
        "storage.tag.concurrencylimit": ("info", 12),
        "http.secret": ("info", 21),
        "http.relativeurls": ("info", 22),
        "http.tls.clientauth": ("warning", 29),
    }
