"""ECR's repository policies, read: what becomes of each member, and that nothing is dropped in silence."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.accounts.policy_document import MOST_STATEMENTS, read_document
from moorage.accounts.wanted_grants import WantedGrant
from moorage.core.errors import Invalid

PULLING = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
PUSHING = ["ecr:PutImage", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"]
STATEMENT: dict[str, Any] = {"Sid": "S", "Effect": "Allow", "Principal": "user:alice", "Action": PULLING}


def read(**members: Any) -> tuple[list[WantedGrant], list[str]]:
    """A document of one statement; the problems as sentences."""
    grants, problems = read_document({"Statement": [{**STATEMENT, **members}]}, "", {})
    return grants, [problem.message for problem in problems]


@pytest.mark.parametrize(
    ("actions", "ours"),
    [
        (PULLING, ("pull",)),
        ([*PULLING, "ecr:BatchCheckLayerAvailability", "ecr:ListImages"], ("pull",)),
        (["ECR:batchgetimage", "ecr:getdownloadurlforlayer"], ("pull",)),
        ([*PULLING, *PUSHING], ("pull", "push", "overwrite")),
        (PUSHING, ("push", "overwrite")),
        ("ecr:BatchDeleteImage", ("delete",)),
        ("ecr:*", ("pull", "push", "overwrite", "delete")),
        ("*", ("pull", "push", "overwrite", "delete")),
        (["ecr:BatchG*", "ecr:GetDownload*"], ("pull",)),
    ],
)
def test_actions(actions: object, ours: tuple[str, ...]) -> None:
    assert read(Action=actions) == ([WantedGrant("user", "alice", actions=ours, note="policy S")], [])


@pytest.mark.parametrize(
    ("members", "word"),
    [
        ({"Action": ["ecr:BatchGetImage"]}, "together with ecr:getdownloadurlforlayer"),
        ({"Action": PUSHING[:2]}, "together with"),
        ({"Action": "ecr:ListImages"}, "not alone"),
        ({"Action": "ecr:GetAuthorizationToken"}, "needs no right"),
        ({"Action": "ecr:SetRepositoryPolicy"}, "no meaning"),
        ({"Action": []}, "Action is missing"),
        ({"Condition": {"Bool": {}}}, "Conditions cannot be checked"),
        ({"NotAction": "ecr:*"}, "NotAction"),
        ({"NotPrincipal": "*"}, "NotPrincipal"),
        ({"Resource": "*"}, "no Resource"),
        ({"Odd": 1}, "Odd has no meaning"),
        ({"Effect": "allow"}, "Effect"),
        ({"Principal": {"AWS": "arn:aws:iam::1:root"}}, "Nobody here is known as arn:aws:iam::1:root"),
        ({"Principal": {"Service": "codebuild.amazonaws.com"}}, "Nobody here"),
        ({"Principal": []}, "Principal is missing"),
    ],
)
def test_what_has_no_meaning_here_is_reported(members: dict[str, Any], word: str) -> None:
    grants, problems = read(**members)
    assert grants == []
    assert len(problems) == 1
    assert word in problems[0]


def test_half_of_an_action_is_denied_as_a_whole() -> None:
    grants, problems = read(Effect="Deny", Action="ecr:PutImage", Principal="*")
    assert problems == []
    assert grants == [WantedGrant("anonymous", actions=("push", "overwrite"), effect="deny", note="policy S")]


def test_who_everybody_is() -> None:
    grants, _ = read(Principal={"AWS": "*"})
    assert [(grant.kind, grant.principal) for grant in grants] == [("authenticated", "")]


def test_several_principals_by_a_mapping() -> None:
    known = {"arn:a": "group:devs", "123": "robot:team+ci"}
    statement = {**STATEMENT, "Principal": {"AWS": ["arn:a", "123", "unknown"]}}
    grants, problems = read_document({"Statement": statement}, "team/app", known)
    assert [(one.kind, one.principal, one.pattern) for one in grants] == [
        ("group", "devs", "team/app"),
        ("robot", "team+ci", "team/app"),
    ]
    assert [problem.statement for problem in problems] == ["S"]


def test_a_problem_of_a_deny_says_so() -> None:
    _, problems = read_document({"Statement": {**STATEMENT, "Effect": "Deny", "Condition": {}}}, "", {})
    assert [problem.denies for problem in problems] == [True]


def test_a_statement_without_a_name_has_its_number() -> None:
    grants, _ = read_document({"Statement": [{**STATEMENT, "Sid": ""}]}, "", {})
    assert grants[0].note == "policy #1"


@pytest.mark.parametrize("document", [{}, {"Statement": "x"}, {"Statement": [{}] * (MOST_STATEMENTS + 1)}])
def test_what_is_no_document(document: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        read_document(document, "", {})


def test_members_and_versions_that_are_not_known() -> None:
    _, problems = read_document({"Version": "2030-01-01", "Odd": 1, "Statement": STATEMENT}, "", {})
    assert len(problems) == 2
