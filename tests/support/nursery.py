"""A process that loads the program once and forks a copy of itself for each start.

What the program imports takes most of a start: 0.7 of 0.9 s of CPU, and the tests start hundreds of servers. A forked
copy is the same program with its modules already there; whoever tests the start itself starts it by `exec` instead.

    child = nursery().start(MAIN, ["serve", "--port", "5000"], os.environ, log)
    child.wait(10)  # as of subprocess.Popen

Orders go to the process as lines of JSON on its standard input, answers come from its standard output; at the end of
input everything that it started is killed. Each copy has a session of its own, so that all its processes can be killed
together.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.at_end import AT_END

MAIN = "tests.support.nursery:moorage"
"""What `moorage` does, for `NurseryProcess.start`."""

REPOSITORY = Path(__file__).resolve().parents[2]
LOOK_SECONDS = 0.002
CLOSE_SECONDS = 30.0
KILLED_SECONDS = 10.0

_PARENT_DEATH = 1  # PR_SET_PDEATHSIG
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: workers whose supervisor was killed become the nursery's to bury

LOADED = (
    "alembic.command",
    "moorage.accounts.bootstrap",
    "moorage.accounts.certificate_login",
    "moorage.accounts.oidc_login",
    "moorage.app",
    "moorage.app.local",
    "moorage.auth.basic",
    "moorage.auth.external_tokens",
    "moorage.auth.ldap",
    "moorage.auth.oidc",
    "moorage.blobs.filesystem",
    "moorage.blobs.filesystem_uploads",
    "moorage.cli",
    "moorage.cli.supervisor",
    "moorage.config",
    "moorage.http.api.app",
    "moorage.http.debug",
    "moorage.http.token.door",
    "moorage.metadata.postgres",
    "moorage.metadata.sqlite",
)
"""What a server imports by and by, the large parts of it."""


class Child:
    """A copy that was started; its process id is also its group's. Used as `subprocess.Popen` is."""

    def __init__(self, nursery: NurseryProcess, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery

    def poll(self) -> int | None:
        """Its status if it has ended: negative for the signal that killed it."""
        if self.returncode is None:
            self.returncode = self._nursery.order("status", pid=self.pid)["status"]
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its status, once it has ended.

        Raises:
            subprocess.TimeoutExpired: it has not ended within `timeout` seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("moorage", timeout or 0)
            time.sleep(LOOK_SECONDS)
        return status

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill_all(self) -> None:
        """SIGKILL to all processes of its group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def gone(self, seconds: float) -> bool:
        """Whether no process of its group is left, now or before `seconds` have passed."""
        end = time.monotonic() + seconds
        while not self._nursery.order("gone", pid=self.pid)["gone"]:
            if time.monotonic() > end:
                return False
            time.sleep(LOOK_SECONDS)
        return True


class NurseryProcess:
    """The test's end of it."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == {"ready": True}

    def start(self, main: str, arguments: list[str], environment: Mapping[str, str], log: Path) -> Child:
        """Fork a copy that becomes a program.

        Args:
            main: `module:function` that is called with the arguments.
            arguments: the program's.
            environment: the whole of it.
            log: where its output is appended.
        """
        return self._start(main, arguments, environment, input=os.devnull, output=str(log), errors=str(log))

    def run(
        self, arguments: list[str], environment: Mapping[str, str], given: str = "", timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of Moorage's to its end, with `given` as its standard input.

        Raises:
            subprocess.TimeoutExpired: it has not ended within `timeout` seconds.
        """
        with tempfile.TemporaryDirectory(prefix="moorage-command-") as folder:
            given_file, output, errors = (Path(folder) / name for name in ("input", "output", "errors"))
            given_file.write_text(given)
            streams = {"input": str(given_file), "output": str(output), "errors": str(errors)}
            status = self._start(MAIN, arguments, environment, **streams).wait(timeout)
            return subprocess.CompletedProcess(arguments, status, output.read_text(), errors.read_text())

    def _start(self, main: str, arguments: list[str], environment: Mapping[str, str], **streams: str) -> Child:
        order = {"main": main, "arguments": arguments, "environment": dict(environment), **streams}
        return Child(self, self.order("start", **order)["pid"])

    def order(self, do: str, **rest: object) -> dict[str, Any]:
        """Give an order and return the answer."""
        with self._one_at_a_time:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"do": do, **rest}) + "\n")
            self._process.stdin.flush()
            return self._read()

    def close(self) -> None:
        """End it with everything that it started."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(CLOSE_SECONDS)
        self._process.stdout.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the nursery has ended"
        value: dict[str, Any] = json.loads(line)
        return value


@cache
def nursery() -> NurseryProcess:
    """That of this test process."""
    made = NurseryProcess()
    AT_END.callback(made.close)
    return made


def moorage(arguments: list[str]) -> None:
    """What the console script does."""
    from moorage.cli import main

    sys.argv = ["moorage", *arguments]
    main()


class _Nursery:
    """The processes that were started: those whose group may still live, and how their first one ended."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._ended: dict[int, int] = {}

    def start(self, order: dict[str, Any]) -> dict[str, Any]:
        pid = os.fork()
        if pid == 0:
            _become_program(order)
        with suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)  # whoever comes first: the group is there when the answer is
        self._groups.add(pid)
        return {"pid": pid}

    def status(self, order: dict[str, Any]) -> dict[str, Any]:
        self._bury()
        return {"status": self._ended.get(order["pid"])}

    def gone(self, order: dict[str, Any]) -> dict[str, Any]:
        self._bury()
        try:
            os.killpg(order["pid"], 0)
        except ProcessLookupError:
            self._groups.discard(order["pid"])
            return {"gone": True}
        return {"gone": False}

    def close(self) -> None:
        """Kill what is left."""
        end = time.monotonic() + KILLED_SECONDS
        for group in tuple(self._groups):
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            while not self.gone({"pid": group})["gone"] and time.monotonic() < end:
                time.sleep(LOOK_SECONDS)

    def _bury(self) -> None:
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                self._ended[found[0]] = os.waitstatus_to_exitcode(found[1])


def _become_program(order: dict[str, Any]) -> None:
    """Be the program to its end. Does not return."""
    code = 1
    try:
        os.setpgid(0, 0)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGTERM, 0, 0, 0)
        for number, (name, mode) in enumerate((("input", "rb"), ("output", "ab"), ("errors", "ab"))):
            with Path(order[name]).open(mode) as stream:
                os.dup2(stream.fileno(), number)
        os.environ.clear()
        os.environ.update(order["environment"])
        module, _, function = order["main"].partition(":")
        getattr(importlib.import_module(module), function)(order["arguments"])
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - a copy of the nursery must end here, whatever happens
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Take orders until there are no more."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    for name in LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a copy does not look through all of it again
    nursery = _Nursery()
    orders = {"start": nursery.start, "status": nursery.status, "gone": nursery.gone}
    _answer({"ready": True})
    try:
        for line in sys.stdin:
            order = json.loads(line)
            _answer(orders[order["do"]](order))
    finally:
        nursery.close()


def _answer(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
