"""The process that starts the workers, watches them and ends them.

Everything that must happen once, before anybody serves, happens here: directories, the database's schema, the first
user.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from granian.constants import HTTPModes, Interfaces, Loops, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels

from moorage import app
from moorage.cli import shortcut
from moorage.cli.apart import DiedError, apart
from moorage.cli.certificates import check_files, stamps, together, watch_certificate
from moorage.cli.errors import CannotStart
from moorage.cli.listening import check_free, with_address
from moorage.cli.workers import Ready, Server
from moorage.core.clock import SystemClock
from moorage.core.errors import RegistryError
from moorage.metadata.migrate import SchemaTooNew, migrate
from moorage.telemetry import logs
from moorage.telemetry.heap import limit_heap
from moorage.telemetry.metrics_directory import prepare_directory, remove_directory
from moorage.telemetry.probe import no_probe

if TYPE_CHECKING:
    import asyncio

    from moorage.config.settings import ServeSettings, Settings
    from moorage.http.root import Root
    from moorage.telemetry.probe import Probe

RESPAWN_SECONDS = 1.0
"""How long a new worker may take to be ready before the old one is told to end."""

ENDING = frozenset({signal.SIGTERM, signal.SIGINT})
"""Signals that end a worker."""

SIGNALS_SECONDS = 0.05
"""After the server was told to serve, by when it does and hears them."""

BACKLOG = 2048
HEADER_MILLISECONDS = 30_000

BUFFER = 640 * 1024
"""Bytes that the server keeps for one connection, each way, as far as a client fills them: the more, the fewer trips an
upload takes through three threads. More than `BATCH` of the filesystem's uploads, so that nothing has to be joined
(docs/adr/0017)."""


def run(settings: Settings, probe: Probe = no_probe) -> None:
    """Serve until a signal ends it.

    Raises:
        CannotStart: the address is taken, a certificate cannot be used, the root cannot be written, the database does
            not answer.
    """
    logs.configure(settings.log)
    os.umask(os.umask(0) | 0o027)  # what users push is not for everybody who has an account on this machine
    with ExitStack() as stack:
        settings = replace(settings, serve=with_address(settings.serve))
        tls = settings.serve.tls
        seen = stamps(tls) if tls is not None else ()  # before they are read: a migration may take long after that
        if tls is not None:
            check_files(tls)
        settings = _with_scratch(settings, stack)
        _prepare(settings)
        settings = _with_accounts(settings)
        metrics = prepare_directory()
        stack.callback(remove_directory, metrics)
        if tls is not None and settings.serve.tls is not None:
            watch_certificate(tls, seen, next(iter(settings.serve.tls.client_cas), None))
        _serve(settings, metrics, probe)
        logs.logger("moorage").info("moorage ended")


def _serve(settings: Settings, metrics: Path, probe: Probe) -> None:
    ready = Ready()
    server = _server(settings, ready)
    if settings.serve.debug_addr:
        from moorage.http.debug import serve_debug

        path = settings.serve.metrics_path if settings.serve.metrics_enabled else ""
        serve_debug(settings.serve.debug_addr, metrics, path)
    address = _address(settings.serve)
    logs.logger("moorage").info("moorage starts", address=address, root=str(settings.root), workers=server.workers)
    if "fork" in multiprocessing.get_all_start_methods():
        multiprocessing.set_start_method("fork", force=True)
        os.register_at_fork(after_in_child=_forget_signals)
    run = app.Run(metrics, os.getpid())
    server.serve(target_loader=partial(_load, settings, run, ready, probe), wrap_loader=False)


def _load(settings: Settings, run: app.Run, ready: Ready, probe: Probe) -> Root:
    limit_heap()
    # The server misses a signal that comes before it serves; held back until then, it is a drain like any other.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    root = app.build(settings, run, probe)
    if not shortcut.install(root.at_once, partial(_hear, ready)):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        ready.tell()
    return root


def _hear(ready: Ready, loop: asyncio.AbstractEventLoop) -> None:
    loop.call_soon(_begin_to_hear, ready, loop)  # a timer that is set before the loop runs begins in its past


def _begin_to_hear(ready: Ready, loop: asyncio.AbstractEventLoop) -> None:
    ready.tell()
    loop.call_later(SIGNALS_SECONDS, signal.pthread_sigmask, signal.SIG_UNBLOCK, ENDING)


def _forget_signals() -> None:
    """A worker that is told to end before it serves must not take the signal for the supervisor's."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _with_scratch(settings: Settings, stack: ExitStack) -> Settings:
    """What lives as long as the program: the facts of in-memory storage (with one worker), authorities in one file.

    Also a single file of authorities is copied: workers that start while it is being replaced find a whole one.
    """
    metadata, serve = settings.metadata, settings.serve
    if metadata.url == "sqlite://":
        metadata = replace(metadata, url=f"sqlite:///{_scratch(stack)}/moorage.db")
    if settings.blobs.driver == "inmemory":
        serve = replace(serve, workers=1)
    if serve.tls is not None and serve.tls.client_cas:
        joined = together(serve.tls.client_cas, _scratch(stack) / "client-authorities.pem")
        serve = replace(serve, tls=replace(serve.tls, client_cas=(joined,)))
    return replace(settings, metadata=metadata, serve=serve)


