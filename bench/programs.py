"""The registries under test: where each is found, how it is started, and what it costs while it runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import BenchError
from bench.wire import Address, Connection, build

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Plan:
    """A command line with its environment, ready to be started."""

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Program:
    """A kind of registry: `plan` writes its configuration under a folder and says how to start it."""

    name: str
    title: str
    binaries: tuple[str, ...]
    plan: Callable[[str, Path, Address], Plan]
    version: tuple[str, ...]
    ready: str = "/v2/"

    def find(self, override: str | None = None) -> str | None:
        """The program's file: the override, the checkout's own tools, or the PATH; None where it is not installed."""
        if override:
            return shutil.which(override)
        beside = str(Path(sys.executable).parent)
        path = os.pathsep.join([beside, str(ROOT / ".venv/bin"), str(ROOT / ".tools/bin"), os.environ.get("PATH", "")])
        for name in self.binaries:
            if found := shutil.which(name, path=path):
                return found
        return None

    def describe(self, binary: str) -> str:
        """What the program says of its own version: one line."""
        done = subprocess.run([binary, *self.version], capture_output=True, text=True, timeout=30, check=False)
        lines = (done.stdout or done.stderr).strip().splitlines()
        return lines[0].replace(binary, "").replace("VCSTag:", "").strip() if lines else "unknown"


def _distribution(binary: str, folder: Path, at: Address) -> Plan:
    """Distribution's packaged configuration (Debian's /etc/docker/registry/config.yml) without its auth section."""
    config = {
        "version": "0.1",
        "log": {"fields": {"service": "registry"}},
        "storage": {
            "cache": {"blobdescriptor": "inmemory"},
            "filesystem": {"rootdirectory": str(folder / "data")},
            "delete": {"enabled": True},
        },
        "http": {"addr": at.authority, "headers": {"X-Content-Type-Options": ["nosniff"]}},
        "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
    }
    (folder / "config.yml").write_text(json.dumps(config))
    return Plan([binary, "serve", str(folder / "config.yml")], {"OTEL_TRACES_EXPORTER": "none"})


def _moorage(binary: str, folder: Path, at: Address) -> Plan:
    """Two workers, no authentication, everything else as it comes."""
    root = folder / "data"
    return Plan(
        [binary, "serve", "--host", at.host, "--port", str(at.port), "--root", str(root), "--workers", "2"],
    )


def _olareg(binary: str, folder: Path, at: Address) -> Plan:
    root = folder / "data"
    return Plan([binary, "serve", "--addr", at.host, "--port", str(at.port), "--dir", str(root)])


def _zot(binary: str, folder: Path, at: Address) -> Plan:
    config = {
        "distSpecVersion": "1.1.1",
        "storage": {"rootDirectory": str(folder / "data")},
        "http": {"address": at.host, "port": str(at.port)},
        "log": {"level": "info"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return Plan([binary, "serve", str(folder / "config.json")])


PROGRAMS = {
    program.name: program
    for program in (
        Program("moorage", "Moorage", ("moorage",), _moorage, ("--version",), "/readyz"),
        Program("docker-registry", "docker-registry 2.8", ("docker-registry",), _distribution, ("--version",)),
        Program("distribution", "Distribution v3", ("registry",), _distribution, ("--version",)),
        Program("olareg", "olareg", ("olareg",), _olareg, ("version",)),
        Program("zot", "zot", ("zot",), _zot, ("--version",)),
    )
}


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Running:
    """A started registry in a session of its own, its folder and its log file in it."""

    def __init__(self, program: Program, binary: str, folder: Path) -> None:
        self.program = program
        self.name = program.name
        self.folder = folder
        self.at = Address(HOST, free_port())
        (folder / "data").mkdir(parents=True, exist_ok=True)
        plan = program.plan(binary, folder, self.at)
        self.command = plan.command
        self.log = folder / "log"
        self.started = time.perf_counter()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                plan.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **plan.environment},
                cwd=folder,
                start_new_session=True,
            )

    def wait_ready(self, limit: float = 30.0) -> float:
        """Wait until the program answers 200 where it says that it is ready; seconds since its start.

        Raises BenchError when it ends or does not answer within `limit` seconds.
        """
        while time.perf_counter() - self.started < limit:
            if self.process.poll() is not None:
                raise BenchError(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")
            if self._answers():
                return time.perf_counter() - self.started
            time.sleep(0.01)
        raise BenchError(f"{self.name} is not ready after {limit:.0f} s:\n{self.tail()}")

    def _answers(self) -> bool:
        try:
            connection = Connection(self.at, 5.0)
        except OSError:
            return False
        try:
            return connection.ask(build("GET", self.program.ready, self.at)).status == 200
        except (OSError, BenchError, ValueError):
            return False
        finally:
            connection.close()

    def tail(self, size: int = 2000) -> str:
        """The end of the program's log."""
        return self.log.read_bytes()[-size:].decode(errors="replace")

    def pids(self) -> list[int]:
        """The program's processes: everything in the session that was made for it."""
        return [pid for pid, fields in _all_stats() if int(fields[3]) == self.process.pid]

    def children(self) -> list[int]:
        """The processes that the started one has started itself."""
        return [pid for pid, fields in _all_stats() if int(fields[1]) == self.process.pid]

    def cpu(self) -> float:
        """CPU seconds (user and system) of the program's living processes so far."""
        ticks = sum(
            int(fields[11]) + int(fields[12]) for _, fields in _all_stats() if int(fields[3]) == self.process.pid
        )
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self, patience: float = 15.0) -> None:
        """End the program: SIGTERM, and SIGKILL to its own session after `patience` seconds."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _all_stats() -> list[tuple[int, list[str]]]:
    """For each process its id and the fields of /proc/<pid>/stat from the state on (proc(5), field 3)."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text()
        except OSError:
            continue
        found.append((int(entry.name), text.rpartition(")")[2].split()))
    return found
