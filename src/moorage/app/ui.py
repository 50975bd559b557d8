"""The wiring of the pages: what they import is large, so it happens when the first one is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.http.ui.door import PagesDoor

if TYPE_CHECKING:
    from moorage.accounts.journal import Journal
    from moorage.accounts.login import Login
    from moorage.app.oidc import Oidc
    from moorage.auth.settings import LocalSettings
    from moorage.core.clock import Clock
    from moorage.http.request_limit import RequestLimit
    from moorage.http.ui.front import FrontPage
    from moorage.http.ui.pages import Pages
    from moorage.metadata.database import Database


@dataclass(frozen=True, slots=True)
class UiParts:
    """What the pages are built of.

    Attributes:
        local: settings of accounts.
        database, clock: facts and time.
        login: checks names and passwords.
        oidc: login with providers.
        journal: where refusals are noted.
        limit: how often somebody may ask; None where that is not limited.
    """

    local: LocalSettings
    database: Database
    clock: Clock
    login: Login
    oidc: Oidc
    journal: Journal
    limit: RequestLimit | None


def pages_door(parts: UiParts) -> PagesDoor:
    """The door; everything behind it is imported when the first request comes."""
    return PagesDoor(lambda: _pages(parts), accounts=True)


def front_door(mode: str, limit: RequestLimit | None) -> PagesDoor:
    """The door of the page at `/` where there are no accounts.

    Args:
        mode: "none", "htpasswd" or "token", as in the settings.
        limit: how often somebody may ask; None where that is not limited.
    """

    def load() -> FrontPage:
        from moorage import __version__
        from moorage.http.ui.front import FrontPage
        from moorage.http.ui.view import View

        # Where there is a management API, its description tells everybody the version already.
        return FrontPage(View(), limit, "" if mode == "token" else __version__, login=mode != "none")

    return PagesDoor(load, accounts=False)


def _pages(parts: UiParts) -> Pages:
    from moorage.accounts.access_tokens import AccessTokens
    from moorage.accounts.own_groups import OwnGroups
    from moorage.accounts.sessions import Sessions
    from moorage.http.ui.account import AccountPages
    from moorage.http.ui.login import LoginPages, Provider
    from moorage.http.ui.pages import Pages
    from moorage.http.ui.view import View
    from moorage.http.ui.visitors import Visitors

    local, database, clock, note = parts.local, parts.database, parts.clock, parts.journal.note
    view, sessions = View(), Sessions(database, clock)
    providers = [Provider(each.name, each.title or each.name) for each in local.oidc]
    tokens = AccessTokens(database, clock, local.personal_seconds)
    return Pages(
        view,
        Visitors(sessions, parts.limit, note),
        LoginPages(view, parts.login, sessions, providers),
        AccountPages(view, tokens, OwnGroups(database), clock, local.personal_seconds),
        parts.oidc.pages(view),
        note,
    )
