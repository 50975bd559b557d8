"""Slow clients, hundreds at once in one process: pulls, uploads and manifests that stay in flight.

Each is a coroutine on a non-blocking socket that moves a little, sleeps, and goes on, over and over until it is
cancelled.
"""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import random
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe

from bench.errors import BenchError
from bench.files import OCI_MANIFEST
from bench.upload import STREAM_HEADERS
from bench.wire import Address, build, find_header, path_of, with_digest

_FORK = multiprocessing.get_context("fork")
_TICK = 0.1
MANIFEST_SIZE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Load:
    """What is in flight at once, and how fast each client goes (bytes a second)."""

    pulls: int = 200
    uploads: int = 50
    manifest_puts: int = 25
    manifest_gets: int = 25
    pull_speed: int = 250_000
    upload_speed: int = 1_000_000
    manifest_speed: int = 400_000


@dataclass(frozen=True, slots=True)
class Target:
    """Where the clients go: a repository with a blob, and a manifest that is pulled."""

    at: Address
    repository: str
    blob_digest: str
    content: bytes
    manifest_tag: str
    config: dict[str, object]

    @property
    def base(self) -> str:
        """The repository's part of every path."""
        return f"/v2/{self.repository}"


@dataclass(slots=True)
class Done:
    """What the clients have seen so far."""

    bytes: dict[str, int] = field(default_factory=dict)
    finished: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def add(self, kind: str, size: int) -> None:
        """Count bytes that one kind of client has moved."""
        self.bytes[kind] = self.bytes.get(kind, 0) + size

    def finish(self, kind: str) -> None:
        """Count one finished request."""
        self.finished[kind] = self.finished.get(kind, 0) + 1


class SlowClient:
    """One connection and its pace."""

    def __init__(self, kind: str, target: Target, speed: int, done: Done) -> None:
        self.kind, self.target, self.done = kind, target, done
        self.step = max(1, int(speed * _TICK))
        self.loop = asyncio.get_running_loop()
        self.socket = socket.socket()
        self.socket.setblocking(False)

    async def send(self, data: bytes | memoryview) -> None:
        """Send all of it, a step a tick."""
        view = memoryview(data)
        for start in range(0, len(view), self.step):
            await self.loop.sock_sendall(self.socket, view[start : start + self.step])
            self.done.add(self.kind, min(self.step, len(view) - start))
            await asyncio.sleep(_TICK)

    async def head(self) -> tuple[bytes, int]:
        """The head of an answer, and how many bytes of its body are still to come."""
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            more = await self.loop.sock_recv(self.socket, 1 << 14)
            if not more:
                raise BenchError(f"slow {self.kind}: the connection was closed")
            data += more
        head = data[: end + 2]
        if not 200 <= int(head[9:12]) < 300:
            raise BenchError(f"slow {self.kind}: {data[:400]!r}")
        return head, int(find_header(head, b"content-length") or 0) - (len(data) - end - 4)

    async def take(self, size: int) -> None:
        """Read a body, a step a tick."""
        while size > 0:
            due = min(self.step, size)
            size -= due
            while due:
                got = len(await self.loop.sock_recv(self.socket, due))
                if not got:
                    raise BenchError(f"slow {self.kind}: the connection was closed, {size + due} bytes missing")
                due -= got
                self.done.add(self.kind, got)
            await asyncio.sleep(_TICK)

    async def ask(self, request: bytes) -> bytes:
        """A whole small request at once; returns the head of its answer."""
        await self.loop.sock_sendall(self.socket, request)
        head, left = await self.head()
        while left > 0:
            left -= len(await self.loop.sock_recv(self.socket, left))
        return head

    async def get(self, path: str) -> None:
        """One slow GET."""
        await self.loop.sock_sendall(
            self.socket, build("GET", path, self.target.at, f"Accept: {OCI_MANIFEST}, */*\r\n")
        )
        _, left = await self.head()
        await self.take(left)

    async def put(self, method: str, path: str, headers: str, body: bytes) -> bytes:
        """One request with a slow body; returns the head of its answer."""
        length = f"Content-Length: {len(body)}\r\n"
        await self.loop.sock_sendall(self.socket, build(method, path, self.target.at, headers + length, None))
        await self.send(body)
        return (await self.head())[0]


