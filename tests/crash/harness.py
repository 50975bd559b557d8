"""Starting, killing and starting again the program under test."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

from tests.crash import server as program
from tests.crash.client import Client, NoAnswer
from tests.crash.plan import Action, Armed, Plan
from tests.support.nursery import Child, NurseryProcess

READY_SECONDS = 10.0
"""A start after a crash takes less than this (invariant I6)."""

START_SECONDS = 60.0
"""The first start of a test may take so long: the machine is busy with other tests."""

PATIENCE_SECONDS = 5.0
"""How long one question for readiness may take."""


def free_port() -> int:
    """A port below those that the kernel gives to outgoing connections: nobody takes it while the program is down."""
    while True:
        port = random.randint(15_000, 30_000)
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port


class Server:
    """The program on one root directory and one port, through any number of starts.

    Args:
        nursery: starts it.
        folder: for the plan and the log; the root is below it unless given.
        workers: how many.
        env: configuration, as `REGISTRY_...` variables.
        root: another directory for everything that is kept.
    """

    def __init__(
        self,
        nursery: NurseryProcess,
        folder: Path,
        workers: int = 1,
        env: dict[str, str] | None = None,
        root: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.root = root or folder / "root"
        self.workers = workers
        self.plan = Plan(folder / "plan")
        self.port = free_port()
        self._process: Child | None = None
        self._log = folder / "log"
        self._nursery = nursery
        self._clients: list[Client] = []
        # The work that comes round by itself would pass points in the middle of a test's own.
        quiet = {"REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED": "false", program.SETTLE: "3600"}
        self._env = {**quiet, **(env or {})}

    @property
    def process(self) -> Child:
        """The supervisor."""
        assert self._process is not None, "the server was not started"
        return self._process

    @property
    def pid(self) -> int:
        """The supervisor's process id, which is also the group's of all its processes."""
        return self.process.pid

    def start(self) -> float:
        """Start and wait until it can serve; returns how many seconds that took."""
        self.plan.arm(Armed(Action.NOTHING))
        begun = time.monotonic()
        arguments = [str(self.port), str(self.root), str(self.workers), str(self.plan.path)]
        self._process = self._nursery.start(program.MAIN, arguments, {**os.environ, **self._env}, self._log)
        self.wait_ready()
        seconds = time.monotonic() - begun
        self._wait_settled()
        return seconds

    def _wait_settled(self) -> None:
        """A worker looks once whether upkeep is due when it starts; that is over when this returns."""
        end = time.monotonic() + PATIENCE_SECONDS
        while self.workers == 1 and "commit-done" not in self.plan.passed() and time.monotonic() < end:
            time.sleep(0.001)

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until /readyz says so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._says_ready():
                return
            assert not self.gone(0), f"ended by itself:\n{self.log()[-4000:]}"
            time.sleep(0.01)
        raise AssertionError(f"not ready after {seconds} s:\n{self.log()[-4000:]}")

    def _says_ready(self) -> bool:
        client = Client(self.port, timeout=PATIENCE_SECONDS)
        try:
            return client.get("/readyz").status == 200
        except NoAnswer:
            return False
        finally:
            client.close()

    def client(self, timeout: float = 30.0) -> Client:
        """A connection of one's own."""
        client = Client(self.port, timeout)
        self._clients.append(client)
        return client

    def close(self) -> None:
        """End everything that belongs to it."""
        for client in self._clients:
            client.close()
        if self._process is not None:
            self.kill()
        self.plan.close()

    def kill(self) -> None:
        """SIGKILL to all processes at once, and wait until the last is gone."""
        self.process.kill_all()
        assert self.gone(10), "processes are left after SIGKILL"

    def kill_supervisor(self) -> None:
        """SIGKILL to the supervisor alone."""
        self.process.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM to the supervisor, as an operator ends it."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self, seconds: float = 20) -> None:
        """SIGTERM, and wait until the last process is gone."""
        self.terminate()
        assert self.gone(seconds), f"still there {seconds} s after SIGTERM:\n{self.log()[-4000:]}"

    def gone(self, seconds: float) -> bool:
        """Whether no process is left, now or before `seconds` have passed."""
        return self.process.gone(seconds)

    def restart(self) -> float:
        """Start again after a crash; returns the seconds until it served."""
        assert self.gone(10), "the program was to be dead"
        seconds = self.start()
        assert seconds < READY_SECONDS
        return seconds

    def arm(self, armed: Armed) -> None:
        """See `Plan.arm`."""
        self.plan.arm(armed)

    def worker_pids(self) -> list[int]:
        """The workers' process ids; one that ends in this moment is none any more."""
        found = []
        for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
            with suppress(FileNotFoundError, ProcessLookupError):
                if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
        return found

    def descriptors(self) -> list[str]:
        """What the workers hold open below the root, sockets left out."""
        found = []
        for pid in self.worker_pids():
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    target = str(entry.readlink())
                    if target.startswith(str(self.root)):
                        found.append(target)
        return sorted(found)

    def wait_for_descriptors(self, held: list[str]) -> None:
        """Wait until no more than these is open; a blob's file is closed a moment after its last byte was sent."""
        end = time.monotonic() + PATIENCE_SECONDS
        while self.descriptors() != held and time.monotonic() < end:
            time.sleep(0.01)
        assert self.descriptors() == held

    def log(self) -> str:
        """All that the program printed."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""
