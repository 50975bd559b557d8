"""The table of all keys: what each takes, and what becomes of it.

The reader, the JSON schema and the reference documentation come from this one table. A key that is not in it
is unknown, which is reported and does no harm.
"""

from __future__ import annotations

from collections.abc import Mapping

from moorage.config import keys_access, keys_http, keys_limits, keys_services, keys_storage, keys_top
from moorage.config.keys import Key, Kind

TABLE: tuple[Key, ...] = (
    *keys_top.FILE,
    *keys_top.LOG,
    *keys_storage.DRIVERS,
    *keys_storage.BESIDE,
    *keys_storage.S3,
    *keys_storage.AZURE,
    *keys_storage.GCS,
    *keys_storage.SWIFT,
    *keys_storage.OSS,
    *keys_access.AUTH,
    *keys_access.MIDDLEWARE,
    *keys_http.ADDRESS,
    *keys_http.TLS,
    *keys_http.DEBUG,
    *keys_top.LISTS,
    *keys_access.VALIDATION,
    *keys_top.OWN,
    *keys_limits.AUDIT,
    *keys_limits.LIMITS,
    *keys_services.NOTIFICATIONS,
    *keys_services.REDIS,
    *keys_services.HEALTH,
    *keys_services.PROXY,
    *keys_services.OLD,
)

# The section that stands for the whole file.
TOP = Key("", Kind.SECTION)


def _by_parent() -> dict[str, dict[str, Key]]:
    children: dict[str, dict[str, Key]] = {}
    for key in TABLE:
        names = children.setdefault(key.parent, {})
        if key.name in names:
            raise ValueError(f"the key {key.path} is in the table twice")
        names[key.name] = key
    return children


_CHILDREN = _by_parent()


def children(path: str) -> Mapping[str, Key]:
    """Return the rows right below the section or list `path` by their names; empty for anything else.

    path: as in the rows, without `[]` at its end; "" for the top.
    """
    return _CHILDREN.get(path, {})
