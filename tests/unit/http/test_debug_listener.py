"""Where the debug listener listens."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from moorage.http import debug
from moorage.http.debug import Answers


def families(tmp_path: Path, addr: str) -> set[str]:
    """The loopback addresses on which a listener can be reached."""
    found = set()
    with debug._listen(addr, Answers(tmp_path, "")) as listener:
        for address in ("127.0.0.1", "::1"):
            with suppress(OSError):
                socket.create_connection((address, listener.server_port), 5).close()
                found.add(address)
    return found


def has_ipv6() -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_every_interface_is_both_families(tmp_path: Path) -> None:
    assert families(tmp_path, ":0") == {"127.0.0.1", "::1"}
    assert families(tmp_path, "127.0.0.1:0") == {"127.0.0.1"}
    assert families(tmp_path, "[::1]:0") == {"::1"}


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_without_ipv6_it_is_ipv4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    class Old(debug._Listener):
        def __init__(self, family: socket.AddressFamily, *more: Any, both: bool = False) -> None:
            if family == socket.AF_INET6:
                raise OSError(number, "no IPv6")
            super().__init__(family, *more, both=both)

    monkeypatch.setattr(debug, "_Listener", Old)
    assert families(tmp_path, ":0") == {"127.0.0.1"}


def test_taken_port_is_not_shared_with_the_other_family(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            debug._listen(f":{taken.getsockname()[1]}", Answers(tmp_path, ""))
