"""Work in a process of its own: its result, its death, and that of whoever wanted it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from moorage.cli.apart import DiedError, apart
from tests.support.wire import wait_until

WAITING = """
import os, time
from moorage.cli.apart import apart

def wait(argument):
    print(os.getpid(), flush=True)
    time.sleep(600)
    return argument

apart(wait, "never")
"""


def in_which_process(argument: str) -> str:
    return f"{argument} {os.getpid()}"


def be_killed(_argument: str) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return "not reached"


def test_it_is_done_in_another_process() -> None:
    before = set(sys.modules)
    word, pid = apart(in_which_process, "done").split()
    assert word == "done"
    assert int(pid) != os.getpid()
    assert {name for name in set(sys.modules) - before if name.startswith(("moorage", "alembic"))} == set()


def test_who_is_killed_at_it_is_told_of() -> None:
    with pytest.raises(DiedError, match=f"status -{int(signal.SIGKILL)}"):
        apart(be_killed, "")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_whoever_wanted_it(how: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", WAITING], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.send_signal(how)
        assert starter.wait(10) == -how
        wait_until(lambda: not _runs(pid), every=0.01)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
