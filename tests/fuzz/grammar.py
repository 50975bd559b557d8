"""Words of the registry's language, right ones and wrong ones, made up by chance."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from urllib.parse import quote

from tests.support.wire import EMPTY, OCI_INDEX, OCI_MANIFEST, digest

REPOSITORIES = ["fuzz/a", "fuzz/b", "fuzz/new", "x"]
TAGS = ["v1", "v2", "latest", "a.b_c-d"]
BLOBS = [EMPTY, b"", b"layer", bytes(range(256)) * 300]
"""What is pushed before the run, in the first repository."""

SESSION = "@SESSION@"
"""Stands for the id of the upload session that was opened last; put in when sending, so that replay works."""

METHODS = ["GET"] * 8 + ["HEAD"] * 3 + ["PUT"] * 4 + ["POST"] * 3 + ["PATCH"] * 3 + ["DELETE"] * 2
ODD_METHODS = ["OPTIONS", "TRACE", "CONNECT", "get", "PROPFIND", "M-SEARCH", "A" * 300, "PATCH1"]

_UGLY = [
    "", ".", "..", "/", "//", "%00", "%0a", "%0d%0aX: y", "%ff", "%zz", "%", "%2e%2e%2f", "\u00e4\u00f6", "%C3%A4",
    "a" * 256, "a" * 5000, "-", "--", "_", "__", "a__b", "a--b", "a___b", ".a", "a.", "A", "a b", "a+b", "a%20b",
    "a;b", "a'b", 'a"b', "a\\b", "<script>", "${jndi:x}", "{{7*7}}", "' OR 1=1 --", "%s%n", "\u202e", "%F0%9F%98%80",
    "*", "?", "#", "@", ":", "::", "~", "null", "None", "NaN", "-1", "0", "1e9", "\u0661", "blobs", "manifests",
    "uploads", "tags", "list", "_catalog", "v2", "referrers", "blobs/uploads", "manifests/latest",
    "_oci/ext/discover",
]  # fmt: skip

_RANGES = [
    "bytes=0-0", "bytes=0-", "bytes=-1", "bytes=-0", "bytes=5-2", "bytes=0-99999999999999999999", "bytes=a-b",
    "bytes=", "bytes", "bytes=0-1,3-4", "bytes=0-,0-,0-", "bytes=" + "0-1," * 1500 + "2-3", "lines=0-1",
    "bytes=0-1, ,2-3", "bytes=\u0661-2", "bytes=+1-2", "bytes=1_0-20", "bytes 0-1/2", "bytes=9223372036854775807-",
    "bytes=--1",
]  # fmt: skip

_CONTENT_RANGES = [
    "0-0", "0-4", "5-9", "0-99", "9-5", "bytes 0-4/5", "bytes 0-4/*", "bytes=0-4", "a-b", "", "-", "0-", "-1",
    "+0-4", "0-4,5-9", "99999999999999999999-99999999999999999999", "9223372036854775807-9223372036854775808",
    "0-18446744073709551615", "0_0-4",
]  # fmt: skip

_TYPES = [
    OCI_MANIFEST, OCI_INDEX, "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws", "application/json", "application/octet-stream",
    "text/html", "", ";", "a/b; charset=utf-8", OCI_MANIFEST + "; charset=utf-8", OCI_MANIFEST.upper(), "x" * 2000,
    "application/vnd.oci.image.manifest.v1+json\t", "\u00e4/\u00f6", "*/*", "a",
]  # fmt: skip

_ODD_VALUES = [
    "", " ", "*", '"', '""', 'W/""', ",", ",,,", ";q=1", "a" * 3000, "\u00e4", "\u00ff\u00fe", "0", "-1",
    "99999999999999999999", "\t", "a\tb", "bytes", "none", "=", "==", "{}", "[]", "null", "1.2.3.4, 5.6.7.8",
    "127.0.0.1", "::1", "for=1.2.3.4;proto=https", "Basic Og==", "Basic dTpw", "Basic !!!", "Bearer x.y.z",
    "Bearer", "Digest username=a", "Sat, 21 Nov 2026 00:00:00 GMT",
]  # fmt: skip

_HEADERS = [
    "Accept", "Accept-Encoding", "Authorization", "Cache-Control", "Connection", "Content-Encoding",
    "Content-Language", "Content-Type", "Cookie", "Date", "Docker-Content-Digest", "Docker-Upload-UUID", "Forwarded",
    "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Link", "OCI-Tag", "Origin",
    "Range", "Referer", "TE", "Trailer", "Upgrade", "User-Agent", "Via", "Warning", "X-Forwarded-For",
    "X-Forwarded-Host", "X-Forwarded-Proto", "X-HTTP-Method-Override", "X-Request-Id", "X-Original-URL",
    "Content-Range", "Content-MD5", "Expect-CT", "Accept",
]  # fmt: skip

_PARAMETERS = [
    "n", "last", "artifactType", "digest", "mount", "from", "tag", "digest-algorithm", "ns", "origin", "_state",
    "state", "q", "",
]  # fmt: skip

Chance = random.Random


def name(chance: Chance) -> str:
    """A repository: mostly a known one, else a new one, else nonsense."""
    throw = chance.random()
    if throw < 0.6:
        return chance.choice(REPOSITORIES)
    if throw < 0.8:
        parts = [
            "".join(chance.choices(string.ascii_lowercase + string.digits, k=chance.randint(1, 12))) for _ in range(3)
        ]
        return chance.choice(["/", "-", "__", "."]).join(parts[: chance.randint(1, 3)])
    return "/".join(ugly(chance) for _ in range(chance.randint(1, 3)))


def tag(chance: Chance) -> str:
    """A tag: mostly a known one, else a new one, else nonsense."""
    throw = chance.random()
    if throw < 0.6:
        return chance.choice(TAGS)
    if throw < 0.8:
        return "".join(chance.choices(string.ascii_letters + string.digits + "._-", k=chance.choice([1, 5, 128, 129])))
    return ugly(chance)


def any_digest(chance: Chance) -> str:
    """A digest: one that is there, one that is not, or something that only looks like one."""
    throw = chance.random()
    if throw < 0.5:
        return digest(chance.choice(BLOBS), chance.choice(["sha256", "sha256", "sha512"]))
    hexadecimal = "".join(chance.choices("0123456789abcdef", k=chance.choice([64, 64, 128, 63, 65, 0])))
    if throw < 0.85:
        return f"{chance.choice(['sha256', 'sha512'])}:{hexadecimal}"
    algorithm = chance.choice(["md5", "sha384", "SHA256", "sha256+b64u", "", "sha256:sha256", "../sha256", "%73ha256"])
    return f"{algorithm}:{chance.choice([hexadecimal.upper(), hexadecimal, ugly(chance)])}"


def reference(chance: Chance) -> str:
    """A tag or a digest."""
    return tag(chance) if chance.random() < 0.6 else any_digest(chance)


def ugly(chance: Chance) -> str:
    """A word that somebody might choke on, perhaps joined with another, perhaps percent-encoded."""
    found = chance.choice(_UGLY)
    if chance.random() < 0.2:
        found += chance.choice(_UGLY)
    if chance.random() < 0.1:
        found = quote(found.encode("utf-8", "replace"), safe=chance.choice(["", "/", "%"]))
    if chance.random() < 0.1:
        found += chr(chance.randint(0x21, 0xFF))
    return found


def path(chance: Chance) -> str:
    """The address of anything that there is, or of something like it."""
    make: Callable[[], str] = chance.choice(
        [
            lambda: "/v2/",
            lambda: "/v2/_catalog",
            lambda: f"/v2/{name(chance)}/tags/list",
            lambda: f"/v2/{name(chance)}/manifests/{reference(chance)}",
            lambda: f"/v2/{name(chance)}/manifests/{reference(chance)}",
            lambda: f"/v2/{name(chance)}/blobs/{any_digest(chance)}",
            lambda: f"/v2/{name(chance)}/blobs/{any_digest(chance)}",
            lambda: f"/v2/{name(chance)}/blobs/uploads/",
            lambda: f"/v2/{chance.choice(REPOSITORIES)}/blobs/uploads/{SESSION}",
            lambda: f"/v2/{chance.choice(REPOSITORIES[:1])}/blobs/uploads/{SESSION}",
            lambda: f"/v2/{name(chance)}/blobs/uploads/{chance.choice([SESSION, ugly(chance)])}",
            lambda: f"/v2/{name(chance)}/referrers/{any_digest(chance)}",
            lambda: f"/v2/{chance.choice(['', name(chance) + '/'])}_oci/ext/discover",
            lambda: chance.choice(["/healthz", "/readyz", "/metrics", "/", "/token", "/api/v1/", "*", "/v1/_ping"]),
            lambda: "/v2/" + "/".join(ugly(chance) for _ in range(chance.randint(1, 6))),
            lambda: "/" + "/".join(ugly(chance) for _ in range(chance.randint(1, 3))),
        ]
    )
    made = make()
    if chance.random() < 0.03:
        at = chance.randrange(len(made) + 1)
        made = made[:at] + chance.choice(_UGLY) + made[at:]
    return made.replace(" ", "%20").replace("#", "%23") or "/"


def query(chance: Chance) -> str:
    """A query with its question mark, or nothing."""
    if chance.random() < 0.5:
        return ""
    many = chance.choice([1, 1, 1, 2, 3, 8, 250]) if chance.random() < 0.3 else 1
    return "?" + chance.choice(["&", "&", "&", ";", "&&"]).join(_parameter(chance) for _ in range(many))


def _parameter(chance: Chance) -> str:
    key = chance.choice(_PARAMETERS)
    throw = chance.random()
    if throw < 0.5:
        good = {
            "n": lambda: str(chance.choice([0, 1, 2, 1000, 10**9, 10**18, 10**30])),
            "last": lambda: chance.choice([tag(chance), name(chance)]),
            "artifactType": lambda: chance.choice(_TYPES),
            "digest": lambda: any_digest(chance),
            "mount": lambda: any_digest(chance),
            "from": lambda: name(chance),
            "tag": lambda: tag(chance),
            "digest-algorithm": lambda: chance.choice(["sha256", "sha512", "md5"]),
        }
        value = good.get(key, lambda: ugly(chance))()
    else:
        value = ugly(chance)
    if chance.random() < 0.5:
        value = quote(value, safe=":/")
    return (f"{key}={value}" if chance.random() < 0.95 else key).replace(" ", "%20").replace("#", "%23")


def header(chance: Chance) -> tuple[str, str]:
    """A header that does not change where the request ends."""
    key = (
        chance.choice(_HEADERS) if chance.random() < 0.9 else "X-" + "".join(chance.choices(string.ascii_letters, k=9))
    )
    throw = chance.random()
    if key == "Range" and throw < 0.8:
        return span(chance)
    if key == "Content-Range" and throw < 0.8:
        return key, chance.choice(_CONTENT_RANGES)
    if key in {"Content-Type", "Accept"} and throw < 0.8:
        return key, chance.choice(_TYPES)
    if key.startswith("If-") and throw < 0.6:
        tags = [f'"{any_digest(chance)}"' for _ in range(chance.choice([1, 1, 2, 200]))]
        return key, ", ".join(tags)[:60_000]
    if key == "Connection":
        return key, chance.choice(["keep-alive", "close", "Upgrade", "Keep-Alive, TE", "x"])
    return key, chance.choice(_ODD_VALUES)


def span(chance: Chance) -> tuple[str, str]:
    """A Range: one of a list of strange ones, or one made up, of which half lie in the largest blob."""
    if chance.random() < 0.4:
        return "Range", chance.choice(_RANGES)

    def spec() -> str:
        start, stop = sorted(chance.choice([0, 1, 7, 255, 5000, 76_799, 76_800, 10**6, 10**20]) for _ in range(2))
        return chance.choice([f"{start}-{stop}", f"{start}-{stop}", f"{start}-", f"-{stop}", f"{stop}-{start}", "-"])

    unit = chance.choice(["bytes", "bytes", "bytes", "bytes", "Bytes", "byte", ""])
    specs = [spec() for _ in range(chance.choice([1, 1, 1, 2, 2, 5, 64, 65]))]
    return "Range", f"{unit}=" + chance.choice([",", ",", ", ", " ,"]).join(specs)


def condition(chance: Chance) -> tuple[str, str]:
    """A conditional header with an entity tag that is right now and then."""
    key = chance.choice(["If-None-Match", "If-Match", "If-Range"])
    found = chance.choice(['"{}"', "{}", 'W/"{}"', '"x", "{}"', "*", '"{}']).format(digest(chance.choice(BLOBS)))
    return key, found


def method_of(chance: Chance, path: str) -> str:
    """A method that the route of a path has, as far as that can be seen; one time in ten any other."""
    if chance.random() < 0.1:
        return chance.choice(METHODS + ODD_METHODS)
    if SESSION in path:
        return chance.choice(["GET", "PATCH", "PATCH", "PUT", "PUT", "DELETE"])
    if path.endswith("/uploads/"):
        return "POST"
    if "/manifests/" in path:
        return chance.choice(["GET", "GET", "HEAD", "PUT", "PUT", "DELETE"])
    return chance.choice(["GET", "GET", "HEAD", "DELETE"]) if "/blobs/" in path else "GET"


def content_range(chance: Chance) -> tuple[str, str]:
    """A Content-Range, right or wrong."""
    return "Content-Range", chance.choice(_CONTENT_RANGES)


def media_type(chance: Chance) -> str:
    """A media type, right or wrong."""
    return chance.choice(_TYPES)