async def pull(client: SlowClient) -> None:
    """GET the large blob."""
    await client.get(f"{client.target.base}/blobs/{client.target.blob_digest}")


async def upload(client: SlowClient) -> None:
    """POST, a slow PATCH, PUT."""
    target = client.target
    head = await client.ask(build("POST", f"{target.base}/blobs/uploads/", target.at))
    path = path_of(find_header(head, b"location") or b"")
    head = await client.put("PATCH", path, STREAM_HEADERS, target.content)
    path = path_of(find_header(head, b"location") or b"")
    await client.ask(build("PUT", with_digest(path, target.blob_digest), target.at))


async def put_manifest(client: SlowClient) -> None:
    """A manifest of 4 MiB that nobody has pushed before."""
    target = client.target
    body = large_manifest(target.config, random.randrange(1 << 60))
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    await client.put("PUT", f"{target.base}/manifests/{digest}", f"Content-Type: {OCI_MANIFEST}\r\n", body)


async def get_manifest(client: SlowClient) -> None:
    """The manifest of 4 MiB that is there."""
    await client.get(f"{client.target.base}/manifests/{client.target.manifest_tag}")


def large_manifest(config: dict[str, object], number: int) -> bytes:
    """An image manifest of nearly 4 MiB: one config, and annotations that fill the rest."""
    head = (
        f'{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"{config["mediaType"]}",'
        f'"digest":"{config["digest"]}","size":{config["size"]}}},"layers":[],"annotations":{{"bench.number":"{number}"'
    )
    entry = ',"bench.note.%05d":"' + "x" * 1000 + '"'
    count = (MANIFEST_SIZE - len(head) - 2) // len(entry % 0)
    return (head + "".join(entry % place for place in range(count)) + "}}").encode()


async def _forever(client: SlowClient, act: Callable[[SlowClient], Awaitable[None]], delay: float) -> None:
    await asyncio.sleep(delay)
    try:
        await client.loop.sock_connect(client.socket, client.target.at)
        while True:
            await act(client)
            client.done.finish(client.kind)
    except (BenchError, OSError, ValueError) as error:
        client.done.errors.append(f"{client.kind}: {error!r}")
    finally:
        client.socket.close()


async def _run(target: Target, load: Load, seconds: float, ramp: float) -> Done:
    done = Done()
    crowd = (
        ("pull", pull, load.pulls, load.pull_speed),
        ("upload", upload, load.uploads, load.upload_speed),
        ("manifest PUT", put_manifest, load.manifest_puts, load.manifest_speed),
        ("manifest GET", get_manifest, load.manifest_gets, load.manifest_speed),
    )
    tasks = []
    for kind, act, count, speed in crowd:
        for number in range(count):
            client = SlowClient(kind, target, speed, done)
            tasks.append(asyncio.create_task(_forever(client, act, ramp * number / count)))
    # None of them ends by itself but by an error.
    await asyncio.wait(tasks, timeout=ramp + seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return done


def _process(target: Target, load: Load, seconds: float, ramp: float, pipe: Pipe) -> None:
    pipe.send(asyncio.run(_run(target, load, seconds, ramp)))


class Crowd:
    """The slow clients in a process of their own."""

    def __init__(self, target: Target, load: Load, seconds: float, ramp: float = 2.0) -> None:
        self._pipe, theirs = _FORK.Pipe(duplex=False)
        self._process = _FORK.Process(target=_process, args=(target, load, seconds, ramp, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def alive(self) -> bool:
        """Whether the clients are still at it."""
        return not self._pipe.poll() and self._process.is_alive()

    def result(self) -> Done:
        """What they did; waits for the end. Raises BenchError when any request of theirs went wrong."""
        try:
            done = self._pipe.recv()
        except EOFError:
            raise BenchError("the slow clients died") from None
        self._process.join()
        if not isinstance(done, Done) or done.errors:
            raise BenchError(f"slow clients: {done.errors[:3]}")
        return done
