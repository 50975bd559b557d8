"""Refusals that come again and again: one entry a minute, however many there are, and of whatever kinds."""

from __future__ import annotations

from dataclasses import replace

from moorage.accounts.gathering import GATHER_SECONDS, MOST, MOST_OF_ONE, Gathering
from moorage.core.access import Caller, Identity
from moorage.core.audit import REFUSED, AuditEntry

CALLER = Caller(Identity("alice", "unknown"), address="192.0.2.1", request_id="r-1")
ENTRY = AuditEntry("login", REFUSED, CALLER, "user", "alice", detail={"reason": "credentials"})


def refused(address: str = "192.0.2.1", target: str = "alice", request: str = "r-2") -> AuditEntry:
    return replace(ENTRY, caller=replace(CALLER, address=address, request_id=request), target=target)


def test_equal_ones_of_a_minute_are_one_with_a_count() -> None:
    gathering = Gathering()
    assert gathering.is_first(ENTRY, 100.0)
    assert not any(gathering.is_first(refused(request=f"r-{number}"), 101.0 + number) for number in range(50))
    assert gathering.over(159.0) == []
    (one,) = gathering.over(160.0)
    assert one.caller.request_id == "r-49"
    assert one.detail == {"reason": "credentials", "count": 50, "since": 100.0}
    # What goes on is one entry a minute; what has ended begins anew.
    assert not gathering.is_first(ENTRY, 161.0)
    assert [each.detail["count"] for each in gathering.over(220.0)] == [1]
    assert gathering.over(280.0) == []
    assert gathering.is_first(ENTRY, 281.0)


def test_different_ones_are_told_apart() -> None:
    gathering = Gathering()
    others = [
        refused(address="192.0.2.2"),
        refused(target="bob"),
        replace(ENTRY, action="access"),
        replace(ENTRY, outcome="failed"),
        replace(ENTRY, detail={"reason": "another"}),
        replace(ENTRY, caller=replace(CALLER, identity=Identity("bob", "user"))),
    ]
    assert all(gathering.is_first(entry, 1.0) for entry in (ENTRY, *others))
    assert not any(gathering.is_first(entry, 2.0) for entry in (ENTRY, *others))
    networks = [refused(address=f"2001:db8::{number}") for number in range(1, 4)]
    assert [gathering.is_first(entry, 1.0) for entry in networks] == [True, False, False]


def test_one_address_fills_only_its_share() -> None:
    gathering = Gathering()
    first = [gathering.is_first(refused(target=f"user{number}"), 1.0) for number in range(10 * MOST_OF_ONE)]
    assert sum(first) == MOST_OF_ONE
    (rest,) = gathering.over(1.0 + GATHER_SECONDS)
    assert (rest.target, rest.caller.address, rest.caller.name) == ("", "192.0.2.1", "")
    assert rest.detail == {"different": True, "count": 9 * MOST_OF_ONE, "since": 1.0}
    assert gathering.is_first(refused(address="192.0.2.2"), 1.0)


def test_all_together_are_bounded() -> None:
    gathering = Gathering()
    addresses = [f"10.{number >> 8}.{number & 255}.1" for number in range(2 * MOST)]
    assert sum(gathering.is_first(refused(address=address), 1.0) for address in addresses) == MOST
    (rest,) = gathering.over(1.0, at_once=True)
    assert (rest.target, rest.caller.address, rest.detail["count"]) == ("", "", MOST)
    gathering.over(500.0)
    assert gathering.is_first(refused(), 500.0)
