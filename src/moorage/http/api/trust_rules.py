"""`/api/v1/trust-rules`: whose OIDC tokens are as good as a robot's secret."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import ConfigDict, Field

from moorage.accounts.trust_rules import TrustRuleChange, TrustRules
from moorage.auth.trust import MOST_CONDITIONS, parse_conditions, warnings_about
from moorage.http.api.etags import IfMatch, set_etag
from moorage.http.api.paging import Paged
from moorage.http.api.shapes import MOST_ID, Body, ObjectId, PlainQuery, Shown, Text, given
from moorage.http.api.times import Moment
from moorage.http.api.who import Known
from moorage.metadata.trust_rules import TrustRule

router = APIRouter(tags=["trust rules"])

RulesOf = Annotated[TrustRules, given(TrustRules)]
Conditions = Annotated[
    list[dict[str, Any]],
    Field(
        min_length=1,
        max_length=MOST_CONDITIONS,
        description="All must hold. Each has `claim` (a name, or the names on the way to it) and one of `equals`, "
        "`one_of` and `glob`.",
    ),
]


class NewTrustRule(Body):
    """A rule to be made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "website-main",
                    "robot_id": 7,
                    "issuer": "https://token.actions.githubusercontent.com",
                    "audience": "registry.example.com",
                    "conditions": [
                        {"claim": "repository", "equals": "example/website"},
                        {"claim": "ref", "equals": "refs/heads/main"},
                    ],
                }
            ]
        }
    )

    name: Text
    robot_id: Annotated[int, Field(ge=1, le=MOST_ID)]
    issuer: Text
    audience: Text
    conditions: Conditions
    disabled: bool = False


class TrustRulePatch(Body):
    """What is to become of a rule; members that are missing or null stay as they are."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"disabled": True}]})

    name: Text | None = None
    issuer: Text | None = None
    audience: Text | None = None
    conditions: Conditions | None = None
    disabled: bool | None = None


class TrustRuleShown(Shown):
    """A trust rule; `warnings` are what its author should think about."""

    id: int
    name: str
    robot_id: int
    robot: str
    issuer: str
    audience: str
    conditions: list[dict[str, Any]]
    disabled: bool
    created_at: Moment
    created_by: str
    last_used_at: Moment | None
    version: int
    warnings: Annotated[list[str], Field(default_factory=list)]


class TrustRulePage(Shown):
    """Some rules."""

    items: list[TrustRuleShown]


@router.get("/trust-rules")
async def list_trust_rules(
    caller: Known,
    rules: RulesOf,
    page: Paged,
    robot_id: Annotated[int | None, Query(ge=1, le=MOST_ID, description="Of which robot; missing: all.")] = None,
    prefix: PlainQuery = "",
    name: PlainQuery = "",
) -> TrustRulePage:
    """Rules by name: of a robot for who manages it, all for system admins. `name` finds one of each robot at most."""
    found = await rules.list(caller, robot_id=robot_id, name=name, prefix=prefix, after=page.after, limit=page.limit)
    return TrustRulePage(items=[_shown(rule) for rule in page.cut(found, lambda rule: rule.mark)])


@router.post("/trust-rules", status_code=201)
async def create_trust_rule(caller: Known, rules: RulesOf, body: NewTrustRule, response: Response) -> TrustRuleShown:
    """Make a rule for a robot."""
    rule = await rules.create(
        caller,
        body.name,
        robot_id=body.robot_id,
        issuer=body.issuer,
        audience=body.audience,
        conditions=body.conditions,
        disabled=body.disabled,
    )
    set_etag(response, rule.version)
    response.headers["location"] = f"/api/v1/trust-rules/{rule.id}"
    return _shown(rule)


@router.get("/trust-rules/{rule_id}")
async def show_trust_rule(caller: Known, rules: RulesOf, rule_id: ObjectId, response: Response) -> TrustRuleShown:
    """A rule."""
    rule = await rules.get(caller, rule_id)
    set_etag(response, rule.version)
    return _shown(rule)


@router.patch("/trust-rules/{rule_id}")
async def change_trust_rule(
    caller: Known, rules: RulesOf, rule_id: ObjectId, body: TrustRulePatch, version: IfMatch, response: Response
) -> TrustRuleShown:
    """Change a rule. Its robot stays."""
    rule = await rules.change(caller, rule_id, TrustRuleChange(**body.model_dump()), version)
    set_etag(response, rule.version)
    return _shown(rule)


@router.delete("/trust-rules/{rule_id}", status_code=204)
async def delete_trust_rule(caller: Known, rules: RulesOf, rule_id: ObjectId, version: IfMatch) -> None:
    """Remove a rule; registry tokens that were got by it end within their lifetime."""
    await rules.delete(caller, rule_id, version)


def _shown(rule: TrustRule) -> TrustRuleShown:
    shown = TrustRuleShown.model_validate(rule)
    shown.warnings = warnings_about(parse_conditions(rule.issuer, list(rule.conditions)))
    return shown
