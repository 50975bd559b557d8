"""A person at the pages: keeps cookies, fills in the forms that a page has, and sends what a browser would send."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self

import httpx

from tests.support.secrets_used import note

Fields = dict[str, str]


@dataclass
class Form:
    """A form on a page: where it goes, and what stands in its fields."""

    action: str
    fields: Fields = field(default_factory=dict)


class Page(HTMLParser):
    """What a page has.

    Attributes:
        tags: every element that begins, with its attributes.
        forms: all forms.
        words: all text outside of the style.
        by_id: the text directly in elements that have an id.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.forms: list[Form] = []
        self.words = ""
        self.by_id: dict[str, str] = {}
        self._open: list[tuple[str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "form":
            self.forms.append(Form(found.get("action") or ""))
        elif tag in ("input", "textarea") and found.get("name"):
            self.forms[-1].fields[str(found["name"])] = found.get("value") or ""
        if tag not in ("input", "meta", "link", "br"):
            self._open.append((tag, found.get("id") or ""))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> without a beginning"
        assert self._open.pop()[0] == tag, f"</{tag}> ends something else"

    def handle_data(self, data: str) -> None:
        tag, identifier = self._open[-1] if self._open else ("", "")
        if tag != "style":
            self.words += data
        if identifier:
            self.by_id[identifier] = self.by_id.get(identifier, "") + data

    def form(self, action: str) -> Form:
        """The first form that goes to an address."""
        return next(form for form in self.forms if form.action == action)


class Person:
    """A person with a browser at one registry. `base`: its address, with its prefix."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.origin = "/".join(base.split("/")[:3])
        self.prefix = base[len(self.origin) :]
        self.http = httpx.Client(trust_env=False, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, path: str) -> httpx.Response:
        """One page, no redirect followed."""
        return self.http.get(f"{self.base}{path}")

    def page(self, path: str) -> Page:
        """A page that is there."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return Page(answer.text)

    def fields(self, path: str, action: str) -> Fields:
        """The fields of the form on `path` that goes to `action`."""
        return self.page(path).form(f"{self.prefix}{action}").fields

    def post(self, path: str, fields: Fields, **headers: str) -> httpx.Response:
        """Send a form as a browser does that was shown it here."""
        sent = {"origin": self.origin, "sec-fetch-site": "same-origin", **headers}
        return self.http.post(f"{self.base}{path}", data=fields, headers=sent)

    def sign_in(self, name: str, password: str, path: str = "/login") -> httpx.Response:
        """Fill in the form of the login."""
        note(password)
        return self.post("/login", {**self.fields(path, "/login"), "name": name, "password": password})

    def make_token(self, name: str, scopes: str = "", days: str = "") -> httpx.Response:
        """Fill in the form for a token."""
        fields = {**self.fields("/account", "/account/tokens"), "name": name, "scopes": scopes, "days": days}
        return self.post("/account/tokens", fields)

    def ask_to_revoke(self, name: str) -> Page:
        """The page that "Revoke" beside a token leads to."""
        links = [found for tag, found in self.page("/account").tags if tag == "a"]
        target = next(found["href"] for found in links if found.get("aria-label") == f"Revoke {name}")
        return self.page(str(target).removeprefix(self.prefix))

    def session(self) -> str | None:
        """The secret of the session's cookie."""
        return self.http.cookies.get("moorage_session")


def secret_on(answer: httpx.Response) -> str:
    """The token that a page shows."""
    found = re.search(r"mrg_pat_[A-Za-z0-9_-]{43}", answer.text)
    assert found is not None, answer.text
    note(found[0])
    return found[0]
