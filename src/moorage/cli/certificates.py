"""The files of TLS: looked at before the start, and watched while the program serves."""

from __future__ import annotations

import os
import signal
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from moorage.cli.errors import CannotStart
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from moorage.config.settings import TlsSettings

LOOK_SECONDS = 5.0
"""How often the certificate's files are looked at."""

Stamp = tuple[int, int, int] | None
Stamps = tuple[Stamp, ...]


def check_files(tls: TlsSettings) -> None:
    """Look at every file once, before anything else is done.

    Raises:
        CannotStart: one cannot be read, is not what it should be, or the key is not the certificate's.
    """
    if reason := unusable(tls):
        raise CannotStart(reason)


def together(files: tuple[Path, ...], target: Path) -> Path:
    """One file with the certificates of all of them, which is what the server takes; written whole or not at all.

    Raises:
        CannotStart: one cannot be read.
    """
    try:
        new = target.with_suffix(".new")
        new.write_bytes(b"\n".join(file.read_bytes() for file in files))
        new.replace(target)
    except OSError as error:
        raise CannotStart(f"{error.filename} cannot be read ({error.strerror}); see http.tls.clientcas.") from error
    return target


def watch_certificate(tls: TlsSettings, seen: Stamps, authorities: Path | None = None) -> None:
    """New workers read the files anew: a change of one replaces them one by one, without a lost request.

    Args:
        tls: names the files.
        seen: the `stamps` of these from before anybody read one.
        authorities: the one that `together` made of `tls.client_cas`, which workers read.
    """

    def renew() -> None:
        if authorities is not None:
            together(tls.client_cas, authorities)
        os.kill(os.getpid(), signal.SIGHUP)

    watch = Watch(tls, renew, seen)

    def look() -> None:
        while True:
            threading.Event().wait(LOOK_SECONDS)
            watch.look()

    threading.Thread(target=look, name="certificate-watch", daemon=True).start()


def stamps(tls: TlsSettings) -> Stamps:
    """What tells a change of the files: certificate, key, authorities of clients; None for one that is not there."""
    return tuple(_stamp(file) for file in (tls.certificate, tls.key, *tls.client_cas))


class Watch:
    """Notices when the files have changed and can be used; what cannot be used is said once a change.

    Args:
        tls: names the files: certificate, key, authorities of clients.
        renew: called for each change; what keeps it from that is a `CannotStart`.
        seen: the files that are served, as `stamps` saw them: what changed since is a change.
    """

    def __init__(self, tls: TlsSettings, renew: Callable[[], None], seen: Stamps) -> None:
        self._tls = tls
        self._renew = renew
        self._served = self._refused = seen

    def look(self) -> None:
        """Look once."""
        now = stamps(self._tls)
        if now in (self._served, self._refused) or not all(now):
            return
        try:
            check_files(self._tls)
            self._renew()
        except CannotStart as error:
            self._refused = now
            logger("moorage").warning("the changed certificate cannot be used yet", reason=str(error))
            return
        self._served = self._refused = now


def unusable(tls: TlsSettings) -> str:
    """Why certificate, key and authorities of clients cannot be served with; "" where they can."""
    for file in tls.client_cas:
        if reason := _no_certificate(file, "http.tls.clientcas"):
            return reason
    if reason := _no_certificate(tls.certificate, "http.tls.certificate") or _unreadable(tls.key, "http.tls.key"):
        return reason
    try:
        # Without the password here, a key that has one would be asked for on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key, password="")
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        known = getattr(error, "reason", None)
        why = str(known).lower().replace("_", " ") if known else "no key that can be read without a password"
        return f"{tls.key} cannot be used with {tls.certificate} ({why}); see http.tls.key."
    return ""


def _no_certificate(file: Path, key: str) -> str:
    if reason := _unreadable(file, key):
        return reason
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(file)
    except OSError:
        return f"{file} holds no certificate in PEM form; see {key}."
    return ""


def _unreadable(file: Path, key: str) -> str:
    try:
        file.read_bytes()
    except OSError as error:
        return f"{file} cannot be read ({error.strerror}); see {key}."
    return ""


def _stamp(file: Path) -> Stamp:
    with suppress(OSError):
        found = file.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino
    return None
