"""What the streaming client itself can do: the same client against a peer that does nothing but move bytes.

A registry that comes near these numbers is being measured by a client that is its equal, and the table would say so.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
from pathlib import Path

from bench import upload
from bench.files import Blob
from bench.programs import HOST
from bench.wire import Address, Connection

_FORK = multiprocessing.get_context("fork")
_SINK_BUFFER = 1 << 20


def measure(blob: Blob, times: int = 5) -> dict[str, float]:
    """Bytes a second of one GET from a bare sendfile, and of one PATCH into a peer that drops what it gets."""
    listener = socket.create_server((HOST, 0))
    at = Address(HOST, int(listener.getsockname()[1]))
    peer = _FORK.Process(target=_serve, args=(listener, blob.path, blob.size), daemon=True)
    peer.start()
    listener.close()
    connection = Connection(at)
    buffer = bytearray(256 * 1024)
    get = min(upload.drain(connection, "/", blob.size, buffer) for _ in range(times))
    content = memoryview(blob.path.read_bytes())
    patch = min(upload.patch_file(connection, "/", content)[0] for _ in range(times))
    connection.close()
    peer.join()
    return {"get": blob.size / get, "patch": blob.size / patch}


def _serve(listener: socket.socket, path: Path, size: int) -> None:
    """Answer requests of one connection until it ends: GET with the file, anything else with 202 after its body."""
    connection, _ = listener.accept()
    sink = bytearray(_SINK_BUFFER)
    with path.open("rb") as file:
        while request := connection.recv(1 << 16):
            head, _, rest = request.partition(b"\r\n\r\n")
            if head.startswith(b"GET"):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                _send(connection, file.fileno(), size)
            else:
                _drop(connection, size - len(rest), sink)
                connection.sendall(b"HTTP/1.1 202 Accepted\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")


def _send(connection: socket.socket, file: int, size: int) -> None:
    sent = 0
    while sent < size:
        sent += os.sendfile(connection.fileno(), file, sent, size - sent)


def _drop(connection: socket.socket, size: int, sink: bytearray) -> None:
    while size > 0:
        size -= connection.recv_into(sink)
