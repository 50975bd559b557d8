"""Proxies that end TLS for tests, with the configuration that the how-to gives: only ports and paths are others."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.certificates import Authority, Pair
from tests.support.postgres import free_port
from tests.support.programs import require_program

HOWTO = Path(__file__).parents[2] / "docs" / "how-to" / "client-certificates.md"
_READY_SECONDS = 20.0


@dataclass(frozen=True)
class Proxy:
    """A program that the how-to has an example for.

    Attributes:
        name: of the program, and of its folder below `/etc`.
        title: the word before the example.
        command: what follows the program, before the name of the file.
        before: is put before the example.
        listens: where the example listens, and what that is in a test, with `PORT` in it.
        joined: whether certificate and key are in one file.
    """

    name: str
    title: str
    command: tuple[str, ...]
    before: str
    listens: tuple[str, str]
    joined: bool


HAPROXY = Proxy("haproxy", "HAProxy:", ("-db", "-f"), "", ("bind :443 ", "bind 127.0.0.1:PORT "), True)
CADDY = Proxy(
    "caddy",
    "Caddy:",
    ("run", "--adapter", "caddyfile", "--config"),
    "{\n  admin off\n  auto_https off\n}\n",
    ("registry.example.com {", "https://localhost:PORT {\n  bind 127.0.0.1"),
    False,
)


def configuration(proxy: Proxy, folder: Path, port: int, behind: int) -> str:
    """The example in the how-to with other ports and paths.

    Args:
        proxy: whose.
        folder: has certificate, key and authority.
        port: where the proxy listens.
        behind: the registry's.
    """
    text = HOWTO.read_text().partition(f"\n{proxy.title}\n")[2].partition("```text\n")[2].partition("```")[0]
    there, here = proxy.listens
    for old, new in (
        (there, here.replace("PORT", str(port))),
        (f"/etc/{proxy.name}/", f"{folder}/"),
        ("127.0.0.1:5000", f"127.0.0.1:{behind}"),
    ):
        assert old in text, f"the example for {proxy.name} has no {old}"
        text = text.replace(old, new)
    return proxy.before + text


@contextmanager
def in_front(proxy: Proxy, folder: Path, behind: int, server: Pair, clients: Authority) -> Iterator[int]:
    """A running proxy in front of a registry; its port.

    Args:
        proxy: which.
        folder: for it alone.
        behind: the registry's port.
        server: its certificate and key.
        clients: who issues those of clients.
    """
    program = require_program(proxy.name)
    folder.mkdir()
    (folder / "registry.pem").write_bytes(server.pem + (server.key_pem if proxy.joined else b""))
    (folder / "registry.key").write_bytes(server.key_pem)
    (folder / "clients-ca.pem").write_bytes(clients.pem)
    port = free_port()
    file = folder / "configuration"
    file.write_text(configuration(proxy, folder, port, behind))
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, *proxy.command, str(file)],
            env={**os.environ, **home},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _wait(process, port, folder / "log")
        yield port
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 5).close()
            return
        time.sleep(0.05)
    raise AssertionError(f"the proxy did not get ready: {log.read_text()}")
