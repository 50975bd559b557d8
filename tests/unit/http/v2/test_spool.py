"""The body of a manifest PUT: limited while it is read, small ones in memory, large ones a few at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from moorage.core.errors import ManifestTooLarge, UploadInterrupted
from moorage.http.request import Request
from moorage.http.v2.spool import AT_ONCE, SMALL, Spool
from moorage.testing.streams import content
from tests.support.requests import body, request

LIMIT = 4 * 1024 * 1024


def sending(data: bytes, size: int = 65_536) -> Request:
    return request("PUT", messages=body(*(data[start : start + size] for start in range(0, len(data), size)), b""))


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, 1_000_000, LIMIT])
async def test_the_body_as_it_came(tmp_path: Path, size: int) -> None:
    data = content(size)
    async with Spool(LIMIT, str(tmp_path)).payload(sending(data)) as payload:
        assert payload == data
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT + 100_000])
async def test_one_byte_too_many(tmp_path: Path, size: int) -> None:
    spool = Spool(LIMIT, str(tmp_path))
    one = sending(content(size))
    with pytest.raises(ManifestTooLarge) as refused:
        async with spool.payload(one):
            raise AssertionError
    assert refused.value.status == 413
    assert one.received <= LIMIT + 65_536, "it was refused while it was read"


async def test_a_limit_below_what_is_kept_in_memory() -> None:
    for size, too_large in ((1000, False), (1001, True)):
        one = sending(content(size), 100)
        if too_large:
            with pytest.raises(ManifestTooLarge):
                async with Spool(1000).payload(one):
                    raise AssertionError
        else:
            async with Spool(1000).payload(one) as payload:
                assert len(payload) == size


async def test_an_announced_length_is_enough_to_refuse() -> None:
    one = request("PUT", headers={"Content-Length": str(LIMIT + 1)}, messages=[])
    with pytest.raises(ManifestTooLarge):
        async with Spool(LIMIT).payload(one):
            raise AssertionError
    assert one.received == 0


async def test_an_endless_body_without_a_length() -> None:
    forever = [{"type": "http.request", "body": b"x" * 65_536, "more_body": True}] * 1000
    one = request("PUT", messages=forever)
    with pytest.raises(ManifestTooLarge):
        async with Spool(LIMIT).payload(one):
            raise AssertionError
    assert one.received <= LIMIT + 65_536


@pytest.mark.parametrize("arrived", [100, SMALL + 100_000])
async def test_a_client_that_leaves(tmp_path: Path, arrived: int) -> None:
    messages = [*body(content(arrived), b"x")[:1], {"type": "http.disconnect"}]
    with pytest.raises(UploadInterrupted):
        async with Spool(LIMIT, str(tmp_path)).payload(request("PUT", messages=messages)):
            raise AssertionError
    assert list(tmp_path.iterdir()) == []


async def test_only_a_few_large_ones_are_in_memory(tmp_path: Path) -> None:
    spool = Spool(LIMIT, str(tmp_path))
    inside = most = 0

    async def hold() -> None:
        nonlocal inside, most
        async with spool.payload(sending(content(1_000_000))):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(hold() for _ in range(8)))
    assert most == AT_ONCE


async def test_small_ones_do_not_wait_for_large_ones(tmp_path: Path) -> None:
    spool = Spool(LIMIT, str(tmp_path))
    async with spool.payload(sending(content(1_000_000))), asyncio.timeout(5):
        for _ in range(5):
            async with spool.payload(sending(b"small")) as payload:
                assert payload == b"small"
