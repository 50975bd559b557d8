"""Which route a path is: taken apart from the right, because a name may look like a route itself."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.core.errors import RouteUnknown, Unsupported
from moorage.http.v2.routes import endpoint, match, table

NAMES = st.lists(
    st.sampled_from(["a", "library", "blobs", "uploads", "manifests", "tags", "list", "v2", "referrers", "_catalog"]),
    min_size=1,
    max_size=4,
).map("/".join)
REFERENCES = st.sampled_from(["latest", "list", "manifests", "sha256:" + "0" * 64, "_oci"])


@given(NAMES, REFERENCES)
def test_any_name_can_have_manifests_blobs_sessions_tags_and_referrers(name: str, reference: str) -> None:
    assert match(f"/v2/{name}/manifests/{reference}") == ("manifest", name, reference)
    assert match(f"/v2/{name}/blobs/{reference}") == ("blob", name, reference)
    assert match(f"/v2/{name}/blobs/uploads/{reference}") == ("upload", name, reference)
    assert match(f"/v2/{name}/blobs/uploads/") == ("uploads", name, "")
    assert match(f"/v2/{name}/tags/list") == ("tags", name, "")
    assert match(f"/v2/{name}/referrers/{reference}") == ("referrers", name, reference)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v2/", ("base", "", "")),
        ("/v2", ("base", "", "")),
        ("/v2/_catalog", ("catalog", "", "")),
        ("/v2/_oci/ext/discover", ("extensions", "", "")),
        ("/v2/a/b/_oci/ext/discover", ("extensions", "a/b", "")),
        ("/v2/a/blobs/uploads", ("uploads", "a", "")),
        ("/v2/a/blobs/uploads/", ("uploads", "a", "")),
        ("/v2/blobs/uploads/blobs/uploads/x", ("upload", "blobs/uploads", "x")),
        ("/v2/a/manifests/", ("manifest", "a", "")),
        ("/v2/a//manifests/x", ("manifest", "a/", "x")),
        ("/v2//manifests/x", ("manifest", "", "x")),
        ("/v2/../a/manifests/x", ("manifest", "../a", "x")),
    ],
)
def test_paths(path: str, route: tuple[str, str, str]) -> None:
    assert match(path) == route


@pytest.mark.parametrize(
    "path",
    ["", "/", "/v1/", "/v2x", "/v3/a/manifests/b", "/v2/a", "/v2/a/tags", "/v2/a/tags/list/", "/v2/a/tags/other",
     "/v2/a/manifests", "/v2/manifests/x", "/v2/a/layers/x", "/v2/_catalog/", "/v2/_catalog/x", "//v2/a/manifests/b",
     "v2/a/manifests/b", "/x/v2/a/manifests/b", "/v2/a/referrers"],
)  # fmt: skip
def test_no_route(path: str) -> None:
    with pytest.raises(RouteUnknown) as refused:
        match(path)
    assert refused.value.status == 404


@given(st.text(alphabet="/abv2_", max_size=30) | st.text(max_size=20))
def test_any_path_is_a_route_or_none(path: str) -> None:
    try:
        route, name, reference = match(path)
    except RouteUnknown:
        return
    assert route in ROUTES
    assert name in path
    assert reference in path


ROUTES = table(MagicMock(), MagicMock(), MagicMock(), MagicMock())
METHODS = {
    "base": "GET HEAD",
    "catalog": "GET HEAD",
    "extensions": "GET HEAD",
    "manifest": "DELETE GET HEAD PUT",
    "blob": "DELETE GET HEAD",
    "uploads": "POST",
    "upload": "DELETE GET HEAD PATCH PUT",
    "tags": "GET HEAD",
    "referrers": "GET HEAD",
}


def test_the_table_of_methods() -> None:
    """A new route is written down here too, with the access that it needs."""
    assert {route: " ".join(sorted(methods)) for route, methods in ROUTES.items()} == METHODS


def test_what_changes_something_needs_the_right_to() -> None:
    needed: dict[str, Any] = {
        f"{method} {route}": found.access for route, methods in ROUTES.items() for method, found in methods.items()
    }
    assert {key for key, access in needed.items() if access == "delete"} == {"DELETE manifest", "DELETE blob"}
    assert {key for key, access in needed.items() if access == "push"} == {
        "PUT manifest", "POST uploads", "GET upload", "HEAD upload", "PATCH upload", "PUT upload", "DELETE upload",
    }  # fmt: skip
    assert {key for key, access in needed.items() if access == ""} == {
        "GET base", "HEAD base", "GET extensions", "HEAD extensions",
    }  # fmt: skip


def test_head_is_wherever_get_is_and_needs_the_same() -> None:
    for methods in ROUTES.values():
        assert ("GET" in methods) == ("HEAD" in methods)
        assert methods.keys().isdisjoint({"GET"}) or methods["GET"].access == methods["HEAD"].access


@pytest.mark.parametrize("method", ["POST", "PATCH", "OPTIONS", "TRACE", "get", "", "X" * 1000])
def test_other_methods_are_told_what_there_is(method: str) -> None:
    with pytest.raises(Unsupported) as refused:
        endpoint(ROUTES, "manifest", method)
    assert refused.value.status == 405
    assert refused.value.headers == (("allow", "DELETE, GET, HEAD, PUT"),)
