"""Keys: storage."""

from __future__ import annotations

from moorage.config.keys import Key, Kind, Source, Status, parts

# Sections below `storage` that are not drivers.
BESIDE_DRIVERS = ("tag", "delete", "redirect", "cache", "maintenance")

_NOT_YET = (
    "The {name} driver is not available yet. Use `filesystem`, on a volume that is backed up, or keep the "
    "registry that you have for now."
)
_NEVER = (
    "The {name} driver is gone, from Distribution 3 too. Copy the content to a filesystem with "
    "`skopeo sync` or `crane copy`, and use `filesystem`."
)

DRIVERS = (
    Key(
        "storage",
        Kind.SECTION,
        "Where the bytes are kept: exactly one driver, and settings beside it. The bare name of a driver, as "
        "in `storage: filesystem`, is short for the driver without settings.",
        example="filesystem",
        default="filesystem",
        shorthand=True,
    ),
    Key("storage.filesystem", Kind.SECTION, "Files in a directory of this machine, in Distribution's layout."),
    Key(
        "storage.filesystem.rootdirectory",
        Kind.PATH,
        "The directory. It also becomes the root directory of everything else that Moorage keeps.",
        example="/var/lib/registry",
        default="$MOORAGE_ROOT; else /var/lib/moorage for root, the user's data directory for others",
    ),
    Key(
        "storage.filesystem.maxthreads",
        Kind.COUNT,
        "Most file operations at once in a worker process.",
        example="100",
        default="16",
        least=1,
    ),
    Key(
        "storage.inmemory",
        Kind.SECTION,
        "For trying things out: bytes are gone when the program ends, and the database is a temporary file "
        "unless `database.url` says otherwise. One worker serves it.",
        example="{}",
    ),
)

BESIDE = (
    Key("storage.tag", Kind.SECTION, "Lists of tags.", source=Source.V3),
    Key(
        "storage.tag.concurrencylimit",
        Kind.COUNT,
        "Tags are rows of a database, so looking them up takes no parallel reads. Remove the key.",
        example="8",
        status=Status.IGNORED,
        source=Source.V3,
        severity="info",
    ),
    Key("storage.delete", Kind.SECTION, "Deleting."),
    Key(
        "storage.delete.enabled",
        Kind.FLAG,
        "Whether manifests, tags and blobs may be deleted.",
        example="true",
        default="false, as in Distribution; without any configuration file, true",
    ),
    Key("storage.redirect", Kind.SECTION, "Sending clients to the object store."),
    Key(
        "storage.redirect.disable",
        Kind.FLAG,
        "The drivers available send every byte themselves, so there is nothing to switch off. The key does no harm.",
        example="true",
        status=Status.IGNORED,
        severity="info",
    ),
    *parts(
        Key(
            "storage.cache",
            Kind.SECTION,
            "Blob facts come from the database, which needs no cache beside it. Remove the section.",
            example="{blobdescriptor: inmemory}",
            status=Status.IGNORED,
            severity="info",
        ),
        ("blobdescriptor", Kind.TEXT, "redis"),
        ("blobdescriptorsize", Kind.COUNT, "10000"),
        ("layerinfo", Kind.TEXT, "inmemory"),
    ),
    Key("storage.maintenance", Kind.SECTION, "Care for the store."),
    Key("storage.maintenance.uploadpurging", Kind.SECTION, "Removal of uploads that nobody finished."),
    Key(
        "storage.maintenance.uploadpurging.enabled",
        Kind.FLAG,
        "Whether they are removed.",
        example="false",
        default="true",
    ),
    Key(
        "storage.maintenance.uploadpurging.age",
        Kind.DURATION,
        "An upload that nothing was written to for longer than this is abandoned.",
        example="72h",
        default="168h",
        least=1,
        unit_required=True,
    ),
    Key(
        "storage.maintenance.uploadpurging.interval",
        Kind.DURATION,
        "Time between two looks.",
        example="12h",
        default="24h",
        least=1,
        unit_required=True,
    ),
    Key(
        "storage.maintenance.uploadpurging.dryrun",
        Kind.FLAG,
        "Only log what would be removed.",
        example="true",
        default="false",
    ),
    Key("storage.maintenance.readonly", Kind.SECTION, "Read-only mode."),
    Key(
        "storage.maintenance.readonly.enabled",
        Kind.FLAG,
        "Refuse everything that writes.",
        example="true",
        default="false",
    ),
)

S3 = parts(
    Key(
        "storage.s3",
        Kind.SECTION,
        _NOT_YET.format(name="s3"),
        example="{region: us-west-1, bucket: images}",
        status=Status.UNAVAILABLE,
    ),
    ("accesskey", Kind.TEXT, "not-a-real-one"),
    ("secretkey", Kind.TEXT, "not-a-real-one"),
    ("region", Kind.TEXT, "us-west-1"),
    ("regionendpoint", Kind.URL, "https://s3.example.com"),
    ("redirectendpoint", Kind.URL, "https://cdn.example.com"),
    ("forcepathstyle", Kind.FLAG, "true"),
    ("accelerate", Kind.FLAG, "false"),
    ("bucket", Kind.TEXT, "images"),
    ("encrypt", Kind.FLAG, "true"),
    ("keyid", Kind.TEXT, "example"),
    ("secure", Kind.FLAG, "true"),
    ("skipverify", Kind.FLAG, "false"),
    ("v4auth", Kind.FLAG, "true"),
    ("chunksize", Kind.SIZE, "5242880"),
    ("multipartcopychunksize", Kind.SIZE, "33554432"),
    ("multipartcopymaxconcurrency", Kind.COUNT, "100"),
    ("multipartcopythresholdsize", Kind.SIZE, "33554432"),
    ("rootdirectory", Kind.PATH, "/registry"),
    ("storageclass", Kind.TEXT, "STANDARD"),
    ("useragent", Kind.TEXT, "registry"),
    ("usedualstack", Kind.FLAG, "false"),
    ("usefipsendpoint", Kind.FLAG, "false"),
    ("objectacl", Kind.TEXT, "private"),
    ("loglevel", Kind.TEXT, "logoff"),
)

