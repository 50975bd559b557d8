"""`/account`: who am I, and my personal access tokens."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from moorage.accounts.access_tokens import DAY, DEFAULT_SECONDS, MAX_NAME, MOST_TOKENS
from moorage.core.errors import Conflict, Denied, Invalid, ObjectUnknown
from moorage.http.request import whole_number
from moorage.http.ui.addresses import ACCOUNT, LOGIN
from moorage.http.ui.forms import read_own_form, token_of
from moorage.http.ui.visitors import session_cookie

if TYPE_CHECKING:
    from moorage.accounts.access_tokens import AccessTokens, MadeToken
    from moorage.accounts.own_groups import OwnGroups
    from moorage.core.clock import Clock
    from moorage.core.errors import RegistryError
    from moorage.http.request import Request
    from moorage.http.response import Response
    from moorage.http.ui.view import View
    from moorage.http.ui.visitors import Visitor
    from moorage.metadata.access_tokens import AccessToken

_UNKNOWN = "You have no such token; it may be revoked already."


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, for people and for programs."""

    words: str
    iso: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What was typed in for a token to be made."""

    name: str = ""
    scopes: str = ""
    days: str = ""


class AccountPages:
    """One's own account.

    Args:
        view: makes pages.
        tokens: personal access tokens.
        groups: whose groups are which.
        clock: what has expired.
        longest: most seconds that a token may live.
    """

    def __init__(self, view: View, tokens: AccessTokens, groups: OwnGroups, clock: Clock, longest: float) -> None:
        self._view = view
        self._tokens = tokens
        self._groups = groups
        self._clock = clock
        self._days = int(longest // DAY)

    async def show(self, request: Request, visitor: Visitor | None) -> Response:
        """The page."""
        if visitor is None:
            return self._to_login(request)
        return await self._page(request, visitor, 200)

    async def back(self, request: Request, visitor: Visitor | None) -> Response:
        """Where a form is sent there is nothing to see."""
        return self._view.redirect(303, f"{request.prefix}{ACCOUNT}")

    async def create(self, request: Request, visitor: Visitor | None) -> Response:
        """Make a token: the page has it, for this once."""
        if visitor is None:
            return self._to_login(request)
        form = await read_own_form(request, visitor.secret)
        draft = Draft(form.one("name"), form.one("scopes"), form.one("days"))
        try:
            seconds = self._seconds(draft.days)
            made = await self._tokens.create(visitor.caller, draft.name, scopes=draft.scopes.split(), seconds=seconds)
        except (Invalid, Conflict, Denied) as error:
            return await self._page(request, visitor, error.status, draft=draft, error=error)
        return await self._page(request, visitor, 200, made=made)

    async def ask(self, request: Request, visitor: Visitor | None) -> Response:
        """Whether the token in the query is meant to be revoked."""
        given = request.value("id")
        if given is None:
            return await self.back(request, visitor)
        if visitor is None:
            return self._to_login(request)
        mine = await self._mine(visitor, given)
        return self._view.page(request, 200, "revoke", token=token_of(visitor.secret), mine=mine)

    async def revoke(self, request: Request, visitor: Visitor | None) -> Response:
        """Revoke one of one's own tokens."""
        if visitor is None:
            return self._to_login(request)
        form = await read_own_form(request, visitor.secret)
        token = await self._mine(visitor, form.one("id"))
        await self._tokens.delete(visitor.caller, token.id)
        return self._view.redirect(303, f"{request.prefix}{ACCOUNT}")

    async def _mine(self, visitor: Visitor, number: str) -> AccessToken:
        try:
            token = await self._tokens.get(visitor.caller, whole_number(number) or 0)
        except ObjectUnknown:
            raise ObjectUnknown(_UNKNOWN) from None
        if token.user_id != visitor.identity.id:
            raise ObjectUnknown(_UNKNOWN)
        return token

    def _to_login(self, request: Request) -> Response:
        """The cookie of a session that has ended is of no more use."""
        return self._view.redirect(303, f"{request.prefix}{LOGIN}", [session_cookie(request, "")])

    def _seconds(self, days: str) -> float | None:
        if not days:
            return None
        number = whole_number(days)
        if number is None or not 1 <= number <= self._days:
            raise Invalid(f"A token lives for 1 to {self._days} days; write a whole number of them.")
        return number * DAY

    async def _page(
        self,
        request: Request,
        visitor: Visitor,
        status: int,
        *,
        draft: Draft | None = None,
        error: RegistryError | None = None,
        made: MadeToken | None = None,
    ) -> Response:
        who = visitor.identity
        tokens = await self._tokens.list(visitor.caller, user_id=who.id, limit=MOST_TOKENS)
        usual = min(self._days, int(DEFAULT_SECONDS // DAY))
        return self._view.page(
            request,
            status,
            "account",
            who=who,
            groups=await self._groups.names(who),
            token=token_of(visitor.secret),
            mine=tokens,
            made=made,
            command=_command(request, who.name),
            draft=draft or Draft(days=str(usual)),
            wrong=error.message if error is not None else "",
            days=self._days,
            longest_name=MAX_NAME,
            now=self._clock.now(),
            moment=moment,
        )


def moment(seconds: float) -> Moment:
    """A time in seconds since 1970, to the minute."""
    time = datetime.fromtimestamp(seconds, UTC)
    return Moment(f"{time:%Y-%m-%d %H:%M} UTC", f"{time:%Y-%m-%dT%H:%M:%SZ}")


def _command(request: Request, name: str) -> str:
    """What to type to log docker in; it asks for the token, so that no history of a shell has it."""
    return f"docker login -u {shlex.quote(name)} {request.origin().partition('://')[2]}".rstrip()
