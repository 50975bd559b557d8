"""Forms that only our own pages send, and only in the browser that was shown them (CSRF).

Two things are asked for: that the browser says the request comes from this site, and a word in the form that follows
from a secret in one of its cookies. Other sites can read neither, and do not make a browser send the cookie.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING

from moorage.core.errors import Denied
from moorage.http.cookies import is_secure, read_cookies, set_cookie
from moorage.http.form import read_form
from moorage.http.same_site import check_same_site
from moorage.http.ui.addresses import LOGIN

if TYPE_CHECKING:
    from moorage.http.form import Form
    from moorage.http.request import Request
    from moorage.http.response import Header

FIELD = "form_token"
"""Its name in the forms."""

COOKIE = "moorage_form"
"""What the form of the login is bound to: there is no session yet."""

_SANE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_STALE = "This form was not made for this browser, or you have signed in or out since. Open the page again."


def token_of(secret: str) -> str:
    """The word that follows from a cookie's secret, and does not tell it."""
    return hmac.new(secret.encode(), b"moorage form", hashlib.sha256).hexdigest()


async def read_own_form(request: Request, secret: str) -> Form:
    """The form in a body. `secret`: of the cookie that it was made for; empty where the browser has none.

    Raises:
        Denied: it comes from a page of another site, or was not made for this browser.
        BadForm, FormTooLarge: it cannot be read.
    """
    check_same_site(request)
    form = await read_form(request)
    given = form.one(FIELD)
    if not secret or not hmac.compare_digest(given.encode(), token_of(secret).encode()):
        raise Denied(_STALE)
    return form


def login_secret(request: Request) -> str:
    """The secret that this browser has for the form of the login; empty without one."""
    found = read_cookies(request).get(COOKIE, "")
    return found if _SANE.fullmatch(found) else ""


def new_login_secret(request: Request) -> tuple[str, Header]:
    """A new one, and the header that gives it to the browser until that is closed."""
    secret = secrets.token_urlsafe(32)
    return secret, set_cookie(COOKIE, secret, path=f"{request.prefix}{LOGIN}", secure=is_secure(request))
