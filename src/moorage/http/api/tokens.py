"""`/api/v1/tokens`: personal access tokens. The token itself is in the answer that makes it, and in no other."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import ConfigDict, Field

from moorage.accounts.access_tokens import AccessTokens
from moorage.accounts.token_scopes import MOST_SCOPES
from moorage.http.api.etags import IfMatch, set_etag
from moorage.http.api.paging import Paged
from moorage.http.api.shapes import MOST_ID, Body, ObjectId, Shown, Text, given
from moorage.http.api.times import Moment
from moorage.http.api.who import Known

router = APIRouter(tags=["tokens"])

TokensOf = Annotated[AccessTokens, given(AccessTokens)]
MOST_SECONDS = 100 * 366 * 86400


class NewToken(Body):
    """A token to be made, for whoever asks."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "laptop", "scopes": ["repository:team/**:pull"], "lifetime": 2592000}]}
    )

    name: Text
    scopes: Annotated[
        list[Text],
        Field(
            default_factory=list,
            max_length=MOST_SCOPES,
            description="repository:NAME:ACTIONS with * and **; empty: all its owner may.",
        ),
    ]
    lifetime: Annotated[
        int | None, Field(ge=1, le=MOST_SECONDS, description="Seconds; missing: 90 days, or less where so configured.")
    ] = None
    user_id: Annotated[
        int | None, Field(ge=1, le=MOST_ID, description="The owner, on the command line of a root; else yourself.")
    ] = None


class TokenShown(Shown):
    """A personal access token, without the token."""

    id: int
    user_id: int
    user: str
    name: str
    scopes: list[str]
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Moment | None
    version: int


class TokenMade(Shown):
    """A token, and what it is: nobody can read that a second time."""

    token: TokenShown
    secret: str


class TokenPage(Shown):
    """Some tokens."""

    items: list[TokenShown]


@router.get("/tokens")
async def list_tokens(
    caller: Known,
    tokens: TokensOf,
    page: Paged,
    user_id: Annotated[int | None, Query(ge=1, le=MOST_ID, description="Whose; missing: all you may see.")] = None,
) -> TokenPage:
    """Tokens by id: everybody's for a system admin, for others the own ones."""
    found = await tokens.list(caller, user_id=user_id, after=page.after_id, limit=page.limit)
    return TokenPage(items=[TokenShown.model_validate(each) for each in page.cut(found, lambda token: token.id)])


@router.post("/tokens", status_code=201)
async def create_token(caller: Known, tokens: TokensOf, body: NewToken, response: Response) -> TokenMade:
    """Make a token for oneself; the answer has it, once."""
    seconds = None if body.lifetime is None else float(body.lifetime)
    made = await tokens.create(caller, body.name, scopes=body.scopes, seconds=seconds, user_id=body.user_id)
    set_etag(response, made.token.version)
    response.headers["location"] = f"/api/v1/tokens/{made.token.id}"
    response.headers["cache-control"] = "no-store"
    return TokenMade(token=TokenShown.model_validate(made.token), secret=made.secret)


@router.get("/tokens/{token_id}")
async def show_token(caller: Known, tokens: TokensOf, token_id: ObjectId, response: Response) -> TokenShown:
    """A token, without what it is."""
    token = await tokens.get(caller, token_id)
    set_etag(response, token.version)
    return TokenShown.model_validate(token)


@router.delete("/tokens/{token_id}", status_code=204)
async def delete_token(caller: Known, tokens: TokensOf, token_id: ObjectId, version: IfMatch) -> None:
    """Revoke a token: the next request with it is refused."""
    await tokens.delete(caller, token_id, version)
