"""A PostgreSQL server of our own for tests, from the binaries that the machine has.

One cluster for each test process: workers of xdist share nothing, so none can end it under another. Each test
that asks gets a database of its own. All lies in one temporary folder; durability is off, it lives minutes.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from moorage.metadata.migrate import migrate
from tests.support.at_end import AT_END
from tests.support.programs import find_program, missing

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "max_connections": "100",
    "timezone": "UTC",
    "log_min_messages": "warning",
}
TEMPLATE = "migrated"
ALONE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
AS_IT_IS = """
SET search_path = public;
SELECT 'SET session_replication_role = replica;';
SELECT format('ALTER TABLE %I ENABLE TRIGGER USER; DELETE FROM %I;', tablename, tablename)
    FROM pg_tables WHERE schemaname = 'public';
SELECT format('INSERT INTO %I SELECT * FROM json_populate_recordset(NULL::%I, %L);', tablename, tablename, found)
    FROM pg_tables, LATERAL (SELECT query_to_xml(
        format('SELECT json_agg(t)::text AS found FROM %I t', tablename), true, true, '')) AS xml (rows),
        LATERAL (SELECT (xpath('//found/text()', rows))[1]::text) AS text (found)
    WHERE schemaname = 'public' AND found IS NOT NULL;
SELECT format('ALTER SEQUENCE %I RESTART WITH %s;', sequencename, coalesce(last_value + 1, 1))
    FROM pg_sequences WHERE schemaname = 'public';
"""
"""A statement whose answer is a script that makes the rows of a database what they are now."""

READY_SECONDS = 30.0
STOP_SECONDS = 20.0


class PostgresError(Exception):
    """The server or one of its tools failed; the message has what it printed."""


@dataclass(frozen=True)
class Binaries:
    """PostgreSQL's programs and who runs them: an unprivileged user where we are root, else (None) we."""

    folder: Path
    user: str | None

    def run(self, name: str, *args: str, env: dict[str, str] | None = None) -> str:
        """Run one program to its end and give back what it printed.

        Raises:
            PostgresError: with its messages, where it failed.
        """
        done = subprocess.run(
            [str(self.folder / name), *args],
            cwd="/",
            env={**os.environ, "LC_ALL": "C", **(env or {})},
            check=False,
            capture_output=True,
            text=True,
            user=self.user,
            group=self.group,
            extra_groups=self.extra_groups,
        )
        if done.returncode != 0:
            raise PostgresError(f"{name} ended with {done.returncode}: {done.stderr or done.stdout}")
        return done.stdout

    @property
    def group(self) -> int | None:
        """The user's own group; without a user None, which leaves subprocess where it is."""
        return None if self.user is None else pwd.getpwnam(self.user).pw_gid

    @property
    def extra_groups(self) -> list[int] | None:
        """No other groups for the user; without a user None, as above."""
        return None if self.user is None else []


