"""Keys: OIDC providers that people log in with, and issuers of CI jobs' tokens."""

from __future__ import annotations

from moorage.config.keys import Key, Kind, Source


def _own(path: str, kind: Kind, note: str, example: str = "", default: str = "", *, secret: bool = False) -> Key:
    return Key(f"auth.local.{path}", kind, note, example=example, default=default, source=Source.OWN, secret=secret)


OIDC = (
    _own(
        "oidc",
        Kind.ENTRIES,
        "OIDC providers that people log in with, at `/login/oidc/NAME`.",
        "[{name: corp, issuer: 'https://id.example.com', clientid: moorage}]",
    ),
    _own(
        "oidc[].name",
        Kind.TEXT,
        "What the provider is called here. Required; its users are known by it, so it must not change.",
        "corp",
    ),
    _own(
        "oidc[].issuer",
        Kind.URL,
        "Its identifier, exactly as in its tokens' claim `iss`. Required.",
        "https://id.example.com",
    ),
    _own("oidc[].clientid", Kind.TEXT, "Who this registry is there. Required.", "moorage"),
    _own("oidc[].clientsecret", Kind.TEXT, "The secret that goes with it.", "not-a-real-one", secret=True),
    _own("oidc[].clientsecretfile", Kind.PATH, "File with that secret.", "/run/secrets/oidc"),
    _own("oidc[].scopes", Kind.TEXTS, "What is asked for.", "[openid, profile, groups]", "[openid, profile, email]"),
    _own(
        "oidc[].usernameclaim",
        Kind.TEXTS,
        "Claim with the user name; several words for one inside of others. Of `email`, what stands before the `@` "
        "counts, and only where the provider says that it checked the address.",
        "[email]",
        "[preferred_username]",
    ),
    _own(
        "oidc[].usernamedomain",
        Kind.TEXT,
        "What user names must have behind an `@`; it is taken away.",
        "example.com",
        "names have none",
    ),
    _own(
        "oidc[].groupsclaim",
        Kind.TEXTS,
        "Claim with the names of groups; several words for one inside of others, as `[realm_access, roles]`.",
        "[groups]",
        "groups are not read",
    ),
    _own("oidc[].requiredgroup", Kind.TEXT, "Only its members may log in.", "registry-users", "everybody may"),
    _own(
        "oidc[].admingroup",
        Kind.TEXT,
        "Its members are admins of the system, and nobody else from there is.",
        "registry-admins",
        "the provider has no say in that",
    ),
    _own("oidc[].create", Kind.FLAG, "Whether a user is made at the first login.", "false", "true"),
    _own("oidc[].title", Kind.TEXT, "What people know the provider by.", "Example Corp", "the name"),
    _own(
        "oidc[].insecure",
        Kind.FLAG,
        "Allow `http://` where the issuer is not on this machine. For tests only.",
        "true",
        "false",
    ),
    _own("oidc[].ca", Kind.PATH, "PEM file of more authorities to trust.", "/etc/moorage/id-ca.pem"),
    _own(
        "issuers",
        Kind.ENTRIES,
        "Issuers of CI jobs' tokens that need more than a trust rule: one at a private address, with an authority of "
        "its own, or whose keys are in a file. Those of `auth.local.oidc` need no entry.",
        "[{issuer: 'https://kubernetes.default.svc', jwksfile: /etc/moorage/cluster.json}]",
    ),
    _own(
        "issuers[].issuer",
        Kind.URL,
        "Its identifier, exactly as in its tokens' claim `iss`. Required.",
        "https://gitlab.example.com",
    ),
    _own(
        "issuers[].insecure",
        Kind.FLAG,
        "Allow `http://` where the issuer is not on this machine. For tests only.",
        "true",
        "false",
    ),
    _own("issuers[].ca", Kind.PATH, "PEM file of more authorities to trust.", "/etc/moorage/cluster-ca.pem"),
    _own(
        "issuers[].jwksfile",
        Kind.PATH,
        "File with its keys (a JWK set), for one that cannot be asked.",
        "/etc/moorage/cluster.json",
    ),
)
