"""What the audit log keeps of something that happened, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moorage.core.access import Caller

OK, REFUSED, FAILED = "ok", "refused", "failed"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit log.

    Attributes:
        action: `<what>.<verb>`: manifest.push, manifest.pull, manifest.delete, tag.delete, blob.delete, blob.mount,
            user.create, user.update, user.delete, login, token.issue, grant.create, project.delete, ...
        outcome: `ok`, `refused` (not allowed, wrong credentials) or `failed`.
        caller: who, from where, with which credential and request.
        target_kind: repository, user, group, robot, token, project, grant, trust-rule, key, system.
        target: its name.
        project_id: the project that its readers must be admins of; None for what belongs to the system.
        detail: JSON values that tell more; never a secret.
    """

    action: str
    outcome: str
    caller: Caller
    target_kind: str
    target: str
    project_id: int | None = None
    detail: dict[str, object] = field(default_factory=dict)
