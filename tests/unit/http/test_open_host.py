"""Open registries: a browser that a page leads here by a name of its own changes nothing (DNS rebinding)."""

from __future__ import annotations

import pytest

from moorage.core.access import EVERYTHING
from moorage.core.errors import Denied
from moorage.http.api.door import REQUEST
from moorage.http.api.who import WhoAsks
from moorage.http.same_site import check_open_host
from tests.support.requests import request

OURS = [
    "127.0.0.1",
    "127.8.9.10:5000",
    "localhost",
    "LOCALHOST:5000",
    "[::1]",
    "[::1]:5000",
    "registry.example.com:443",
]
STRANGE = [
    "evil.com",
    "evil.com:5000",
    "localhost.evil.com",
    "127.0.0.1.evil.com",
    "10.0.0.1",
    "[::2]",
    "",
    "a b",
    "[::1",
]


@pytest.mark.parametrize("host", OURS)
def test_names_of_our_own(host: str) -> None:
    check_open_host(request("POST", headers={"Host": host}, host="https://registry.example.com"))


@pytest.mark.parametrize("host", STRANGE)
def test_names_of_others(host: str) -> None:
    for configured in ("", "https://registry.example.com"):
        with pytest.raises(Denied, match=r"http\.host"):
            check_open_host(request("POST", headers={"Host": host}, host=configured))


async def test_it_is_asked_of_changes_to_an_open_registry() -> None:
    class Asked:
        def __init__(self, method: str) -> None:
            ours = request(method, headers={"Host": "evil.com", "Origin": "://evil.com"})
            self.scope = {REQUEST: ours}

    ask = WhoAsks("none", None, None)
    assert (await ask(Asked("GET"))).rights == EVERYTHING  # type: ignore[arg-type]
    for method in ("POST", "PATCH", "PUT", "DELETE"):
        with pytest.raises(Denied):
            await ask(Asked(method))  # type: ignore[arg-type]
