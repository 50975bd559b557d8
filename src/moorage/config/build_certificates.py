"""From values to the settings of client certificates."""

from __future__ import annotations

from pathlib import Path

from moorage.auth.certificate_settings import CertificateRule, CertificateSettings
from moorage.config.check import Values

SECTION = "auth.local.certificates"
_PARTS = ("subject", "dns", "email", "uri")


def build_certificates(values: Values) -> CertificateSettings | None:
    """Return the settings of `auth.local.certificates`; None without the section."""
    if SECTION not in values:
        return None
    authorities = values.text(f"{SECTION}.authorities")
    if not authorities:
        values.report.error(f"{SECTION}.authorities", "is missing; it is required", values.origin(SECTION))
    if not values.texts("http.trustedproxies"):
        message = "needs `http.trustedproxies`: the header with the certificate is believed from these addresses only"
        values.report.error(SECTION, message, values.origin(SECTION))
    rules = tuple(_rule(values, f"{SECTION}.rules[{index}]") for index in range(values.length(f"{SECTION}.rules")))
    if not rules:
        values.report.warning(f"{SECTION}.rules", "are missing: no certificate is anybody's", values.origin(SECTION))
    revocations = tuple(Path(file).absolute() for file in values.texts(f"{SECTION}.revocations"))
    stale = values.flag(f"{SECTION}.allowstale", default=False)
    return CertificateSettings(Path(authorities).absolute(), rules, revocations, stale)


def _rule(values: Values, path: str) -> CertificateRule:
    parts = [name for name in _PARTS if values.text(f"{path}.{name}")]
    owners = [name for name in ("user", "robot") if values.text(f"{path}.{name}")]
    if len(parts) != 1 or len(owners) != 1:
        message = "needs exactly one of subject, dns, email, uri, and exactly one of user, robot"
        values.report.error(path, message, values.origin(path))
    part = parts[0] if parts else "subject"
    pattern = values.text(f"{path}.{part}")
    return CertificateRule(part, pattern, values.text(f"{path}.user").lower(), values.text(f"{path}.robot").lower())
