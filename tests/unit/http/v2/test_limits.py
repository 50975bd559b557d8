"""What counts for the limit of requests, and what the audit log gets of what is one too many."""

from __future__ import annotations

import pytest

from moorage.accounts.counters import LocalCounters
from moorage.accounts.rate_limits import RateLimit
from moorage.accounts.settings import Rate, Rates
from moorage.core.access import ANONYMOUS, EVERYTHING, NOTHING, Binding, Identity, Scope
from moorage.core.audit import AuditEntry
from moorage.core.errors import Denied, RegistryError, TooManyRequests, Unauthorized
from moorage.http.request import Request
from moorage.http.request_limit import RequestLimit
from moorage.http.response import Response
from moorage.http.v2.app import DistributionApi
from moorage.http.v2.guard import Guard
from moorage.http.v2.limits import RateGate
from moorage.http.v2.routes import Endpoint, Table
from moorage.testing.fakes import HeldClock
from tests.support.requests import request

ALICE = Identity("alice", "user", 1, credential="password")


class Door:
    """Knows alice, who may do everything on `a` and pull nothing else."""

    def known(self, authorization: str | None) -> Identity | None:
        return {None: ANONYMOUS, "alice": ALICE}.get(authorization)

    async def identify(self, authorization: str | None, address: str = "", request_id: str = "") -> Identity:
        raise Unauthorized

    def challenge(self, origin: str = "", scope: str = "", error: str = "") -> str:
        return "Basic"

    async def allowed(self, identity: Identity, name: str) -> frozenset[str]:
        return EVERYTHING if identity is ALICE and name == "a" else NOTHING

    async def granted(self, identity: Identity, scopes: list[Scope]) -> list[Scope]:
        raise AssertionError

    async def binding(self, name: str) -> Binding:
        raise AssertionError


class World:
    def __init__(self, most: int) -> None:
        clock = HeldClock()
        rate = Rate(most, 60)
        counters = LocalCounters(None, clock)
        self.notes: list[AuditEntry] = []
        note = self.notes.append
        requests = RequestLimit(RateLimit("requests", Rates(rate, rate), counters, clock), note)
        pulls = RateLimit("pulls", Rates(rate, Rate(1, 60)), counters, clock)
        table: Table = {
            "tags": {"GET": Endpoint(self._denied, "pull")},
            "manifest": {"GET": Endpoint(self._fine, "pull")},
        }
        guard = Guard(Door(), Door(), note=note)  # type: ignore[arg-type]
        self._api = DistributionApi(table, guard, RateGate(requests, pulls, note))

    async def ask(self, path: str, who: str | None = None) -> int:
        asked = request(path=path, headers={"authorization": who} if who else None)
        try:
            return (await self._api.answer(asked)).status
        except RegistryError as error:
            return error.status

    async def _fine(self, _request: Request) -> Response:
        return Response(200, [])

    async def _denied(self, _request: Request) -> Response:
        raise Denied


@pytest.mark.parametrize(
    ("path", "who", "status"),
    [
        ("/v2/a/manifests/v1", "wrong", 401),
        ("/v2/b/manifests/v1", "alice", 403),
        ("/v2/a/tags/list", "alice", 403),
        ("/v2/a/nothing", "alice", 404),
    ],
)
async def test_whatever_is_refused_counts(path: str, who: str, status: int) -> None:
    world = World(3)
    assert [await world.ask(path, who) for _ in range(5)] == [status] * 3 + [TooManyRequests.status] * 2
    limits = [(entry.caller.name, entry.detail) for entry in world.notes if entry.action == "limit"]
    assert limits == [("alice" if who == "alice" else "", {"reason": "requests"})] * 2


async def test_who_shows_nothing_is_told_where_to_log_in_and_counted() -> None:
    world = World(3)
    assert [await world.ask("/v2/a/manifests/v1") for _ in range(5)] == [401] * 5
    assert await world.ask("/v2/a/manifests/v1", "wrong") == TooManyRequests.status


async def test_pulls_beyond_the_limit_and_refusals_of_handlers_are_noted() -> None:
    world = World(100)
    assert [await world.ask("/v2/a/manifests/v1", "alice") for _ in range(2)] == [200, 429]
    assert await world.ask("/v2/a/tags/list", "alice") == 403
    told = [(entry.action, entry.caller.name, entry.target, entry.detail) for entry in world.notes]
    assert told == [
        ("limit", "alice", "a", {"reason": "pulls"}),
        ("access", "alice", "a", {"method": "GET", "route": "tags"}),
    ]
