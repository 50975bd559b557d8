"""The authorities of client certificates are replaced while the registry serves."""

from __future__ import annotations

import fcntl
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Authority, Pair
from tests.support.server import Server
from tests.support.wire import wait_until


class Setting:
    """A server that asks for certificates of the authorities in some files."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        own = Authority("Servers")
        self.ca = folder / "servers.pem"
        self.ca.write_bytes(own.pem)
        certificate, key = own.issue("localhost", dns=("localhost",), server=True).write(folder, "server")
        self.files = [folder / f"clients{number}.pem" for number in range(count)]
        self.authorities = [Authority(f"Clients {number}") for number in range(count)]
        for file, authority in zip(self.files, self.authorities, strict=True):
            file.write_bytes(authority.pem)
        tls: dict[str, Any] = {"certificate": str(certificate), "key": str(key)}
        tls["clientcas"] = [str(file) for file in self.files]
        config = {"version": "0.1", "http": {"tls": tls}}
        self.server = Server(folder / "server", config=config, ca=self.ca, workers_wanted=1)

    def lets_in(self, pair: Pair) -> bool:
        """Whether somebody with that certificate gets an answer."""
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(*pair.write(self.folder, "client"))
        with suppress(OSError), self.server.connect(5.0, context) as link:
            link.sendall(b"GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return link.recv(100).startswith(b"HTTP/1.1 200 ")
        return False


def put(file: Path, content: bytes) -> None:
    """Replace a file at once."""
    new = file.with_suffix(".new")
    new.write_bytes(content)
    new.replace(file)


@pytest.mark.parametrize("count", [1, 2])
def test_new_authority_counts_soon(tmp_path: Path, count: int) -> None:
    setting = Setting(tmp_path, count)
    before, after = setting.authorities[-1], Authority("Others")
    old, new = before.issue(), after.issue()
    setting.server.launch()
    try:
        wait_until(lambda: setting.lets_in(old), within=30)
        assert not setting.lets_in(new)
        put(setting.files[-1], b"no certificate at all")
        wait_until(lambda: "cannot be used yet" in setting.server.log(), within=30)
        assert setting.lets_in(old), "what cannot be used changes nothing"
        put(setting.files[-1], after.pem)
        wait_until(lambda: setting.lets_in(new), within=30)
        wait_until(lambda: not setting.lets_in(old), within=30)
        if count == 2:
            assert setting.lets_in(setting.authorities[0].issue())
    finally:
        assert setting.server.stop() == 0
    assert setting.server.log().count("cannot be used yet") == 1


def test_change_during_a_migration_counts(tmp_path: Path) -> None:
    """The files were read before it, and what is seen after it is not what was read."""
    setting = Setting(tmp_path, 1)
    after = Authority("Others")
    old, new = setting.authorities[0].issue(), after.issue()
    lock = setting.server.root / "moorage.db.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as another instance that migrates does
        setting.server.launch()
        try:
            wait_until(lambda: waits_for_a_lock(setting.server.pid, *setting.server.workers()), within=30)
            put(setting.files[0], after.pem)
            fcntl.flock(held, fcntl.LOCK_UN)
            wait_until(lambda: setting.lets_in(new), within=30)
            wait_until(lambda: not setting.lets_in(old), within=30)
        finally:
            assert setting.server.stop() == 0


def waits_for_a_lock(*pids: int) -> bool:
    """Whether one of these processes waits for a file that somebody has locked."""
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return any(words[1:3] == ["->", "FLOCK"] and set(map(str, pids)) & set(words) for words in lines)
