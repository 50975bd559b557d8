"""The operator's second listener (`http.debug.addr`): metrics of all workers, and `/debug/health` as Distribution's.

It runs in the supervisor, in threads of the standard library's server, so that it answers while every worker is busy or
gone. Whatever happens here, the program goes on: an address that is taken is reported once and tried again.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
import time
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from moorage.telemetry.logs import logger
from moorage.telemetry.metrics import CONTENT_TYPE, Metrics
from moorage.telemetry.metrics_files import worker_pids

if TYPE_CHECKING:
    from pathlib import Path

AT_ONCE = 8
"""Connections that are served at the same time; more are closed, as they can only be a mistake or an attack."""

CLIENT_SECONDS = 5.0
"""How long a client may take to send its request, or to take the answer."""

RETRY_SECONDS = 2.0
"""Time between two attempts to listen."""

_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)

_log = logger("moorage.debug")


def serve_debug(addr: str, metrics_directory: Path, metrics_path: str) -> None:
    """Begin to serve in the background, for as long as the process lives. Never raises.

    Args:
        addr: `host:port` or `[v6 address]:port`.
        metrics_directory: where the workers of this run publish their numbers.
        metrics_path: the path of the metrics; "" where the operator switched them off.
    """
    answers = Answers(metrics_directory, metrics_path)
    threading.Thread(target=_serve, args=(addr, answers), name="debug", daemon=True).start()


class Answers:
    """What the listener says, without how it is sent.

    Args:
        directory: where the workers publish their numbers.
        metrics_path: see `serve_debug`.
    """

    def __init__(self, directory: Path, metrics_path: str) -> None:
        self._directory = directory
        self._metrics_path = metrics_path
        self._metrics = Metrics(directory)

    def to(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body for a GET of a path."""
        if path == "/debug/health":
            return self._health()
        if self._metrics_path and path == self._metrics_path:
            return 200, CONTENT_TYPE, self._metrics.render()
        return 404, "text/plain; charset=utf-8", b"not found\n"

    def _health(self) -> tuple[int, str, bytes]:
        """`{}` where nothing fails, else what does, by name: the form of Distribution's `health.StatusHandler`."""
        failing = {} if self._some_worker_lives() else {"workers": "no worker process is alive"}
        return 503 if failing else 200, "application/json; charset=utf-8", json.dumps(failing).encode()

    def _some_worker_lives(self) -> bool:
        for pid in worker_pids(self._directory) - {os.getpid()}:
            with suppress(OSError):
                os.kill(pid, 0)
                return True
        return False


class _Handler(BaseHTTPRequestHandler):
    timeout = CLIENT_SECONDS
    server_version = "moorage"
    sys_version = ""

    def __init__(self, answers: Answers, *arguments: Any) -> None:
        self._answers = answers
        super().__init__(*arguments)

    def do_GET(self) -> None:
        try:
            status, kind, body = self._answers.to(self.path.partition("?")[0])
        except Exception as error:  # noqa: BLE001 - the reason goes into the log, and the program goes on
            _log.warning("the debug listener failed", path=self.path[:100], reason=repr(error))
            status, kind, body = 500, "text/plain; charset=utf-8", b"the log has the reason\n"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name in the standard library
        """Scrapes are not worth a line."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 16

    def __init__(
        self, family: socket.AddressFamily, address: tuple[str, int], answers: Answers, *, both: bool = False
    ) -> None:
        self.address_family = family
        self._both = both
        self._places = threading.BoundedSemaphore(AT_ONCE)
        super().__init__(address, partial(_Handler, answers))

    def server_bind(self) -> None:
        """Bind, without asking the resolver for this machine's name as the standard library would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._both:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "", self.socket.getsockname()[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for each request, as long as there are not too many."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Handle one request, and make room for the next."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left is nobody's problem."""


def _serve(addr: str, answers: Answers) -> None:
    complained = False
    while True:
        try:
            with _listen(addr, answers) as listener:
                _log.info("the debug listener is open", address=addr)
                complained = False
                listener.serve_forever()
        except Exception as error:  # noqa: BLE001 - the registry matters more than this listener
            if not complained:
                _log.warning("the debug listener cannot be opened; it is tried again", address=addr, reason=str(error))
            complained = True
        time.sleep(RETRY_SECONDS)


def _listen(addr: str, answers: Answers) -> _Listener:
    """Listen on the first address of a name, IPv4 before IPv6 as Go does it; on every interface where there is none.

    Raises:
        OSError: the name is not known, or the address is taken.
    """
    host, _, port = addr.rpartition(":")
    if not host:
        return _everywhere(int(port), answers)
    found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return _Listener(family, (str(address[0]), int(address[1])), answers)


def _everywhere(port: int, answers: Answers) -> _Listener:
    """Listen for both families, or for IPv4 alone on a machine that has no IPv6."""
    try:
        return _Listener(socket.AF_INET6, ("::", port), answers, both=True)
    except OSError as error:
        if error.errno not in _NO_IPV6:
            raise
    return _Listener(socket.AF_INET, ("0.0.0.0", port), answers)  # noqa: S104 - the operator wants all
