"""Why somebody may do something where no grant decides: an open registry, or one with users in an htpasswd file.

There is one rule then, and no grant, role, visibility or project has a say. What is said here is what
`moorage.auth.plain_policy` and a registry without any policy do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.core.access import EVERYTHING
from moorage.core.errors import ObjectUnknown
from moorage.metadata.grants import AUTHENTICATED, EVERYBODY
from moorage.metadata.pages import Page
from moorage.metadata.users import list_users

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

OPEN, FILE, ELSEWHERE = "none", "htpasswd", "token"
"""Values of `auth`."""

_OPEN = "The registry is open (auth: none): everybody may do everything, and no grant has a say."
_IN_FILE = "Whoever is in the htpasswd file may do everything (auth.htpasswd), and no grant has a say."
_NOBODY = "Without a login nobody may do anything (auth.htpasswd); no grant and no public project has a say."
_UNKNOWN = "There is no such user in the htpasswd file; no others log in here (auth.htpasswd)."
_NOT_HERE = "Who may do what is said by the program that gives out the tokens (auth.token); ask that one."


@dataclass(frozen=True, slots=True)
class PlainRule:
    """The rule of a mode.

    Attributes:
        mode: as in the settings.
        gives: whether it allows everything; else it allows nothing.
        sentence: the same for people.
    """

    mode: str
    gives: bool
    sentence: str

    @property
    def actions(self) -> frozenset[str]:
        """What it allows."""
        return EVERYTHING if self.gives else frozenset()


class PlainRules:
    """What counts in place of grants.

    Args:
        mode: `none`, `htpasswd` or `token`.
        is_user: whether the htpasswd file has a user now; asked with `htpasswd` only.
        guessed: that the registry is open is only the default here, and a server may have been started otherwise:
            where there are users, grants are taken to count.
    """

    def __init__(self, mode: str, is_user: Callable[[str], bool] = lambda _: False, *, guessed: bool = False) -> None:
        self._mode = mode
        self._is_user = is_user
        self._guessed = guessed

    def count(self, connection: Connection) -> bool:
        """Whether these rules decide, and not grants."""
        return not (self._guessed and list_users(connection, Page(limit=1)))

    def rule_for(self, kind: str, principal: str) -> PlainRule:
        """The one that decides about somebody; kinds as for `Explain.explain`.

        Raises:
            ObjectUnknown: nobody of that name can log in, or this is not decided here.
            Conflict: the htpasswd file cannot be read.
        """
        if self._mode == OPEN:
            return PlainRule(self._mode, gives=True, sentence=_OPEN)
        if self._mode == ELSEWHERE:
            raise ObjectUnknown(_NOT_HERE)
        if kind == EVERYBODY:
            return PlainRule(self._mode, gives=False, sentence=_NOBODY)
        if kind == AUTHENTICATED or (kind == "user" and self._is_user(principal)):
            return PlainRule(self._mode, gives=True, sentence=_IN_FILE)
        raise ObjectUnknown(_UNKNOWN)
