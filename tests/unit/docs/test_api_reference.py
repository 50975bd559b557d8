"""The page of the HTTP API has every route, every method and every error that the program has, and no others."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from unittest.mock import MagicMock

import pytest

import moorage
from moorage.core.digest import digest_of
from moorage.core.errors import RegistryError, RouteUnknown
from moorage.core.ranges import MAX_RANGES
from moorage.http.v2.blobs import Blobs
from moorage.http.v2.listing import Lists
from moorage.http.v2.manifests import MAX_TAGS, Manifests
from moorage.http.v2.routes import match, table
from moorage.http.v2.uploads import UploadSessions
from tests.unit.docs.documents import codes, rows, section, text_of

PAGE = text_of("http-api.md")
ROUTES = {codes(row[0])[0]: row for row in rows(section(PAGE, "Routes"))}
EXAMPLES = {
    "<name>": "team/app",
    "<reference>": "v1",
    "<digest>": str(digest_of(b"")),
    "<uuid>": "00000000-0000-4000-8000-000000000001",
}


def served() -> dict[str, set[str]]:
    """The methods of every route of the program."""
    doors = table(MagicMock(Manifests), MagicMock(Blobs), MagicMock(UploadSessions), MagicMock(Lists))
    return {route: set(methods) for route, methods in doors.items()}


def errors() -> Iterator[type[RegistryError]]:
    """Every class of error that any room may raise."""
    for module in pkgutil.walk_packages(moorage.__path__, "moorage."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            importlib.import_module(module.name)
    waiting = [RegistryError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("moorage."):
            yield kind


def test_the_routes_and_their_methods() -> None:
    assert {route: set(row[2].split(", ")) for route, row in ROUTES.items()} == served()


@pytest.mark.parametrize("route", ROUTES)
def test_the_paths_lead_there(route: str) -> None:
    for written in codes(ROUTES[route][1]):
        path = re.sub(r"<\w+>", lambda found: EXAMPLES[found[0]], written)
        assert match(path)[0] == route


def test_a_path_that_is_not_on_the_page_leads_nowhere() -> None:
    with pytest.raises(RouteUnknown):
        match("/v2/team/app/nothing/v1")


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_has_its_section(route: str) -> None:
    assert section(PAGE, route).strip()


def test_the_errors() -> None:
    written = {(int(row[0]), codes(row[1])[0]) for row in rows(section(PAGE, "Errors"))}
    assert written == {(kind.status, kind.code) for kind in errors()}


@pytest.mark.parametrize("route", ROUTES)
def test_a_section_names_only_errors_that_there_are(route: str) -> None:
    known = {(kind.status, kind.code) for kind in errors()}
    told = [(int(row[0]), code) for row in rows(section(PAGE, route)) if row[0].isdigit() for code in codes(row[1])]
    assert set(told) <= known


def test_the_limits() -> None:
    assert f"up to {MAX_TAGS})" in PAGE
    assert f"more than {MAX_TAGS} `tag` parameters" in PAGE
    assert f"several ranges, up to {MAX_RANGES} " in PAGE
