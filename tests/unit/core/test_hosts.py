from __future__ import annotations

import pytest

from moorage.core.hosts import is_loopback


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "localhost.", "LocalHost.", "127.0.0.1", "127.0.0.1.", "127.255.0.3", "::1",
     "0:0:0:0:0:0:0:1", "::1%lo", "::ffff:127.0.0.1", "::ffff:7f00:1"],
)  # fmt: skip
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", ".", "localhost..", ".localhost", "a.localhost", "localhost.example.com", "localhost:5000", "127.0.0.1.nip.io",
     "127.1", "0127.0.0.1", "2130706433", "0.0.0.0", "::", "::2", "[::1]", "10.0.0.1", "::ffff:10.0.0.1"],
)  # fmt: skip
def test_others(host: str) -> None:
    assert not is_loopback(host)
