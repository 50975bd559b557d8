"""Grants as a repository policy of ECR: the way back from an import, so that importing the result changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moorage.core.access import DELETE, OVERWRITE, PULL, PUSH
from moorage.metadata.grants import ALLOW, AUTHENTICATED, DENY, EVERYBODY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.accounts.grants import ShownGrant

VERSIONS = ("2012-10-17", "2008-10-17")
NOTE = "policy "
"""How the note of an imported grant begins; the statement's `Sid` follows."""

PULLING = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
PUSHING = ("ecr:PutImage", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload")
DELETING = ("ecr:BatchDeleteImage",)
"""What ECR calls `pull`, `push` with `overwrite`, and `delete`."""

_SETS = ((frozenset({PULL}), PULLING), (frozenset({PUSH, OVERWRITE}), PUSHING), (frozenset({DELETE}), DELETING))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An imported grant that somebody changed since to what no policy says; an import would remove it."""

    grant: int
    message: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A policy document, and the imported grants that are not in it."""

    document: dict[str, Any]
    left_out: tuple[LeftOut, ...]


def render(imported: Sequence[ShownGrant]) -> Rendered:
    """The document of some imported grants: one statement for each `Sid`, in the order in which they were made."""
    gathered: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    left_out = []
    for shown in imported:
        grant = shown.grant
        words, whom = _words(grant.actions), _principal(shown)
        if not words or not whom or grant.expires_at is not None:
            message = f"Grant {grant.id} was changed to what no policy of ECR says; an import removes it."
            left_out.append(LeftOut(grant.id, message))
        else:
            gathered.setdefault((grant.note.removeprefix(NOTE), grant.effect, words), []).append(whom)
    statements = [_statement(number, *key, whom) for number, (key, whom) in enumerate(gathered.items(), 1)]
    return Rendered({"Version": VERSIONS[0], "Statement": statements}, tuple(left_out))


def _statement(number: int, sid: str, effect: str, words: tuple[str, ...], whom: list[str]) -> dict[str, Any]:
    statement: dict[str, Any] = {} if sid == f"#{number}" else {"Sid": sid}
    everybody: list[str] | str = "*" if whom == ["*"] else whom
    principal = everybody if everybody == "*" else {"AWS": whom}
    return {**statement, "Effect": effect.capitalize(), "Principal": principal, "Action": list(words)}


def _words(actions: str) -> tuple[str, ...]:
    """What ECR calls these actions; none where it has no words for one of them, or the grant has a role."""
    left = frozenset(actions.split(","))
    words: list[str] = []
    for ours, theirs in _SETS:
        if ours <= left:
            words += theirs
            left -= ours
    return () if left else tuple(words)


def _principal(shown: ShownGrant) -> str:
    """How whom a grant is for is written; empty where an import would make somebody else of it."""
    kind = shown.grant.principal_kind
    if (kind, shown.grant.effect) in ((AUTHENTICATED, ALLOW), (EVERYBODY, DENY)):
        return "*"
    return f"{kind}:{shown.principal}" if shown.principal else ""
