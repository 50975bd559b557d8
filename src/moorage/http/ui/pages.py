"""Which page answers which request; whatever goes wrong is a page, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.audit import REFUSED, AuditEntry
from moorage.core.errors import Denied, RegistryError, RouteUnknown, Unsupported
from moorage.http.ui.addresses import ACCOUNT, FRONT, LOGIN, LOGOUT, OIDC, REVOKE, TOKENS
from moorage.http.ui.refusals import TITLES, extra_headers, log_failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from moorage.http.request import Request
    from moorage.http.response import Response
    from moorage.http.ui.account import AccountPages
    from moorage.http.ui.login import LoginPages
    from moorage.http.ui.oidc import OidcPages
    from moorage.http.ui.view import View
    from moorage.http.ui.visitors import Visitor, Visitors

    Page = Callable[[Request, Visitor | None], Awaitable[Response]]

_NOTHING = "There is no page at this address."


class Pages:
    """All pages.

    Args:
        view: makes them.
        visitors: knows who asks.
        login, account, oidc: the pages themselves.
        note: has what was refused written to the audit log.
    """

    def __init__(
        self,
        view: View,
        visitors: Visitors,
        login: LoginPages,
        account: AccountPages,
        oidc: OidcPages,
        note: Callable[[AuditEntry], None],
    ) -> None:
        self._view = view
        self._visitors = visitors
        self._oidc = oidc
        self._note = note
        self._table: dict[str, dict[str, Page]] = {
            FRONT: {"GET": login.front},
            LOGIN: {"GET": login.show, "POST": login.enter},
            LOGOUT: {"POST": login.leave},
            ACCOUNT: {"GET": account.show},
            TOKENS: {"GET": account.back, "POST": account.create},
            REVOKE: {"GET": account.ask, "POST": account.revoke},
        }

    async def answer(self, request: Request) -> Response:
        """The page."""
        try:
            visitor = await self._visitors.find(request)
            if request.path.startswith(OIDC):
                return await self._oidc.answer(request)
            return await self._page(request)(request, visitor)
        except Exception as error:  # noqa: BLE001 - whatever it was, people get a page, and the log the rest
            return self._failed(request, error)

    def _page(self, request: Request) -> Page:
        pages = self._table.get(request.path)
        if pages is None:
            raise RouteUnknown(_NOTHING)
        page = pages.get("GET" if request.method == "HEAD" else request.method)
        if page is None:
            allowed = ", ".join(["HEAD", *pages] if "GET" in pages else pages)
            raise Unsupported(f"This address answers {allowed} only.", headers=(("allow", allowed),))
        return page

    def _failed(self, request: Request, error: Exception) -> Response:
        log_failure(request, error)
        meant = error if isinstance(error, RegistryError) else RegistryError()
        if isinstance(meant, Denied) and not request.path.startswith(OIDC):
            detail: dict[str, object] = {"method": request.method}
            self._note(AuditEntry("access", REFUSED, request.caller, "system", request.path, detail=detail))
        title = TITLES.get(meant.status, TITLES[500])
        return self._view.message(request, meant.status, title, meant.message, extra_headers(meant))
