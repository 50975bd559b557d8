"""`/api/v1/login` and `/logout`: a session for the pages, in a cookie that scripts cannot read."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import ConfigDict

from moorage.accounts.login import Login
from moorage.accounts.sessions import COOKIE, LIFE_SECONDS, Sessions
from moorage.core.errors import ObjectUnknown
from moorage.http.api.shapes import Body, Text, given
from moorage.http.api.who import Asked, read_cookie

router = APIRouter(tags=["sessions"])

_NONE = "There are sessions only where the registry keeps its own accounts (auth.local)."


class SessionDoor:
    """Begins and ends sessions.

    Args:
        login: checks names and passwords; None where there are no accounts of our own.
        sessions: keeps them.
    """

    def __init__(self, login: Login | None, sessions: Sessions) -> None:
        self._login = login
        self._sessions = sessions

    async def begin(self, name: str, password: str, address: str, request_id: str, old: str) -> str:
        """The secret of a new session; the one whose secret is `old`, where there is one, ends.

        Raises:
            Unauthorized: wrong, or no password of a person: tokens and robots get no session.
            TooManyRequests: it was wrong too often.
            ObjectUnknown: there are no accounts here.
        """
        if self._login is None:
            raise ObjectUnknown(_NONE)
        proof = await self._login.enter(name, password, address, request_id)
        return await self._sessions.create(proof.identity.id, proof.epoch, address, old=old, request_id=request_id)

    async def end(self, secret: str, address: str, request_id: str) -> None:
        """End a session, if there is one."""
        await self._sessions.end(secret, address, request_id)


class Credentials(Body):
    """A user's name and password."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "ada", "password": "correct horse battery"}]})

    name: Text
    password: Text


DoorOf = Annotated[SessionDoor, given(SessionDoor)]


@router.post("/login", status_code=204)
async def log_in(asked: Asked, door: DoorOf, body: Credentials) -> Response:
    """Begin a session: the answer sets its cookie. A session whose cookie is sent ends."""
    secret = await door.begin(body.name, body.password, asked.address, asked.id, read_cookie(asked) or "")
    answer = Response(status_code=204)
    answer.set_cookie(
        COOKIE,
        secret,
        max_age=int(LIFE_SECONDS),
        path="/",
        secure=asked.origin().startswith("https:"),
        httponly=True,
        samesite="lax",
    )
    return answer


@router.post("/logout", status_code=204)
async def log_out(asked: Asked, door: DoorOf) -> Response:
    """End the session whose cookie is sent; nothing happens without one."""
    secret = read_cookie(asked)
    if secret is not None:
        await door.end(secret, asked.address, asked.id)
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return answer