AZURE = parts(
    Key(
        "storage.azure",
        Kind.SECTION,
        _NOT_YET.format(name="azure"),
        example="{accountname: images, container: registry}",
        status=Status.UNAVAILABLE,
    ),
    ("accountname", Kind.TEXT, "images"),
    ("accountkey", Kind.TEXT, "not-a-real-one"),
    ("container", Kind.TEXT, "registry"),
    ("credentials", Kind.SECTION, "{type: default_credentials}"),
    ("credentials.type", Kind.TEXT, "client_secret"),
    ("credentials.clientid", Kind.TEXT, "example"),
    ("credentials.tenantid", Kind.TEXT, "example"),
    ("credentials.secret", Kind.TEXT, "not-a-real-one"),
    ("rootdirectory", Kind.PATH, "/registry"),
    ("realm", Kind.TEXT, "core.windows.net"),
    ("max_retries", Kind.COUNT, "5"),
    ("retry_delay", Kind.DURATION, "100ms"),
)

GCS = parts(
    Key(
        "storage.gcs",
        Kind.SECTION,
        _NOT_YET.format(name="gcs"),
        example="{bucket: images}",
        status=Status.UNAVAILABLE,
    ),
    ("bucket", Kind.TEXT, "images"),
    ("keyfile", Kind.PATH, "/etc/registry/gcs.json"),
    ("credentials", Kind.SECTION, "{type: service_account}"),
    ("credentials.type", Kind.TEXT, "service_account"),
    ("credentials.project_id", Kind.TEXT, "example"),
    ("credentials.private_key_id", Kind.TEXT, "not-a-real-one"),
    ("credentials.private_key", Kind.TEXT, "not-a-real-one"),
    ("credentials.client_email", Kind.TEXT, "registry@example.com"),
    ("credentials.client_id", Kind.TEXT, "example"),
    ("credentials.auth_uri", Kind.URL, "https://auth.example.com"),
    ("credentials.token_uri", Kind.URL, "https://auth.example.com/token"),
    ("credentials.auth_provider_x509_cert_url", Kind.URL, "https://auth.example.com/certs"),
    ("credentials.client_x509_cert_url", Kind.URL, "https://auth.example.com/client"),
    ("credentials.universe_domain", Kind.TEXT, "example.com"),
    ("rootdirectory", Kind.PATH, "/registry"),
    ("chunksize", Kind.SIZE, "5242880"),
    ("useragent", Kind.TEXT, "registry"),
    ("maxconcurrency", Kind.COUNT, "50"),
)

SWIFT = parts(
    Key(
        "storage.swift",
        Kind.SECTION,
        _NEVER.format(name="swift"),
        example="{container: registry}",
        status=Status.UNAVAILABLE,
        source=Source.V2,
    ),
    ("username", Kind.TEXT, "registry"),
    ("password", Kind.TEXT, "not-a-real-one"),
    ("authurl", Kind.URL, "https://storage.example.com/auth/v3"),
    ("tenant", Kind.TEXT, "example"),
    ("tenantid", Kind.TEXT, "example"),
    ("domain", Kind.TEXT, "example"),
    ("domainid", Kind.TEXT, "example"),
    ("trustid", Kind.TEXT, "example"),
    ("insecureskipverify", Kind.FLAG, "false"),
    ("region", Kind.TEXT, "fr"),
    ("container", Kind.TEXT, "registry"),
    ("rootdirectory", Kind.PATH, "/registry"),
    ("prefix", Kind.TEXT, "registry"),
    ("chunksize", Kind.SIZE, "5242880"),
    ("secretkey", Kind.TEXT, "not-a-real-one"),
    ("accesskey", Kind.TEXT, "not-a-real-one"),
    ("authversion", Kind.COUNT, "3"),
    ("endpointtype", Kind.TEXT, "public"),
    ("tempurlcontainerkey", Kind.FLAG, "true"),
    ("tempurlmethods", Kind.TEXTS, "[GET]"),
)

OSS = parts(
    Key(
        "storage.oss",
        Kind.SECTION,
        _NEVER.format(name="oss"),
        example="{bucket: images}",
        status=Status.UNAVAILABLE,
        source=Source.V2,
    ),
    ("accesskeyid", Kind.TEXT, "not-a-real-one"),
    ("accesskeysecret", Kind.TEXT, "not-a-real-one"),
    ("region", Kind.TEXT, "oss-cn-beijing"),
    ("endpoint", Kind.TEXT, "oss.example.com"),
    ("internal", Kind.FLAG, "false"),
    ("bucket", Kind.TEXT, "images"),
    ("encrypt", Kind.FLAG, "true"),
    ("encryptionkeyid", Kind.TEXT, "example"),
    ("secure", Kind.FLAG, "true"),
    ("chunksize", Kind.SIZE, "5242880"),
    ("rootdirectory", Kind.PATH, "/registry"),
)