def find_binaries() -> Binaries | None:
    """PostgreSQL's server programs: those on PATH, else Debian's newest; None where there are none."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    initdb = find_program("initdb") or next(
        (str(path / "initdb") for path in debian if (path / "initdb").exists()), None
    )
    if initdb is None:
        return None
    return Binaries(Path(initdb).resolve().parent, _unprivileged_user())


def _unprivileged_user() -> str | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise PostgresError("running as root, and neither user 'postgres' nor 'nobody' exists")


def free_port() -> int:
    """A TCP port of the loopback address that nobody listened on a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class PostgresCluster:
    """A running server; `url(name)` is how to reach one of its databases."""

    def __init__(self, binaries: Binaries, folder: Path) -> None:
        self.binaries = binaries
        self.folder = folder
        self.port = 0
        self.password = secrets.token_urlsafe(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._count = 0
        self._fresh = ""
        self._returned: list[str] = []

    def create(self) -> None:
        """Lay the cluster out in its folder."""
        if self.binaries.user is not None:
            shutil.chown(self.folder, self.binaries.user, self.binaries.group)
        secret = self.folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o644)  # the folder itself is 0700
        self.binaries.run(
            "initdb", f"--pgdata={self.folder / 'data'}", "--username=moorage", f"--pwfile={secret}",
            "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync",
        )  # fmt: skip

    def start(self) -> None:
        """Start the server on a free port and wait until it answers; again where the port is taken."""
        for attempt in range(3):
            self.port = free_port()
            self._process = self._spawn()
            if self._answers():
                return
            self.stop()
            if attempt == 2:
                raise PostgresError(f"the server did not start:\n{self.log()}")

    def _spawn(self) -> subprocess.Popen[bytes]:
        options = {**SETTINGS, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        command = [str(self.binaries.folder / "postgres"), "-D", str(self.folder / "data")]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        if setpriv := find_program("setpriv"):
            # If the tests are killed, the kernel tells the server to end (INT is "fast"): none is left over.
            command = [setpriv, "--pdeathsig", "INT", "--", *command]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                user=self.binaries.user,
                group=self.binaries.group,
                extra_groups=self.binaries.extra_groups,
            )

    def _answers(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(PostgresError):
                self.sql("SELECT 1")
                return True
            time.sleep(0.05)
        return False

    def stop(self) -> None:
        """End the server by its own process id; sessions are cut."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)  # never KILL: that would leave its children and shared memory behind
            process.wait(STOP_SECONDS)

    def log(self) -> str:
        """The end of what the server printed."""
        with suppress(FileNotFoundError):
            return (self.folder / "log").read_text(errors="replace")[-4000:]
        return ""

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run one statement as the superuser, outside of a transaction, and give back its bare output."""
        return self.binaries.run(
            "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1",
            "--host=127.0.0.1", f"--port={self.port}", "--username=moorage",
            f"--command={statement}", database,
            env={"PGPASSWORD": self.password},
        )  # fmt: skip

    def url(self, database: str) -> str:
        """The address of a database, as configuration files and drivers take it."""
        return f"postgresql://moorage:{quote(self.password, safe='')}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def database(self, *, migrated: bool = False) -> Iterator[str]:
        """A database for the length of a `with`; gives its address, and cuts who is still connected at the end.

        migrated: it is at the newest schema, as the migrations leave it; else it is new and empty. Of the first kind
            one that somebody gave back is emptied and used again, which is quicker than making one: so leave its schema
            as it is (that a table's triggers are off is mended).
        """
        name = self._migrated() if migrated else self._new()
        url = self.url(name)
        try:
            yield url
        finally:
            if migrated:
                self._returned.append(name)
            else:
                self.sql(f"DROP DATABASE {name} WITH (FORCE)")

    def _migrated(self) -> str:
        if not self._fresh:
            self.sql(f"CREATE DATABASE {TEMPLATE}")
            migrate(self.url(TEMPLATE))
            self._fresh = self.sql(AS_IT_IS, TEMPLATE)
        if not self._returned:
            return self._new(f" TEMPLATE {TEMPLATE}")
        name = self._returned.pop()
        self.sql(f"{ALONE}; {self._fresh}", name)
        return name

    def _new(self, how: str = "") -> str:
        self._count += 1
        name = f"test_{self._count}"
        self.sql(f"CREATE DATABASE {name}{how}")
        return name


@cache
def shared_cluster() -> PostgresCluster:
    """The server of this test process."""
    return AT_END.enter_context(running_cluster())


@contextmanager
def running_cluster() -> Iterator[PostgresCluster]:
    """A server for the length of a `with`; without PostgreSQL the running test is skipped or fails."""
    binaries = find_binaries()
    if binaries is None:
        missing("program: postgres (Debian: apt-get install postgresql)")
    assert binaries is not None
    folder = Path(tempfile.mkdtemp(prefix="moorage-pg-", dir="/tmp"))  # short: a socket's path has at most 107 bytes
    cluster = PostgresCluster(binaries, folder)
    try:
        cluster.create()
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
