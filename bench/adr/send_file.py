"""ADR 0002: one large file through Granian, by `http.response.pathsend` and in chunks of several sizes.

python bench/adr/send_file.py          one worker, curl, nine streams of 500 MB each way; prints the median in GB/s
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from granian.constants import Interfaces, Loops
from granian.server.mp import MPServer

SIZE = 500_000_000
WAYS = ("pathsend", "65536", "262144", "393216", "524288", "1048576")
ROUNDS = 9


def application(path: str) -> Any:
    """An ASGI application that answers `/<way>` with the file."""

    async def serve(scope: dict[str, Any], _receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await send({"type": "lifespan.startup.complete"})
            return
        headers = [(b"content-length", b"%d" % SIZE)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        way = scope["path"].lstrip("/")
        if way == "pathsend":
            await send({"type": "http.response.pathsend", "path": path})
            return
        descriptor, sent = os.open(path, os.O_RDONLY), 0
        while sent < SIZE:
            piece = os.pread(descriptor, int(way), sent)
            sent += len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": sent < SIZE})
        os.close(descriptor)

    return serve


def stream(port: int, way: str) -> float:
    """Bytes a second of one download by curl, which throws the bytes away."""
    command = ["curl", "-s", "--fail", "-o", "/dev/null", "-w", "%{speed_download}", f"http://127.0.0.1:{port}/{way}"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Serve in a child process, measure the ways in turn, print a line for each."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5999
    with tempfile.NamedTemporaryFile() as file:
        block = os.urandom(1_000_000)
        for _ in range(SIZE // len(block)):
            file.write(block)
        file.flush()
        child = os.fork()
        if not child:
            os.setsid()  # a session of its own, as a service has: the scheduler then shares the cores between both
            MPServer("x", port=port, interface=Interfaces.ASGI, loop=Loops.uvloop, websockets=False).serve(
                target_loader=lambda: application(file.name), wrap_loader=False
            )
            os._exit(0)
        try:
            time.sleep(2)
            rounds = [{way: stream(port, way) for way in WAYS} for _ in range(ROUNDS)]
        finally:
            os.kill(child, 15)
            os.waitpid(child, 0)
    for way in WAYS:
        speeds = [one[way] for one in rounds]
        print(f"{way:>10} median {statistics.median(speeds) / 1e9:.2f}, best {max(speeds) / 1e9:.2f} GB/s")
    assert not Path(file.name).exists()


if __name__ == "__main__":
    main()
