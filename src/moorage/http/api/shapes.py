"""What the bodies, parameters and answers of all routes have in common."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, StringConstraints

MOST_ID = 2**63 - 1
LONGEST = 1024
PLAIN = r"^[^\x00]*$"
"""No NUL: PostgreSQL does not take it in text."""

T = TypeVar("T")

ObjectId = Annotated[int, Path(ge=1, le=MOST_ID, description="The object's id.")]
"""An id in a path."""

Text = Annotated[str, StringConstraints(max_length=LONGEST, pattern=PLAIN)]
"""Text of a body; what it may hold in detail is said by the use case."""


PlainQuery = Annotated[str, Query(max_length=LONGEST, pattern=PLAIN)]
"""Text in a query; give it a default of "" and it is optional."""


class Body(BaseModel):
    """What a client sends. Members that are not named are refused, so that nobody can set what is not theirs to set."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Shown(BaseModel):
    """What a client gets, made of an object of a use case by `of`."""

    model_config = ConfigDict(from_attributes=True, extra="forbid")


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str = ""
    errors: list[dict[str, str]] = []
    more: Any = None


def given(kind: type[T]) -> Any:
    """A dependency: the use case of that type, as the wiring built it."""

    async def find(request: Request) -> T:
        found: T = request.app.state.services[kind]
        return found

    return Depends(find)
