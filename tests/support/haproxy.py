"""HAProxy for tests, with the configuration that the how-to gives: only its ports and paths are others."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.certificates import Authority, Pair
from tests.support.postgres import free_port
from tests.support.programs import require_program

HOWTO = Path(__file__).parents[2] / "docs" / "how-to" / "client-certificates.md"
_READY_SECONDS = 20.0


def example() -> str:
    """The configuration in the how-to: the block after `HAProxy:`."""
    block = HOWTO.read_text().partition("HAProxy:\n")[2].partition("```text\n")[2].partition("```")[0]
    assert "frontend" in block, "the how-to has no example for HAProxy"
    return block


def configuration(folder: Path, port: int, behind: int) -> str:
    """The example with other ports and paths.

    Args:
        folder: has `registry.pem` and `clients-ca.pem`.
        port: where HAProxy listens.
        behind: the registry's.
    """
    text = example()
    for there, here in (
        ("bind :443 ", f"bind 127.0.0.1:{port} "),
        ("/etc/haproxy/", f"{folder}/"),
        ("127.0.0.1:5000", f"127.0.0.1:{behind}"),
    ):
        assert there in text, f"the example has no {there}"
        text = text.replace(there, here)
    return text


@contextmanager
def haproxy(folder: Path, behind: int, server: Pair, clients: Authority) -> Iterator[int]:
    """A running HAProxy in front of a registry; its port.

    Args:
        folder: for it alone.
        behind: the registry's port.
        server: its certificate and key.
        clients: who issues those of clients.
    """
    program = require_program("haproxy")
    folder.mkdir()
    (folder / "registry.pem").write_bytes(server.pem + server.key_pem)
    (folder / "clients-ca.pem").write_bytes(clients.pem)
    port = free_port()
    (folder / "haproxy.cfg").write_text(configuration(folder, port, behind))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-db", "-f", str(folder / "haproxy.cfg")], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _wait(process, port, folder / "log")
        yield port
    finally:
        process.send_signal(signal.SIGUSR1)  # lets what runs end
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
    raise AssertionError(f"HAProxy did not get ready: {log.read_text()}")
