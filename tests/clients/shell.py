"""Runs client programs as their users do, but in an environment in which nothing of this machine is configured."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.programs import require_program

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = REPOSITORY / ".tools" / "bin"
"""Where tools/install.sh puts the Go programs."""

PASSED_ON = ("PATH", "LANG", "TZ", "TMPDIR")
# Where somebody has two, the one of the distribution counts: it fits the daemon.
FIRST_FOLDERS = {"docker": ("/usr/bin",)}


class ProgramFailed(Exception):
    """A program ended with a status other than 0; the message has its command line and all that it printed."""


def program(name: str) -> str:
    """The path of a program, the pinned one of tools/ before any other; ends the test if it is absent."""
    return require_program(name, (str(TOOLS), *FIRST_FOLDERS.get(name, ())))


def proxyless(home: Path) -> dict[str, str]:
    """An environment for programs that talk to loopback addresses only."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**kept, "HOME": str(home), "NO_PROXY": "*", "no_proxy": "*"}


class Shell:
    """Programs with a home of their own.

    Attributes:
        home: their HOME; credentials and caches end up in it.
        folder: where they are started.
        environment: all variables that they see.
    """

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = self.folder = home
        self.environment = {**proxyless(home), **environment}

    def with_environment(self, **more: str) -> Shell:
        """The same with more variables."""
        return Shell(self.home, {**self.environment, **more})

    def within(self, folder: Path) -> Shell:
        """The same started in another folder."""
        other = Shell(self.home, self.environment)
        other.folder = folder
        return other

    def run(self, *command: str | Path, stdin: str | None = None, timeout: float = 120) -> str:
        """Run a program to its end and return its standard output, without white space around it.

        Raises:
            ProgramFailed: its status is not 0.
            subprocess.TimeoutExpired: it took longer than `timeout` seconds, and was killed.
        """
        return self._succeeded(command, stdin, timeout).stdout.strip()

    def with_stderr(self, *command: str | Path, timeout: float = 120) -> str:
        """The same as `run`, for programs that tell the most interesting things on standard error."""
        done = self._succeeded(command, None, timeout)
        return done.stdout + done.stderr

    def refused(self, *command: str | Path, stdin: str | None = None, timeout: float = 60) -> str:
        """Run a program that has to fail, and return all that it printed."""
        done = self._run(command, stdin, timeout)
        assert done.returncode != 0, f"should have failed: {_story(command, done)}"
        return done.stdout + done.stderr

    @contextmanager
    def running(self, *command: str | Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """A daemon for the length of a `with`; it gets SIGTERM at the end, and SIGKILL if that is not enough.

        If the tests themselves are killed, the kernel tells it to end.
        """
        line = [program("setpriv"), "--pdeathsig", "TERM", "--", *_found(command)]
        with log.open("ab") as output:
            process = subprocess.Popen(
                line, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _succeeded(
        self, command: Sequence[str | Path], stdin: str | None, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        done = self._run(command, stdin, timeout)
        if done.returncode != 0:
            raise ProgramFailed(_story(command, done))
        return done

    def _run(
        self, command: Sequence[str | Path], stdin: str | None, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            _found(command),
            env=self.environment,
            cwd=self.folder,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )


def _found(command: Sequence[str | Path]) -> list[str]:
    return [program(str(command[0])), *map(str, command[1:])]


def _story(command: Sequence[str | Path], done: subprocess.CompletedProcess[str]) -> str:
    said = "\n".join(filter(None, (done.stdout[-3000:], done.stderr[-3000:])))
    return f"{' '.join(map(str, command))}: status {done.returncode}\n{said}"
