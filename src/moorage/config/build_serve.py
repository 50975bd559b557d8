"""From values to the settings of the listener and of the HTTP doors."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from moorage.config.addresses import parse_address
from moorage.config.check import Values
from moorage.config.findings import shown
from moorage.config.overrides import Overrides
from moorage.config.settings import ServeSettings, TlsSettings, usable_cpus
from moorage.config.values import Headers
from moorage.core.hosts import is_loopback
from moorage.http.settings import HttpSettings

REQUIRE_AND_VERIFY = "require-and-verify-client-cert"
_DEFAULTS = ServeSettings(workers=1)

_ANSWERS_OWN = re.compile(
    r"accept-ranges|allow|connection|content-(?:encoding|length|range|type)|date|docker-.*|etag|keep-alive|link|location"
    r"|oci-.*|proxy-connection|range|retry-after|te|trailer|transfer-encoding|upgrade|www-authenticate|x-request-id",
    re.IGNORECASE,
)
"""Headers that belong to one answer each: a second one of them breaks the connection, or the clients."""


def build_serve(values: Values, overrides: Overrides) -> ServeSettings:
    """Return the settings of the listener; what does not fit together goes to the report of `values`."""
    host, port, unix = _listener(values, overrides)
    return ServeSettings(
        host=host,
        port=port,
        unix=unix,
        workers=_workers(values, overrides),
        tls=_tls(values),
        drain_seconds=values.seconds("http.draintimeout", _DEFAULTS.drain_seconds),
        http2=not values.flag("http.http2.disabled", default=False),
        h2c=values.flag("http.h2c.enabled", default=False),
        debug_addr=_debug(values),
        metrics_enabled=values.flag("http.debug.prometheus.enabled", default=True),
        metrics_path=_metrics_path(values),
        metrics_public=values.flag("http.debug.prometheus.public", default=False),
    )


def _listener(values: Values, overrides: Overrides) -> tuple[str, int, Path | None]:
    host, port = _DEFAULTS.host, _DEFAULTS.port
    written = values.text("http.addr")
    unix = values.text("http.net", "tcp") == "unix" and overrides.host is None and overrides.port is None
    if unix:
        return host, port, _socket(values, written)
    if written and not (overrides.host is not None and overrides.port is not None):
        try:
            host, port = parse_address(written)
        except ValueError as error:
            _wrong_address(values, "http.addr", written, error)
    host = overrides.host if overrides.host is not None else host
    port = overrides.port if overrides.port is not None else port
    if not 0 <= port <= 65535:
        values.report.error("http.addr", f"--port is {port}; it must be a number from 0 to 65535")
    return host, port, None


def _wrong_address(values: Values, path: str, written: str, error: ValueError) -> None:
    found = shown(path, written, secret=False)
    values.report.error(path, f"found {found}: {error}", values.origin(path))


def _socket(values: Values, written: str) -> Path | None:
    if not written:
        message = "is `unix`, which needs the path of the socket in `http.addr`"
        values.report.error("http.net", message, values.origin("http.net"))
        return None
    return Path(written).absolute()


def is_reachable(serve: ServeSettings) -> bool:
    """Tell whether other machines can reach the listener."""
    return serve.unix is None and not is_loopback(serve.host)


def _workers(values: Values, overrides: Overrides) -> int:
    if overrides.workers is not None and overrides.workers < 1:
        values.report.error("http.workers", f"--workers is {overrides.workers}; at least 1 is needed")
        return 1
    if overrides.workers is not None:
        return overrides.workers
    return values.count("http.workers", 0) or usable_cpus()


def _tls(values: Values) -> TlsSettings | None:
    certificate, key = values.text("http.tls.certificate"), values.text("http.tls.key")
    if not (certificate and key):
        _explain_no_tls(values, certificate, key)
        return None
    cas = tuple(Path(text) for text in values.texts("http.tls.clientcas") if text)
    return TlsSettings(
        certificate=Path(certificate),
        key=Path(key),
        minimum=_minimum(values),
        client_cas=cas,
        client_auth=_client_auth(values, has_cas=bool(cas)),
    )


def _explain_no_tls(values: Values, certificate: str, key: str) -> None:
    if certificate or key:
        there, missing = ("certificate", "key") if certificate else ("key", "certificate")
        message = f"is missing, but `http.tls.{there}` is given; TLS needs both"
        values.report.error(f"http.tls.{missing}", message, values.origin(f"http.tls.{there}"))
        return
    for name in ("clientcas", "clientauth", "minimumtls"):
        path = f"http.tls.{name}"
        if values.given(path):
            message = "has no effect, because without certificate and key plain HTTP is served; add both"
            # Whoever asks for client certificates means to keep others out: that must not be lost.
            add = values.report.warning if name == "minimumtls" else values.report.error
            add(path, message, values.origin(path))


def _minimum(values: Values) -> str:
    wanted = values.text("http.tls.minimumtls", "tls1.2")
    if wanted in ("tls1.0", "tls1.1"):
        message = f"is {wanted}, which is broken and not offered: tls1.2 is used; write `minimumtls: tls1.2`"
        values.report.warning("http.tls.minimumtls", message, values.origin("http.tls.minimumtls"))
        return "tls1.2"
    return wanted


def _client_auth(values: Values, *, has_cas: bool) -> str:
    wanted = values.text("http.tls.clientauth")
    if not wanted:
        # Distribution's rule: who names authorities wants certificates from them.
        return REQUIRE_AND_VERIFY if has_cas else ""
    where = values.origin("http.tls.clientauth")
    if wanted == REQUIRE_AND_VERIFY and not has_cas:
        message = f"is {wanted}, which needs authorities to check against; name their file in `clientcas`"
        values.report.error("http.tls.clientauth", message, where)
    elif wanted == "require-any-client-cert":
        message = f"is {wanted}, which is not available; write `{REQUIRE_AND_VERIFY}`, or remove the key"
        values.report.error("http.tls.clientauth", message, where)
    elif wanted != REQUIRE_AND_VERIFY:
        message = f"is {wanted}, but certificates that are not required are not asked for; remove the key"
        values.report.warning("http.tls.clientauth", message, where)
    return wanted


def _debug(values: Values) -> str:
    written = values.text("http.debug.addr")
    if written:
        try:
            parse_address(written)
        except ValueError as error:
            _wrong_address(values, "http.debug.addr", written, error)
    return written


def _metrics_path(values: Values) -> str:
    path = values.text("http.debug.prometheus.path", _DEFAULTS.metrics_path)
    return path if path.startswith("/") else "/" + path


def build_http(values: Values) -> HttpSettings:
    """Return the settings of the doors."""
    return HttpSettings(
        prefix=_prefix(values.text("http.prefix", "/")),
        host=_host(values),
        headers=_headers(values),
        trusted_proxies=values.texts("http.trustedproxies"),
        body_idle_seconds=values.seconds("http.bodyidletimeout", HttpSettings().body_idle_seconds),
    )


def _headers(values: Values) -> Headers:
    written = values.headers("http.headers")
    own = sorted({name for name, _ in written if _ANSWERS_OWN.fullmatch(name)})
    if own:
        message = f"has {', '.join(own)}, which each answer has of its own where it needs one and which is not added"
        values.report.warning("http.headers", f"{message}; remove it", values.origin("http.headers"))
    return tuple((name, value) for name, value in written if name not in own)


def _prefix(text: str) -> str:
    inner = text.strip("/")
    return f"/{inner}/" if inner else "/"


def _host(values: Values) -> str:
    written = values.text("http.host")
    if not written:
        return ""
    parts = urlsplit(written)
    if parts.path.strip("/") or parts.query or parts.fragment:
        message = "has a path, of which nothing is used; use `http.prefix` for a path"
        values.report.warning("http.host", message, values.origin("http.host"))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
