"""What the doors know of how people prove who they are."""

from __future__ import annotations

from typing import Protocol

from moorage.core.access import Identity


class Authenticator(Protocol):
    """Tells from the `Authorization` header who asks.

    The door asks `known` first, which is cheap and does not wait, and `identify` where that says None:
    `who = auth.known(header) or await auth.identify(header)`. Whether ANONYMOUS may do what it asks for is not
    decided here: where it may not, the door answers 401 with `challenge()`.
    """

    def known(self, authorization: str | None) -> Identity | None:
        """Who that is, where it can be told at once; None where `identify` has to find out.

        No header, and empty credentials (`Basic Og==`), are ANONYMOUS.
        """
        ...

    async def identify(self, authorization: str | None) -> Identity:
        """Who that is; ANONYMOUS without credentials.

        Raises:
            Unauthorized: for credentials that are wrong or cannot be read, with the challenge in it.
            TooManyRequests: so many credentials wait to be checked that this one would wait too long.
        """
        ...

    def challenge(self) -> str:
        """The value of `WWW-Authenticate` for an answer with 401."""
        ...
