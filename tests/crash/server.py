"""The real program with a probe, as a process of its own that starts it again and again.

Run as `python -m tests.crash.server`. It loads the program once and forks a copy for each start (a start then takes
0.3 s instead of 1.2 s); each copy has a process group of its own, so that all its processes can be killed together.
Orders come as lines of JSON on standard input, answers go to standard output; at the end of input everything that was
started is killed.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.crash.plan import Plan

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: workers whose supervisor was killed become ours to bury

LOADED = (
    "alembic.command",
    "moorage.app",
    "moorage.blobs.filesystem",
    "moorage.blobs.filesystem_uploads",
    "moorage.cli.supervisor",
    "moorage.config",
    "moorage.metadata.postgres",
    "moorage.metadata.sqlite",
)


class Nursery:
    """The processes that were started, by process group."""

    def __init__(self) -> None:
        self._groups: set[int] = set()

    def start(self, order: dict[str, Any]) -> dict[str, Any]:
        """Fork a copy that serves; its process id is also its group's."""
        pid = os.fork()
        if pid == 0:
            _become_program(order)
        with suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)
        self._groups.add(pid)
        return {"pid": pid}

    def signal(self, order: dict[str, Any]) -> dict[str, Any]:
        """Send a signal to all processes of one start, or to its supervisor alone."""
        send = os.killpg if order["all"] else os.kill
        with suppress(ProcessLookupError):
            send(order["pid"], order["signal"])
        return {}

    def wait(self, order: dict[str, Any]) -> dict[str, Any]:
        """Wait until no process of a start is left; `gone` says whether that came true in time."""
        end = time.monotonic() + order["seconds"]
        while _alive(order["pid"]) and time.monotonic() < end:
            time.sleep(0.002)
        gone = not _alive(order["pid"])
        if gone:
            self._groups.discard(order["pid"])
        return {"gone": gone}

    def close(self) -> None:
        """Kill what is left."""
        for group in tuple(self._groups):
            self.signal({"pid": group, "signal": signal.SIGKILL, "all": True})
            self.wait({"pid": group, "seconds": 10})


def _alive(group: int) -> bool:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _become_program(order: dict[str, Any]) -> None:
    """Serve as `moorage serve` would, with the plan as probe. Does not return."""
    code = 1
    try:
        os.setpgid(0, 0)
        with Path(order["log"]).open("ab") as log, Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        os.environ.update(order["env"])
        from moorage.cli.supervisor import run
        from moorage.config import Overrides, load

        overrides = Overrides(
            host="127.0.0.1", port=order["port"], root=Path(order["root"]), workers=order["workers"], auth="none"
        )
        loaded = load(None, os.environ, overrides)
        if loaded.errors:
            raise ValueError(loaded.errors)
        run(loaded.settings, Plan(Path(order["plan"])))
        code = 0
    except BaseException:  # noqa: BLE001 - a copy of the nursery must end here, whatever happens
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _answer(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Take orders until there are no more."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    for name in LOADED:
        importlib.import_module(name)
    nursery = Nursery()
    orders = {"start": nursery.start, "signal": nursery.signal, "wait": nursery.wait}
    _answer({"ready": True})
    try:
        for line in sys.stdin:
            order = json.loads(line)
            _answer(orders[order["do"]](order))
    finally:
        nursery.close()


if __name__ == "__main__":
    main()
