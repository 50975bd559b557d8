"""The workers of a server by the kernel's tables: which of them answers a connection, and how much they worked."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from tests.support.server import Server
from tests.support.wire import Link


def worker_of(server: Server, link: Link) -> int | None:
    """The process that holds the other end of a connection; None while it was not accepted."""
    inode = _inode(server.port, link.socket.getsockname()[1])
    for pid in server.workers():
        with suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    if descriptor.readlink().name == f"socket:[{inode}]":
                        return pid
    return None


def one_each(server: Server, most: int = 200) -> dict[int, Link]:
    """One open connection to each worker of a server.

    Raises:
        AssertionError: after `most` connections there was a worker that got none.
    """
    found: dict[int, Link] = {}
    workers = set(server.workers())
    assert len(workers) > 1, "this needs several workers"
    for _ in range(most):
        link = Link(server.connect())
        link.ask("GET", f"{server.prefix}/v2/")
        pid = worker_of(server, link)
        if pid is None or pid in found:
            link.close()
        else:
            found[pid] = link
        if workers <= found.keys():
            return found
    raise AssertionError(f"{most} connections reached only {list(found)} of {workers}")


def cpu_seconds(server: Server) -> float:
    """What its workers have worked so far, which does not depend on who else is at work on the machine."""
    return sum(_worked(pid) for pid in server.workers())


def _worked(pid: int) -> float:
    """Seconds in user and system mode (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _inode(server_port: int, client_port: int) -> str:
    """The inode of the server's end of a loopback connection (proc(5), /proc/net/tcp)."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote = (int(field.partition(":")[2], 16) for field in fields[1:3])
        if (local, remote) == (server_port, client_port):
            return fields[9]
    return ""
