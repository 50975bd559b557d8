"""`/api/v1/access`: why somebody may do something, or may not."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from moorage.accounts.explain import Explain
from moorage.http.api.grants import Action
from moorage.http.api.shapes import PlainQuery, Shown, given
from moorage.http.api.who import Known

router = APIRouter(tags=["access"])


class RuleShown(Shown):
    """A rule that had a say; `gives` is false where it takes away."""

    kind: str
    gives: bool
    grant: int | None
    project: str
    sentence: str


class ExplanationShown(Shown):
    """Whether it is allowed; `actions`: all that is allowed there; `rules`: the one that decided is the first."""

    allowed: bool
    reason: str
    project: str
    actions: list[str]
    rules: list[RuleShown]


@router.get("/access/explain")
async def explain_access(
    caller: Known,
    explain: Annotated[Explain, given(Explain)],
    *,
    kind: Literal["user", "robot", "anonymous", "authenticated"],
    principal: Annotated[PlainQuery, Query(description="A name; empty for anonymous and authenticated.")] = "",
    repository: Annotated[PlainQuery, Query(description="Its name, whether it exists or not.")],
    action: Action,
) -> ExplanationShown:
    """Why somebody may do something on a repository, or may not; for admins of its project, and about oneself."""
    found = await explain.explain(caller, kind, principal, repository, action)
    rules = sorted(found.rules, key=lambda rule: rule is not found.decisive)
    return ExplanationShown(
        allowed=found.allowed,
        reason=found.reason,
        project=found.project,
        actions=sorted(found.actions),
        rules=[RuleShown.model_validate(rule) for rule in rules],
    )
