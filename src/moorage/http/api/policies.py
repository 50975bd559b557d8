"""`/api/v1/projects/{project_id}/policy`: repository policy documents of ECR, imported as grants and back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import ConfigDict, Field

from moorage.accounts.policy_document import PolicyDocuments
from moorage.http.api.shapes import Body, ObjectId, PlainQuery, Shown, Text, given
from moorage.http.api.who import Known

router = APIRouter(tags=["projects"])

_MOST_PRINCIPALS = 1000


class PolicyImport(Body):
    """A document, and how it is to be understood."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "document": {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Sid": "pull",
                                "Effect": "Allow",
                                "Principal": {"AWS": "arn:aws:iam::111122223333:user/ada"},
                                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                            }
                        ],
                    },
                    "principals": {"arn:aws:iam::111122223333:user/ada": "user:ada"},
                }
            ]
        }
    )

    document: Annotated[dict[Text, Any], Field(description="As ECR has it: Version, Statement.")]
    repository: Annotated[Text, Field(description="Full name, with * and **; empty: the whole project.")] = ""
    principals: Annotated[
        dict[Text, Text],
        Field(max_length=_MOST_PRINCIPALS, description="Who a principal is here: user:NAME, group:NAME, robot:NAME."),
    ] = {}
    partial: Annotated[bool, Field(description="Import what can be; without, a problem keeps all of it out.")] = False
    dry_run: Annotated[bool, Field(description="Say what would be done, and do nothing.")] = False


class PolicyProblem(Shown):
    """Something of a document that could not be taken over; `denies`: without it more would be allowed."""

    statement: str
    message: str
    denies: bool


class ImportedPolicy(Shown):
    """What came of it: ids of grants, and what could not be taken over."""

    made: list[int]
    kept: list[int]
    removed: list[int]
    problems: list[PolicyProblem]


class LeftOutShown(Shown):
    """A grant that an import made and somebody changed since to what no policy says."""

    grant: int
    message: str


class PolicyShown(Shown):
    """A document that makes the same grants when it is imported; `left_out`: what it would remove instead."""

    document: dict[str, Any]
    repository: str
    left_out: list[LeftOutShown]


DocumentsOf = Annotated[PolicyDocuments, given(PolicyDocuments)]


@router.get("/projects/{project_id}/policy")
async def show_policy(
    caller: Known,
    documents: DocumentsOf,
    project_id: ObjectId,
    repository: Annotated[PlainQuery, Query(description="As it was given for the import.")] = "",
) -> PolicyShown:
    """The policy document that imports come to; without statements where there was none. For admins of the project."""
    found = await documents.show(caller, project_id, repository=repository)
    left_out = [LeftOutShown.model_validate(each) for each in found.left_out]
    return PolicyShown(document=found.document, repository=repository, left_out=left_out)


@router.put("/projects/{project_id}/policy")
async def import_policy(
    caller: Known,
    documents: DocumentsOf,
    project_id: ObjectId,
    body: PolicyImport,
) -> ImportedPolicy:
    """Make grants of a document's statements, in place of all that earlier imports for the same repository made."""
    found = await documents.apply(
        caller,
        project_id,
        body.document,
        repository=body.repository,
        principals=body.principals,
        partial=body.partial,
        dry_run=body.dry_run,
    )
    return ImportedPolicy(
        made=list(found.made),
        kept=list(found.kept),
        removed=list(found.removed),
        problems=[PolicyProblem.model_validate(each) for each in found.problems],
    )
