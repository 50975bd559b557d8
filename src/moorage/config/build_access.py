"""From values to the settings of who may do what."""

from __future__ import annotations

from pathlib import Path

from moorage.auth.settings import HtpasswdSettings
from moorage.config.build_serve import is_reachable
from moorage.config.check import Values
from moorage.config.overrides import Overrides
from moorage.config.settings import ServeSettings
from moorage.config.table import children
from moorage.registry.settings import RegistrySettings

_DEFAULTS = RegistrySettings()


def build_auth(values: Values, overrides: Overrides, serve: ServeSettings) -> tuple[str, HtpasswdSettings | None]:
    """Return "none", "htpasswd", "token" or "local", and the settings of the second.

    Everything that would leave the door open by mistake is an error.
    """
    doors = [name for name in children("auth") if f"auth.{name}" in values]
    if overrides.auth is not None:
        return _overridden(values, overrides.auth, doors), None
    if len(doors) > 1:
        message = f"names {', '.join(doors)}: exactly one is needed; remove the others"
        values.report.error("auth", message, values.origin(f"auth.{doors[-1]}"))
    if doors == ["htpasswd"]:
        return "htpasswd", _htpasswd(values)
    if doors in (["local"], ["token"]):
        return doors[0], None
    if not doors and is_reachable(serve):
        message = (
            f"is missing, and {serve.host}:{serve.port} can be reached from other machines: accounts of the registry "
            "itself are on; write `auth: local` to say so, or `auth: none` to let everybody push and delete"
        )
        values.report.warning("auth", message, values.origin("http.addr"))
        return "local", None
    return "none", None


def _overridden(values: Values, wanted: str, doors: list[str]) -> str:
    if wanted not in ("none", "local"):
        values.report.error("auth", f"`--auth {wanted}` is not known; `none` and `local` are")
        return "none"
    if any(door != wanted for door in doors):
        what = "everybody may do everything" if wanted == "none" else "accounts of the registry itself are on"
        message = f"is not used, because `--auth {wanted}` was given: {what}"
        values.report.warning("auth", message, values.origin("auth"))
    return wanted


def _htpasswd(values: Values) -> HtpasswdSettings:
    for name in ("realm", "path"):
        if not values.text(f"auth.htpasswd.{name}"):
            values.report.error(f"auth.htpasswd.{name}", "is missing; it is required", values.origin("auth.htpasswd"))
    path = values.text("auth.htpasswd.path")
    return HtpasswdSettings(realm=values.text("auth.htpasswd.realm"), path=Path(path))


def build_registry(values: Values, *, has_file: bool) -> RegistrySettings:
    """Return the rules of the use cases.

    has_file: with a file, an absent `storage.delete.enabled` means no, as in Distribution.
    """
    return RegistrySettings(
        delete_enabled=values.flag("storage.delete.enabled", default=not has_file),
        readonly=values.flag("storage.maintenance.readonly.enabled", default=False),
        manifest_limit=values.count("registry.manifestlimit", _DEFAULTS.manifest_limit),
        tags_page=_page(values, "tags.maxtags", _DEFAULTS.tags_page),
        catalog_page=_page(values, "catalog.maxentries", _DEFAULTS.catalog_page),
        platforms=_platforms(values),
        platform_list=_platform_list(values),
        # Distribution's rule: the old key, where it says yes, wins over the new one.
        validate=values.flag("validation.enabled", default=False)
        or not values.flag("validation.disabled", default=False),
        sparse=values.flag("validation.manifests.sparse", default=False),
        url_allow=values.texts("validation.manifests.urls.allow"),
        url_deny=values.texts("validation.manifests.urls.deny"),
        repository_allow=_repository_allow(values),
        lease_seconds=int(values.seconds("registry.lease", _DEFAULTS.lease_seconds)),
        classes=values.texts("policy.repository.classes"),
    )


def _page(values: Values, path: str, default: int) -> int:
    wanted = values.count(path, default)
    return wanted if wanted > 0 else default


_INDEXES = "validation.manifests.indexes"


def _platforms(values: Values) -> str:
    wanted = values.text(f"{_INDEXES}.platforms", _DEFAULTS.platforms)
    if wanted == "list" and not values.length(f"{_INDEXES}.platformlist"):
        message = "is `list`, but `platformlist` names no platform, so no child of an index is checked; add some"
        values.report.warning(f"{_INDEXES}.platforms", message, values.origin(f"{_INDEXES}.platforms"))
    return wanted


def _platform_list(values: Values) -> tuple[tuple[str, str], ...]:
    platforms: list[tuple[str, str]] = []
    for index in range(values.length(f"{_INDEXES}.platformlist")):
        entry = f"{_INDEXES}.platformlist[{index}]"
        architecture, system = values.text(f"{entry}.architecture"), values.text(f"{entry}.os")
        if not (architecture and system):
            message = "needs both `architecture` and `os`"
            values.report.error(entry, message, values.origin(entry))
        platforms.append((architecture, system))
    return tuple(platforms)


def _repository_allow(values: Values) -> tuple[str, ...]:
    patterns: list[str] = []
    for index in range(values.length("middleware.registry")):
        entry = f"middleware.registry[{index}]"
        if values.flag(f"{entry}.disabled", default=False):
            continue
        name = values.text(f"{entry}.name")
        if name == "repository":
            patterns.extend(values.texts(f"{entry}.options.allow"))
        else:
            message = f"{name!r} is no middleware that is known here, and has no effect; only `repository` is"
            values.report.warning(f"{entry}.name", message, values.origin(entry))
    return tuple(patterns)
