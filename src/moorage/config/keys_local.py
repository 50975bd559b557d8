"""Keys: accounts of our own, and the tokens that they get."""

from __future__ import annotations

from moorage.config.keys import Key, Kind, Source

LOCAL = (
    Key(
        "auth.local",
        Kind.SECTION,
        "Accounts of the registry itself: users, groups, robots, projects, tokens. The bare `auth: local` is enough.",
        example="{tokenlife: 5m}",
        source=Source.OWN,
    ),
    Key(
        "auth.local.realm",
        Kind.URL,
        "Absolute URL of the token endpoint as clients reach it.",
        example="https://registry.example.com/token",
        default="`/token` at `http.host`, else at the address by which the client reached us",
        source=Source.OWN,
    ),
    Key(
        "auth.local.service",
        Kind.TEXT,
        "What tokens are for. Must not change while clients hold tokens.",
        example="registry.example.com",
        default="the host of `http.host`, else moorage",
        source=Source.OWN,
    ),
    Key(
        "auth.local.issuer",
        Kind.TEXT,
        "Who tokens say they are from.",
        example="registry.example.com",
        default="as `auth.local.service`",
        source=Source.OWN,
    ),
    Key(
        "auth.local.tokenlife",
        Kind.DURATION,
        "How long a token lives, and so how long a change of rights takes to reach its bearer at the latest.",
        example="5m",
        default="5m",
        source=Source.OWN,
        least=60,
        unit_required=True,
    ),
    Key(
        "auth.local.refreshlife",
        Kind.DURATION,
        "How long a refresh token (docker's identity token) lives after its last use.",
        example="720h",
        default="2160h",
        source=Source.OWN,
        least=60,
        unit_required=True,
    ),
    Key(
        "auth.local.rotation",
        Kind.DURATION,
        "How old a signing key gets before a new one replaces it.",
        example="168h",
        default="720h",
        source=Source.OWN,
        least=600,
        unit_required=True,
    ),
    Key(
        "auth.local.algorithm",
        Kind.WORD,
        "How tokens are signed.",
        example="eddsa",
        default="es256",
        source=Source.OWN,
        choices=("es256", "eddsa"),
    ),
    Key(
        "auth.local.secret",
        Kind.TEXT,
        "What signing keys in the database are encrypted with: 32 random characters or more, equal on all instances.",
        example="a-long-random-text-of-at-least-32-characters",
        source=Source.OWN,
        secret=True,
    ),
    Key(
        "auth.local.secretfile",
        Kind.PATH,
        "File with that secret. Without either key, `secret.key` in the root directory is made at the first start.",
        example="/run/secrets/moorage",
        source=Source.OWN,
    ),
)
