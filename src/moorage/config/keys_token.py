"""Keys: tokens of another server, as Distribution takes them."""

from __future__ import annotations

from moorage.config.keys import Key, Kind, Source


def _key(name: str, kind: Kind, note: str, example: str, default: str = "", source: Source = Source.BOTH) -> Key:
    return Key(f"auth.token.{name}", kind, note, example=example, default=default, source=source)


TOKEN = (
    Key(
        "auth.token",
        Kind.SECTION,
        "Tokens of another server, which alone decides who may do what. The management API is off.",
        example="{realm: 'https://auth.example.com/token', service: registry}",
    ),
    _key("realm", Kind.URL, "Where clients get tokens. Required.", "https://auth.example.com/token"),
    _key("service", Kind.TEXT, "What tokens are for (`aud`). Required.", "registry.example.com"),
    _key("issuer", Kind.TEXT, "Who tokens are from (`iss`). Required.", "auth.example.com"),
    _key(
        "rootcertbundle",
        Kind.PATH,
        "PEM file with the authorities of certificates in tokens (`x5c`); the keys of these certificates count by "
        "`kid` too. This or `jwks` is required. Read again when it changes.",
        "/etc/registry/auth.crt",
    ),
    _key(
        "jwks",
        Kind.PATH,
        "File with keys that tokens name by `kid` (a JWK set). Read again when it changes.",
        "/etc/registry/jwks.json",
        source=Source.V3,
    ),
    _key(
        "signingalgorithms",
        Kind.TEXTS,
        "Which of EdDSA, ES256, ES384, ES512, RS256, RS384, RS512, PS256, PS384, PS512 tokens may be signed with.",
        "[EdDSA, ES256]",
        "all of them",
        Source.V3,
    ),
    _key(
        "autoredirect",
        Kind.FLAG,
        "Tell clients to get tokens at the address by which they reached us, in place of `realm`.",
        "true",
        "false",
    ),
    _key("autoredirectpath", Kind.TEXT, "The path there.", "/auth/token/", "/auth/token", Source.V3),
)
