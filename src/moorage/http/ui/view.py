"""Makes the pages of their templates: HTML in which every text is escaped, with nothing active on it.

Imports the template engine; whoever shows no page must not import this.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from moorage.http.response import Response
from moorage.http.ui.addresses import ACCOUNT, LOGIN, LOGOUT, OIDC, REVOKE, TOKENS
from moorage.http.ui.forms import FIELD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.http.request import Request
    from moorage.http.response import Header

_FOLDER = Path(__file__).parent / "templates"


class View:
    """All pages and what they look like."""

    def __init__(self) -> None:
        style = (_FOLDER / "style.css").read_text(encoding="utf-8")
        self.headers = _headers(style)
        self._pages = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._pages.globals.update(
            style=Markup(style),  # noqa: S704 - a file of ours, between tags that do not know escapes
            login=LOGIN,
            logout=LOGOUT,
            account=ACCOUNT,
            oidc=OIDC,
            tokens=TOKENS,
            revoke=REVOKE,
            field=FIELD,
        )
        for name in self._pages.list_templates(("html",)):
            self._pages.get_template(name)  # compiled here, and not while somebody waits

    def page(
        self, request: Request, status: int, template: str, headers: Sequence[Header] = (), **values: object
    ) -> Response:
        """A page.

        Args:
            request: that it answers.
            status: of the answer.
            template: its name, without the ending.
            headers: more of them.
            values: what the template asks for; plain text, which it escapes.
        """
        body = self._pages.get_template(f"{template}.html").render(prefix=request.prefix, **values)
        kind = (b"content-type", b"text/html; charset=utf-8")
        return Response(status, [kind, *self.headers, *headers], body.encode())

    def message(
        self, request: Request, status: int, title: str, words: str, headers: Sequence[Header] = ()
    ) -> Response:
        """A page that says one thing, and leads back to where people sign in."""
        return self.page(request, status, "message", headers, title=title, words=words, request_id=request.id)

    def redirect(self, status: int, address: str, headers: Sequence[Header] = ()) -> Response:
        """To another address, which is ASCII."""
        return Response(status, [(b"location", address.encode("ascii")), *self.headers, *headers])


def _headers(style: str) -> tuple[Header, ...]:
    """Those of every page: the one style is named by its hash (CSP level 3), and nothing else may be loaded or run."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    return (
        (b"cache-control", b"no-store"),
        (b"content-security-policy", policy.encode()),
        (b"cross-origin-opener-policy", b"same-origin"),
        # Not `no-referrer`: browsers would send `Origin: null` with our own forms (Fetch, "append a request Origin").
        (b"referrer-policy", b"same-origin"),
        (b"x-frame-options", b"DENY"),
    )
