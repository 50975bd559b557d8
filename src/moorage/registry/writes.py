"""Whether anything may be changed at all, asked by each use case that changes something."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from moorage.core.errors import Denied, ReadOnly, Unsupported

if TYPE_CHECKING:
    from moorage.registry.settings import RegistrySettings


class Writes:
    """The operator's switches on changes.

    Args:
        settings: read-only mode, deletion, and the repository names that may be pushed to.
    """

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._allowed = [re.compile(pattern) for pattern in settings.repository_allow]

    def check_push(self, name: str) -> None:
        """May this repository be pushed to?

        Raises:
            ReadOnly: `storage.maintenance.readonly` is on.
            Denied: its name matches none of the operator's patterns.
        """
        self.check_writable()
        if self._allowed and not any(pattern.search(name) for pattern in self._allowed):
            raise Denied(
                "This registry accepts pushes only to the repositories that its operator allows.", {"name": name}
            )

    def check_writable(self) -> None:
        """May anything be changed?

        Raises:
            ReadOnly: `storage.maintenance.readonly` is on.
        """
        if self._settings.readonly:
            raise ReadOnly

    def check_delete(self) -> None:
        """May anything be deleted?

        Raises:
            ReadOnly, Unsupported: no; the same answer on all three routes (CVE-2026-41888).
        """
        self.check_writable()
        if not self._settings.delete_enabled:
            raise Unsupported("Deleting is switched off here (storage.delete.enabled).")