def _scratch(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="moorage-")))


def _prepare(settings: Settings) -> None:
    check_free(settings.serve)
    try:
        if settings.blobs.driver == "filesystem":
            (settings.blobs.root / "uploads").mkdir(parents=True, exist_ok=True)
        if _needs_root(settings):
            settings.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(
            f"{settings.root} cannot be used ({error.strerror}); name another directory with --root."
        ) from error
    try:
        wrong = apart(_bring_up_to_date, settings.metadata.url)
    except DiedError as error:
        wrong = f"The database was not brought up to date: {error}."
    if wrong:
        raise CannotStart(wrong)
    if settings.htpasswd is not None:
        from moorage.auth.htpasswd import ensure_file

        try:
            ensure_file(settings.htpasswd)
        except OSError as error:
            raise CannotStart(
                f"{settings.htpasswd.path} is missing and cannot be made ({error.strerror}); see auth.htpasswd.path."
            ) from error


def _bring_up_to_date(url: str) -> str:
    """What is wrong with the database, in a sentence; empty where its schema is what it has to be."""
    try:
        migrate(url)
    except SchemaTooNew as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - drivers raise what they like
        return f"The database cannot be used: {type(error).__name__}: {error}".splitlines()[0]
    return ""


def _needs_root(settings: Settings) -> bool:
    """In-memory storage leaves nothing behind, unless accounts or a database of the operator's lie in the root."""
    in_memory = settings.blobs.driver == "inmemory" and str(settings.root) not in settings.metadata.url
    return not in_memory or settings.local is not None


def _with_accounts(settings: Settings) -> Settings:
    """With the secret that keys are sealed with and logins counted under, and somebody who can log in."""
    wanted = os.environ.pop("MOORAGE_ADMIN_PASSWORD", None)  # not for the workers' environment
    counting = settings.htpasswd is not None and settings.limits.logins.enabled
    if settings.local is None and not counting:
        return settings
    from moorage.accounts.bootstrap import ADMIN, BootstrapError, make_first_admin, read_secret

    local = settings.local
    try:
        if local is None:
            limits = replace(settings.limits, secret=read_secret(settings.root / "secret.key"))
            return replace(settings, limits=limits)
        if not local.secret and local.secret_file is not None:
            local = replace(local, secret=read_secret(local.secret_file))
        password = make_first_admin(settings.metadata.url, settings.root, wanted or None, SystemClock())
    except (BootstrapError, RegistryError) as error:
        raise CannotStart(str(error)) from error
    if password is not None:
        # Not through the log, which is kept and shipped: to whoever looks at the first start.
        sys.stderr.write(
            f"moorage: the first user is {ADMIN!r} with the password {password!r}, which is also in "
            f"{settings.root / 'admin-password'}; change it, then remove that file\n"
        )
        sys.stderr.flush()
    return replace(settings, local=local)


def _server(settings: Settings, ready: Ready) -> Server:
    serve = settings.serve
    tls = serve.tls
    modern = serve.http2 if tls is not None else serve.h2c
    minimum = SSLProtocols.tls13 if tls is not None and tls.minimum == "tls1.3" else SSLProtocols.tls12
    verified = tls is not None and tls.client_auth == "require-and-verify-client-cert"
    return Server(
        "moorage",
        address=serve.host,
        port=serve.port,
        uds=serve.unix,
        uds_permissions=0o660 if serve.unix is not None else None,
        interface=Interfaces.ASGI,
        workers=serve.workers,
        loop=Loops.uvloop,
        http=HTTPModes.auto if modern else HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        backpressure=BACKLOG,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MILLISECONDS, max_buffer_size=BUFFER),
        http2_settings=HTTP2Settings(max_headers_size=64 * 1024),
        log_dictconfig=logs.granian_dictconfig(),
        log_level=LogLevels.warning,
        ssl_cert=tls.certificate if tls is not None else None,
        ssl_key=tls.key if tls is not None else None,
        ssl_protocol_min=minimum,
        ssl_ca=tls.client_cas[0] if tls is not None and tls.client_cas else None,
        ssl_client_verify=verified,
        respawn_failed_workers=True,
        respawn_interval=RESPAWN_SECONDS,
        workers_kill_timeout=max(1, int(serve.drain_seconds)),
        ready=ready,
    )


def _address(serve: ServeSettings) -> str:
    if serve.unix is not None:
        return f"unix:{serve.unix}"
    host = f"[{serve.host}]" if ":" in serve.host else serve.host
    return f"{'https' if serve.tls else 'http'}://{host}:{serve.port}"
