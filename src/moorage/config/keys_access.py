"""Keys: who may do what, and what may be pushed."""

from __future__ import annotations

from moorage.config.keys import Key, Kind, Source, Status, parts
from moorage.config.keys_certificates import CERTIFICATES
from moorage.config.keys_ldap import LDAP
from moorage.config.keys_local import LOCAL
from moorage.config.keys_oidc import OIDC
from moorage.config.keys_token import TOKEN

AUTH = (
    Key(
        "auth",
        Kind.SECTION,
        "Who may come in: exactly one of the sections below. The bare name stands for one without settings. "
        "What Moorage does not know here is an error, never an open door.",
        example="none",
        default="none on a loopback address or a socket, local on any other",
        shorthand=True,
    ),
    Key("auth.none", Kind.SECTION, "Everybody may do everything.", example="{}"),
    *LOCAL,
    *OIDC,
    *LDAP,
    *CERTIFICATES,
    Key("auth.htpasswd", Kind.SECTION, "Users in an htpasswd file with bcrypt hashes."),
    Key("auth.htpasswd.realm", Kind.TEXT, "Name shown to clients. Required.", example="Registry"),
    Key(
        "auth.htpasswd.path",
        Kind.PATH,
        "The file. Required. It is read again when it changes.",
        example="/etc/moorage/htpasswd",
    ),
    *parts(
        Key(
            "auth.silly",
            Kind.SECTION,
            "This lets in whoever sends any Authorization header at all, and is made for Distribution's own "
            "tests. Use `auth.htpasswd`, or `auth: none` to be open on purpose.",
            example="{realm: registry, service: registry}",
            status=Status.UNAVAILABLE,
        ),
        ("realm", Kind.TEXT, "registry"),
        ("service", Kind.TEXT, "registry"),
    ),
    *TOKEN,
)

_NO_PLUGINS = (
    "Middleware of Distribution is compiled into it and cannot be loaded here. Remove the section; what it "
    "did must be done in front of the registry."
)

MIDDLEWARE = (
    Key("middleware", Kind.SECTION, "Distribution's way to hook in own code."),
    Key(
        "middleware.registry",
        Kind.ENTRIES,
        "Only the entry `repository` is known.",
        example="[{name: repository, options: {allow: [^approved/]}}]",
        status=Status.MAPPED,
    ),
    Key("middleware.registry[].name", Kind.TEXT, "Which one.", example="repository"),
    Key("middleware.registry[].disabled", Kind.FLAG, "Skip the entry.", example="true", default="false"),
    Key("middleware.registry[].options", Kind.SECTION, "Its settings."),
    Key(
        "middleware.registry[].options.allow",
        Kind.PATTERNS,
        "For `repository`: only repositories whose name matches one of these may be pushed to. A pattern matches "
        "anywhere in the name unless it is anchored.",
        example="['^approved/.*$']",
        source=Source.FOREIGN,
    ),
    *parts(
        Key(
            "middleware.repository",
            Kind.ENTRIES,
            _NO_PLUGINS,
            example="[{name: example}]",
            status=Status.IGNORED,
        ),
        ("name", Kind.TEXT, "example"),
        ("disabled", Kind.FLAG, "false"),
        ("options", Kind.ANY, "{allow: [x]}"),
    ),
    *parts(
        Key(
            "middleware.storage",
            Kind.ENTRIES,
            "Storage middleware sends clients to a content delivery network or rewrites URLs of an object "
            "store; the drivers available send every byte themselves. Remove the section.",
            example="[{name: redirect, options: {baseurl: 'https://cdn.example.com'}}]",
            status=Status.IGNORED,
        ),
        ("name", Kind.TEXT, "cloudfront"),
        ("disabled", Kind.FLAG, "false"),
        ("options", Kind.SECTION, "{baseurl: 'https://cdn.example.com'}"),
        ("options.baseurl", Kind.URL, "https://cdn.example.com"),
        ("options.privatekey", Kind.PATH, "/etc/registry/cloudfront.pem"),
        ("options.keypairid", Kind.TEXT, "example"),
        ("options.duration", Kind.DURATION, "20m"),
        ("options.ipfilteredby", Kind.TEXT, "awsregion"),
        ("options.awsregion", Kind.TEXT, "us-east-1"),
        ("options.updatefrequency", Kind.DURATION, "12h"),
        ("options.updatefrenquency", Kind.DURATION, "12h"),
        ("options.iprangesurl", Kind.URL, "https://ip-ranges.example.com/ip-ranges.json"),
    ),
)

VALIDATION = (
    Key("validation", Kind.SECTION, "What is checked when a manifest is pushed."),
    Key(
        "validation.disabled",
        Kind.FLAG,
        "Switch off the checks of this section.",
        example="true",
        default="false",
    ),
    Key(
        "validation.enabled",
        Kind.FLAG,
        "Old opposite of `validation.disabled`; `true` wins over it. Checks are on anyway: remove the key.",
        example="true",
        status=Status.MAPPED,
        severity="warning",
    ),
    Key("validation.manifests", Kind.SECTION, "Checks of manifests."),
    Key(
        "validation.manifests.sparse",
        Kind.FLAG,
        "Accept manifests although what they refer to, layers or children, is absent.",
        example="true",
        default="false",
        source=Source.OWN,
    ),
    Key("validation.manifests.urls", Kind.SECTION, "URLs that foreign layers name."),
    Key(
        "validation.manifests.urls.allow",
        Kind.PATTERNS,
        "Each URL must match one of these, when there are any.",
        example="['^https?://([^/]+[.])*example[.]com/']",
        default="every URL (none in Distribution 3)",
    ),
    Key(
        "validation.manifests.urls.deny",
        Kind.PATTERNS,
        "No URL may match one of these.",
        example="['^https?://www[.]example[.]com/']",
    ),
    Key("validation.manifests.indexes", Kind.SECTION, "Indexes (multi-platform images).", source=Source.V3),
    Key(
        "validation.manifests.indexes.platforms",
        Kind.WORD,
        "Which children of an index must be there before it: all, none, or those of `platformlist`.",
        example="list",
        default="all",
        source=Source.V3,
        choices=("all", "none", "list"),
    ),
    Key(
        "validation.manifests.indexes.platformlist",
        Kind.ENTRIES,
        "The platforms that `list` means.",
        example="[{architecture: amd64, os: linux}]",
        source=Source.V3,
    ),
    Key(
        "validation.manifests.indexes.platformlist[].architecture",
        Kind.TEXT,
        "Architecture, in Go's words.",
        example="amd64",
        source=Source.V3,
    ),
    Key(
        "validation.manifests.indexes.platformlist[].os",
        Kind.TEXT,
        "Operating system, in Go's words.",
        example="linux",
        source=Source.V3,
    ),
    Key("policy", Kind.SECTION, "What repositories may hold."),
    Key("policy.repository", Kind.SECTION, "What repositories may hold."),
    Key(
        "policy.repository.classes",
        Kind.TEXTS,
        "Classes of content that may be pushed: `image` and `plugin`, told by the media type of a manifest's config. "
        "Anything else, such as a Helm chart, is then refused, as in Distribution; indexes are not looked at.",
        example="[image]",
        default="everything",
    ),
)
