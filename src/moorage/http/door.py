"""What the outermost door knows of the doors behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from moorage.http.request import Request
    from moorage.http.response import Response


class Door(Protocol):
    """Answers the requests for some addresses."""

    def knows(self, path: str) -> bool:
        """Whether a path, without the configured prefix, is one of its own."""
        ...

    async def answer(self, request: Request) -> Response:
        """The answer.

        Raises:
            RegistryError: what went wrong, to be made an answer of by the caller.
        """
        ...
