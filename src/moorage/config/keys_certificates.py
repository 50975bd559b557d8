"""Keys: client certificates that a proxy in front passes on."""

from __future__ import annotations

from moorage.config.keys import Key, Kind, Source


def _own(name: str, kind: Kind, note: str, example: str = "", default: str = "") -> Key:
    return Key(f"auth.local.certificates{name}", kind, note, example=example, default=default, source=Source.OWN)


CERTIFICATES = (
    _own(
        "",
        Kind.SECTION,
        "Client certificates as identity, from the header `Client-Cert` (RFC 9440) of `http.trustedproxies`.",
    ),
    _own(".authorities", Kind.PATH, "PEM file of the authorities that issue them. Required.", "/etc/moorage/ca.pem"),
    _own(
        ".revocations",
        Kind.TEXTS,
        "Files with revocation lists (PEM or DER), read again when they change. With any, each issuer needs one.",
        "[/etc/moorage/ca.crl]",
    ),
    _own(".allowstale", Kind.FLAG, "Take revocation lists that are out of date all the same.", "true", "false"),
    _own(".rules", Kind.ENTRIES, "Whose they are; the first that fits counts.", "[{uri: 'spiffe://a/b', robot: t+ci}]"),
    _own(".rules[].subject", Kind.TEXT, "The subject (RFC 4514); `*` is anything in one part.", "CN=alice,O=Example"),
    _own(".rules[].dns", Kind.TEXT, "A DNS name in it; `*` is anything in one label.", "ci.example.com"),
    _own(".rules[].email", Kind.TEXT, "A mail address in it; `*` is anything on one side.", "alice@example.com"),
    _own(
        ".rules[].uri", Kind.TEXT, "A URI in it, such as a SPIFFE id; `*` is anything in one part.", "spiffe://a/ns/b"
    ),
    _own(".rules[].user", Kind.TEXT, "The user whose certificate that is.", "alice"),
    _own(".rules[].robot", Kind.TEXT, "Or the robot.", "team+ci"),
)
