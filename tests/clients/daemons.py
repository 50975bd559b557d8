"""dockerd and containerd with sockets and folders of their own: a daemon of the machine is never spoken to."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clients.shell import Shell, program

READY_SECONDS = 30.0


class NotReady(Exception):
    """A daemon ended, or was not ready in time; the message has the end of its log."""


def overlay_works(folder: Path) -> bool:
    """Whether the kernel mounts overlays on this filesystem; where it does not, images are copied (vfs)."""
    places = {name: folder / f"overlay-{name}" for name in ("lowerdir", "upperdir", "workdir", "merged")}
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    merged = places.pop("merged")
    options = ",".join(f"{name}={place}" for name, place in places.items())
    mounted = subprocess.run(
        [program("mount"), "-t", "overlay", "-o", options, "overlay", merged], capture_output=True, check=False
    )
    if mounted.returncode == 0:
        subprocess.run([program("umount"), merged], check=True)
    return mounted.returncode == 0


def unmount_below(folder: Path) -> None:
    """Unmount whatever is mounted below a folder, the deepest first: daemons leave network namespaces mounted."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    for point in reversed(points):
        if point.startswith(f"{folder}/"):
            subprocess.run([program("umount"), point], check=True, timeout=30)


@contextmanager
def docker_daemon(shell: Shell, folder: Path, *, overlay: bool) -> Iterator[Shell]:
    """A running dockerd; gives the shell in which `docker` speaks to it.

    It has no bridge and writes no firewall rules: containers have no network, which no test needs.
    """
    folder.mkdir(parents=True)
    config = folder / "daemon.json"
    config.write_text(
        json.dumps(
            {
                "data-root": str(folder / "data"),
                "exec-root": str(folder / "run"),
                "pidfile": str(folder / "pid"),
                "storage-driver": "overlay2" if overlay else "vfs",
                "bridge": "none",
                "iptables": False,
                "ip6tables": False,
                "features": {"buildkit": False},
            }
        )
    )
    socket = f"unix://{folder}/docker.sock"
    log = folder / "log"
    client = shell.with_environment(DOCKER_HOST=socket, DOCKER_CONFIG=str(shell.home / "docker"))
    with shell.running("dockerd", "--config-file", config, "--host", socket, log=log) as process:
        _wait(process, lambda: client.run("docker", "version", timeout=10), log)
        yield client


@contextmanager
def containerd_daemon(shell: Shell, folder: Path, *, overlay: bool) -> Iterator[Shell]:
    """A running containerd; gives the shell in which `ctr` speaks to it."""
    folder.mkdir(parents=True)
    config = folder / "config.toml"
    config.write_text(
        f"""
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{folder}/containerd.sock"
"""
    )
    log = folder / "log"
    client = shell.with_environment(
        CONTAINERD_ADDRESS=f"{folder}/containerd.sock", CONTAINERD_SNAPSHOTTER="overlayfs" if overlay else "native"
    )
    with shell.running("containerd", "--config", config, log=log) as process:
        _wait(process, lambda: client.run("ctr", "version", timeout=10), log)
        yield client


def _wait(process: subprocess.Popen[bytes], ask: Callable[[], object], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            ask()
        except Exception:  # noqa: BLE001 - whatever it is, it is tried again
            time.sleep(0.1)
        else:
            return
    raise NotReady(f"{process.args!r}: status {process.poll()}\n{log.read_text(errors='replace')[-3000:]}")
