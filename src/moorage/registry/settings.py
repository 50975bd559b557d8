"""The rules that the use cases of the registry follow."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """What may be pushed, listed and deleted.

    delete_enabled: whether manifests, tags and blobs may be deleted (405 on all three routes when not).
        Without any configuration file this is true. With a Distribution configuration file,
        `storage.delete.enabled` counts exactly as Distribution reads it: a file that does not mention it
        turns deleting off.
    readonly: refuse everything that writes (`storage.maintenance.readonly.enabled`).
    manifest_limit: largest manifest accepted, in bytes.
    tags_page: most tags in one answer of `tags/list`, and the page size when the client names none.
    catalog_page: most repositories in one answer of `_catalog`, and the page size when none is named.
    platforms: which children of an index must exist when it is pushed: "all", "none", or "list" (only those
        for a platform in `platform_list`); `validation.manifests.indexes.platforms` of Distribution.
    platform_list: pairs of (architecture, operating system), used when `platforms` is "list".
    validate: apply the rules about platforms and URLs in this object; `validation.disabled` turns them off.
    sparse: accept manifests whose children or layers are absent; the own key `validation.manifests.sparse`.
    url_allow: regular expressions; when not empty, each URL in a pushed manifest must match one of them.
    url_deny: regular expressions; a URL in a pushed manifest must match none of them.
    repository_allow: regular expressions; when not empty, only repositories whose name matches one may be
        pushed to. From `middleware.registry`, entry `repository`, `options.allow`.
        All regular expressions compile with `re` and match anywhere in the text, as `re.search` does;
        they are anchored only where they say so.
    lease_seconds: how long a blob that a client was told about stays safe from garbage collection although
        nothing refers to it yet, in seconds.
    classes: classes of content that may be pushed, "image" and "plugin"; empty means everything, which is more than
        both (`policy.repository.classes`).
    """

    delete_enabled: bool = True
    readonly: bool = False
    manifest_limit: int = 4 * 1024 * 1024
    tags_page: int = 1000
    catalog_page: int = 1000
    platforms: str = "all"
    platform_list: tuple[tuple[str, str], ...] = ()
    validate: bool = True
    sparse: bool = False
    url_allow: tuple[str, ...] = ()
    url_deny: tuple[str, ...] = ()
    repository_allow: tuple[str, ...] = ()
    lease_seconds: int = 86_400
    classes: tuple[str, ...] = ()
