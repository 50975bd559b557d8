"""The works that are measured, each a function of a stocked registry, and the ratio that Moorage has to reach."""

from __future__ import annotations

import os
import random
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import pushers, upload, wrk
from bench.files import KB, MB, Blob, Image, make_blob, make_image
from bench.machine import Meter
from bench.programs import Running
from bench.wire import Connection

REPOSITORY = "bench/pull"
TAG = "latest"
PUSH_CLIENTS = 8
_READ_BUFFER = 256 * 1024


@dataclass(frozen=True, slots=True)
class Files:
    """Everything that is put into each registry before the clock runs."""

    image: Image
    blobs: dict[str, Blob]


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: the value in the work's unit, and the cores that client, server and everybody else used."""

    value: float
    client: float
    server: float
    others: float


@dataclass(frozen=True, slots=True)
class Work:
    """One line of the table; `needed` is the ratio to docker-registry that Moorage must reach.

    `turns` are taken where others take one, each a share of the seconds: what swings by itself from one sample to the
    next (a disk, memory that other machines use too, which process gets a connection) needs many of them, side by side.
    """

    name: str
    title: str
    unit: str
    needed: float
    run: Callable[[Running, Files, float, str], float]
    blob: str = ""
    turns: int = 1


def make_files(folder: Path, names: list[str]) -> Files:
    """Make the image and those blobs that the named works read."""
    wanted = {WORKS[name].blob for name in names} - {""}
    image = make_image(random.Random("the image that is pulled"))
    return Files(image, {name: make_blob(folder, SIZES[name]) for name in SIZES if name in wanted})


def stock(running: Running, files: Files) -> None:
    """Push the image and the blobs into a registry. Raises BenchError for any wrong answer."""
    connection = Connection(running.at)
    upload.push_image(connection, REPOSITORY, TAG, files.image)
    for blob in files.blobs.values():
        upload.push_file(connection, REPOSITORY, blob)
    connection.close()


def check(running: Running, files: Files) -> None:
    """Pull everything and compare. Raises BenchError for wrong bytes."""
    connection = Connection(running.at)
    upload.check_manifest(connection, REPOSITORY, TAG, files.image.manifest)
    for blob in files.blobs.values():
        upload.check_blob(connection, blob_path(blob), blob.size, blob.digest)
    connection.close()


def blob_path(blob: Blob) -> str:
    """Where a stocked blob is served."""
    return f"/v2/{REPOSITORY}/blobs/{blob.digest}"


def sample(work: Work, running: Running, files: Files, seconds: float, label: str) -> Sample:
    """Run a work once, and see what client and server spent on it."""
    meter, begin, own, theirs = Meter(), time.perf_counter(), _own_cpu(), running.cpu()
    value = work.run(running, files, seconds, label)
    cores = meter.cores()
    took = time.perf_counter() - begin
    client, server = (_own_cpu() - own) / took, (running.cpu() - theirs) / took
    return Sample(value, client, server, max(0.0, cores - client - server))


def _own_cpu() -> float:
    """CPU seconds of this process and of the clients that it has waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def _manifest(running: Running, _files: Files, seconds: float, _label: str) -> float:
    return wrk.run(running.at.url(f"/v2/{REPOSITORY}/manifests/{TAG}"), 16, seconds).requests


def _small_blob(name: str) -> Callable[[Running, Files, float, str], float]:
    def run(running: Running, files: Files, seconds: float, _label: str) -> float:
        return wrk.run(running.at.url(blob_path(files.blobs[name])), 16, seconds).requests

    return run


def _blob_10m(running: Running, files: Files, seconds: float, _label: str) -> float:
    return wrk.run(running.at.url(blob_path(files.blobs["10m"])), 4, seconds).bytes


def _get_500m(running: Running, files: Files, seconds: float, _label: str) -> float:
    """One stream, again and again on one connection until the seconds are over; the median of them."""
    blob = files.blobs["500m"]
    buffer = bytearray(_READ_BUFFER)
    connection = Connection(running.at)
    deadline = time.perf_counter() + seconds
    times = [upload.drain(connection, blob_path(blob), blob.size, buffer)]
    while time.perf_counter() < deadline:
        times.append(upload.drain(connection, blob_path(blob), blob.size, buffer))
    connection.close()
    return blob.size / sorted(times)[len(times) // 2]


def _patch_500m(running: Running, files: Files, _seconds: float, label: str) -> float:
    """One PATCH of the whole file, onto a disk that has nothing left to write; the PUT after it does not count."""
    blob = files.blobs["500m"]
    os.sync()
    _touch_memory(2 * blob.size)
    connection = Connection(running.at)
    took = upload.push_file(connection, f"bench/patch-{label}", blob)
    connection.close()
    return blob.size / took


def _touch_memory(size: int) -> None:
    """Take memory and give it back.

    On a virtual machine, memory that the guest has never touched costs about five times as much to write to, whoever
    comes first; the page cache of the upload shall not be made of it.
    """
    taken = b"\1" * size
    del taken


def _push(running: Running, _files: Files, seconds: float, label: str) -> float:
    done = pushers.push(running.at, PUSH_CLIENTS, seconds, label)
    return done.images / done.seconds


SIZES = {"1k": KB, "100k": 100 * KB, "10m": 10 * MB, "500m": 500 * MB}

WORKS = {
    work.name: work
    for work in (
        Work("manifest", "GET manifest by tag, 16 connections", "requests/s", 12, _manifest),
        Work("blob1k", "GET blob 1 kB, 16 connections", "requests/s", 15, _small_blob("1k"), "1k"),
        Work("blob100k", "GET blob 100 kB, 16 connections", "requests/s", 14, _small_blob("100k"), "100k"),
        Work("blob10m", "GET blob 10 MB, 4 connections", "bytes/s", 1.4, _blob_10m, "10m", turns=3),
        Work("get500m", "GET blob 500 MB, one stream", "bytes/s", 1.0, _get_500m, "500m"),
        Work("patch500m", "PATCH 500 MB, one stream", "bytes/s", 2.5, _patch_500m, "500m", turns=3),
        Work("push", "push of an image (5 layers of 2 kB, a config), 8 clients", "images/s", 4, _push),
    )
}
