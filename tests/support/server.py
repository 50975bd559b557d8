"""Moorage as a program of its own, for tests that talk to it over a real socket.

    with serving(tmp_path, config={"storage": {"delete": {"enabled": True}}}) as server:
        ...  # server.port, server.base, server.root, server.log(), server.workers()

The program gets a port that was free, a root of its own and an environment without anybody's settings; what it prints
goes to a file. At the end it is told to end by SIGTERM and has to do so with status 0, with no traceback in its log.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.nursery import MAIN, Child, nursery
from tests.support.postgres import free_port, shared_cluster
from tests.support.programs import find_program
from tests.support.secrets_used import leaked, note

HOST = "127.0.0.1"
READY_SECONDS = 30.0
STOP_SECONDS = 40.0
WORKERS = 2
TESTS_DATABASE = "MOORAGE_TESTS_DATABASE"
"""`sqlite` or `postgresql` in this variable: what the servers of all tests keep their facts in."""

TRACEBACK = "Traceback (most recent call last)"


class ServerError(Exception):
    """The program did not start, did not end, or ended badly; the message has the end of its log."""


@dataclass
class Server:
    """One Moorage: how it is started, and while it runs, how it is reached.

    Attributes:
        folder: of this server alone: `root`, `log` and the configuration lie in it.
        config: the configuration file as a tree; None starts without a file.
        environment: more variables.
        arguments: more options of `moorage serve`.
        workers_wanted: worker processes; None leaves that to the configuration.
        unix: the socket that it listens on instead of TCP, as the configuration says.
        ca: authority of its certificate, where the configuration switches TLS on.
        prefix: under which it serves, as the configuration says, without a slash at the end.
        port: where it listens.
        warm: forked from a process that has loaded the program, which takes a quarter of the time; False: started by
            `exec`, as users do.
        database: URL of its database where that is not the file in its root.
    """

    folder: Path
    config: Mapping[str, Any] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    workers_wanted: int | None = WORKERS
    unix: Path | None = None
    ca: Path | None = None
    prefix: str = ""
    port: int = 0
    warm: bool = True
    database: str = ""
    process: subprocess.Popen[bytes] | Child | None = None

    @property
    def root(self) -> Path:
        """Where it keeps everything."""
        return self.folder / "root"

    @property
    def database_url(self) -> str:
        """Where its facts are."""
        return self.database or f"sqlite:///{self.root / 'moorage.db'}"

    @property
    def log_file(self) -> Path:
        """Where its output goes, that of restarts at the end."""
        return self.folder / "log"

    @property
    def base(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self.ca else 'http'}://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self.process is not None, "the server was not started"
        return self.process.pid

    def log(self) -> str:
        """All that it printed so far."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def start(self) -> Server:
        """Start it and wait until it says that it is ready.

        Raises:
            ServerError: it ended, or did not get ready in time.
        """
        self.launch()
        self.wait_ready()
        return self

    def launch(self) -> None:
        """Start it and do not wait. The port is kept over restarts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.port:
            self.port = free_port()
        if self.warm:
            self.process = nursery().start(MAIN, self._arguments(), self._environment(), self.log_file)
            return
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self._command(),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        """Wait until `/readyz` answers 200, and every worker was started.

        Raises:
            ServerError: it ended meanwhile, or it took too long.
        """
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                raise ServerError(f"ended with {self.process and self.process.returncode}:\n{self.log()[-4000:]}")
            with suppress(OSError):
                if self._is_ready():
                    return
            time.sleep(0.03)
        self.kill()
        raise ServerError(f"did not get ready in {READY_SECONDS} s:\n{self.log()[-4000:]}")

    def connect(self, timeout: float = 30.0, context: ssl.SSLContext | None = None) -> socket.socket:
        """A new connection; over TLS where the server speaks it, by default with its own authority trusted."""
        if self.unix is not None:
            plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            plain.settimeout(timeout)
            with _closed_on_failure(plain):
                plain.connect(str(self.unix))
            return plain
        plain = socket.create_connection((HOST, self.port), timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.ca is None:
            return plain
        with _closed_on_failure(plain):
            chosen = context or ssl.create_default_context(cafile=self.ca)
            return chosen.wrap_socket(plain, server_hostname="localhost")

    def workers(self) -> list[int]:
        """Process ids of the workers that live now."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def stop(self, within: float = STOP_SECONDS) -> int:
        """Tell it to end by SIGTERM and return its exit status.

        Raises:
            ServerError: it had to be killed.
        """
        assert self.process is not None, "the server was not started"
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerError(f"did not end within {within} s of SIGTERM:\n{self.log()[-4000:]}") from None

    def kill(self) -> None:
        """SIGKILL to the supervisor and all workers, as a power cut would; it is our own session that dies."""
        assert self.process is not None, "the server was not started"
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _command(self) -> list[str]:
        command = [str(Path(sys.executable).with_name("moorage")), *self._arguments()]
        if setpriv := find_program("setpriv"):
            # If the tests are killed, the kernel tells the server to end: none is left over.
            command = [setpriv, "--pdeathsig", "TERM", "--", *command]
        return command

    def _arguments(self) -> list[str]:
        command = ["serve"]
        if self.config is not None:
            file = self.folder / "config.yml"
            file.write_text(json.dumps(self.config))  # JSON is YAML
            command.append(str(file))
        if self.unix is None:
            command += ["--host", HOST, "--port", str(self.port)]
        if self.workers_wanted is not None:
            command += ["--workers", str(self.workers_wanted)]
        return [*command, "--root", str(self.root), *self.arguments]

    def _environment(self) -> dict[str, str]:
        strange = ("REGISTRY_", "MOORAGE_", "PROMETHEUS_", "GRANIAN_")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
        for name, value in self.environment.items():
            if "PASSWORD" in name:
                note(value)
        where = {"REGISTRY_DATABASE_URL": self.database} if self.database else {}
        return {**clean, **where, **self.environment}

    def _is_ready(self) -> bool:
        with self.connect(5.0) as link:
            link.sendall(f"GET {self.prefix}/readyz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while piece := link.recv(4096):
                answer += piece
        return answer.startswith(b"HTTP/1.1 200 ")


@contextmanager
def _closed_on_failure(plain: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        plain.close()
        raise


@contextmanager
def serving(folder: Path, *, clean: bool = True, **how: Any) -> Iterator[Server]:
    """A running server for the length of a `with`; `how` are attributes of `Server`.

    With MOORAGE_TESTS_DATABASE=postgresql in the environment its facts are in a database of its own there, unless the
    test says where they are.

    Args:
        folder: for the server alone.
        clean: at the end it must still run, end with 0, and must have logged no traceback. That it must have logged no
            secret is true for all.

    Raises:
        ServerError: one of these does not hold.
    """
    server = Server(folder, **how)
    with ExitStack() as stack:
        if os.environ.get(TESTS_DATABASE) == "postgresql" and not _says_where(server):
            server.database = stack.enter_context(shared_cluster().database(migrated=True))
        try:
            server.start()
            yield server
        except BaseException:
            if server.process is not None and server.process.poll() is None:
                server.kill()
            raise
        status = server.stop()
    if found := leaked(server.log()):
        raise ServerError(f"secrets in the log: {', '.join(found)}")
    if clean and status != 0:
        raise ServerError(f"ended with {status}:\n{server.log()[-4000:]}")
    if clean and TRACEBACK in server.log():
        raise ServerError(f"a traceback in the log:\n{around(server.log(), TRACEBACK)}")


def _says_where(server: Server) -> bool:
    config = server.config or {}
    said = "REGISTRY_DATABASE_URL" in server.environment or "database" in config
    return bool(server.database) or said or "inmemory" in config.get("storage", {})


def around(text: str, mark: str, before: int = 600, after: int = 3000) -> str:
    """The part of a log around the first place of a mark."""
    at = text.find(mark)
    return text[max(0, at - before) : at + after]
