"""The audit log for a collector: RFC 5424 messages with octet counting (RFC 6587) over TCP, or TLS (RFC 5425).

At least once: how far the collector got is written down in the database when TCP said that the other machine has it,
and the connection lived on for some seconds after that: the protocol has no answer by which the collector itself could
tell. Where a connection ends earlier, the same entries are sent again. A collector that is down holds up nothing:
entries wait in the log itself. Of all workers of all instances one sends.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import json
import random
import socket
import ssl
import sys
import termios
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from moorage.accounts.audit_log import as_json
from moorage.core.errors import RegistryError
from moorage.metadata.audit_chain import BEGINNING, Mark, chained, mark, marked, newest_anchor
from moorage.metadata.schedules import lease
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from moorage.accounts.settings import SyslogSettings
    from moorage.core.clock import Clock
    from moorage.metadata.audit_chain import Row
    from moorage.metadata.database import Database

_log = logger("moorage.upkeep")

NAME = "syslog"
STEP = 200
"""Entries that are in memory and under way at a time."""

LEASE_SECONDS = 15.0
"""How long who sends may do so without asking again; another one takes over that long after a crash."""

WAIT_SECONDS = 10.0
"""How long the collector may take to accept a connection, and to take what was sent."""

SETTLE_SECONDS = 3.0
"""How long the connection must live on after entries were taken, until these are not sent again."""

PAUSE_SECONDS = 1.0
"""Between two looks for new entries."""

FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 60.0

_SEVERITIES = {"ok": 6, "refused": 4, "failed": 3}
_NILVALUE = "-"


class SyslogExport:
    """Sends the entries of the chain in its order, for as long as the worker lives.

    Args:
        database: of the log.
        clock: for the lease.
        settings: the collector.
        hostname: HOSTNAME of the messages.
    """

    def __init__(
        self, database: Database, clock: Clock, settings: SyslogSettings, hostname: str = socket.gethostname()
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._hostname = hostname
        self._link: _Link | None = None
        self._ahead: deque[tuple[float, Mark]] = deque()
        self._until = 0.0
        self._backoff = 0.0

    async def run(self) -> None:
        """Send, sleep, until cancelled."""
        try:
            while True:
                pause = await self._try()
                await asyncio.sleep(pause)
        finally:
            self.close()

    async def turn(self) -> int:
        """Send what is new, if it is this worker's to do; returns how many entries the collector took.

        Raises:
            OSError: the collector cannot be reached, or did not take all of it (TimeoutError, ssl.SSLError too).
            Unavailable: the database does not answer.
        """
        sent = 0
        while await self._mine():
            if self._link is not None and self._link.ended:
                self._hang_up()
            await self._settle()
            place = self._ahead[-1][1] if self._ahead else await self._place()
            rows = await self._database.read(partial(chained, after=place.sequence, limit=STEP))
            if not rows:
                break
            await self._send(rows)
            self._ahead.append((self._clock.now(), Mark(rows[-1].sequence or 0, rows[-1].hash or "")))
            sent += len(rows)
        return sent

    def close(self) -> None:
        """Hang up; what is not settled will be sent again by whoever comes next."""
        self._hang_up()

    async def _settle(self) -> None:
        """Write down what the collector took long enough ago."""
        now = self._clock.now()
        place: Mark | None = None
        while self._ahead and self._ahead[0][0] <= now - SETTLE_SECONDS:
            place = self._ahead.popleft()[1]
        if place is not None:
            await self._database.write(partial(mark, name=NAME, place=place, now=now))

    async def _try(self) -> float:
        """One turn; how long to wait until the next one."""
        try:
            await self.turn()
        except (OSError, RegistryError) as error:
            if not self._backoff:
                where = f"{self._settings.host}:{self._settings.port}"
                _log.warning("the audit log waits for the syslog collector", collector=where, error=str(error))
            self._hang_up()
            self._backoff = min(LONGEST_BACKOFF, self._backoff * 2 or FIRST_BACKOFF)
            return self._backoff * random.uniform(0.5, 1.0)  # noqa: S311 - so that instances do not knock together
        except Exception as error:  # noqa: BLE001 - one bad turn must not end all that follow
            _log.error("sending the audit log failed", exc_info=error)
            self._hang_up()
            return LONGEST_BACKOFF
        if self._backoff:
            _log.info("the syslog collector takes the audit log again")
            self._backoff = 0.0
        return PAUSE_SECONDS if self._until else LEASE_SECONDS / 3

    async def _mine(self) -> bool:
        """Whether this worker is the one that sends: it holds a lease, which it prolongs in time."""
        now = self._clock.now()
        if now < self._until - LEASE_SECONDS / 2:
            return True
        ask = partial(lease, name="send-syslog", until=self._until, now=now, seconds=LEASE_SECONDS)
        held = await self._database.write(ask)
        self._until = now + LEASE_SECONDS if held else 0.0
        if not held:
            self._hang_up()
        return held

    async def _place(self) -> Mark:
        """The entry that the collector got last. What retention took meanwhile is said, and passed over."""
        place = await self._database.read(partial(marked, name=NAME)) or Mark(0, BEGINNING)
        anchor = await self._database.read(newest_anchor)
        if anchor is None or anchor.sequence <= place.sequence:
            return place
        count = anchor.sequence - place.sequence
        if place.sequence:
            _log.error("audit entries were removed before the syslog collector took them", count=count)
        return Mark(anchor.sequence, anchor.hash)

    async def _send(self, rows: list[Row]) -> None:
        if self._link is None:
            self._link = await _Link.open(self._settings)
        frames = (frame(message(row, self._settings, self._hostname)) for row in rows)
        await self._link.deliver(b"".join(frames))

    def _hang_up(self) -> None:
        self._ahead.clear()
        if self._link is not None:
            self._link.close()
            self._link = None


class _Link:
    """A connection to the collector, which says nothing: what comes in is its end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, settings: SyslogSettings) -> _Link:
        context = await asyncio.to_thread(_context, settings) if settings.tls else None
        name = settings.host if context is not None else None
        async with asyncio.timeout(WAIT_SECONDS):
            made = asyncio.open_connection(settings.host, settings.port, ssl=context, server_hostname=name)
            return cls(*await made)

    @property
    def ended(self) -> bool:
        """Whether the other side has closed it."""
        return self._reader.at_eof() or self._reader.exception() is not None or self._writer.is_closing()

    async def deliver(self, data: bytes) -> None:
        """Send, and wait until the other side has it all.

        Raises:
            OSError: it does not.
        """
        async with asyncio.timeout(WAIT_SECONDS):
            self._writer.write(data)
            await self._writer.drain()
            pause = 0.001
            while not self.ended and (self._writer.transport.get_write_buffer_size() or self._unacknowledged()):
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.05)
        if self.ended:
            raise ConnectionResetError("the collector closed the connection")

    def _unacknowledged(self) -> int:
        """Bytes that the kernel still holds, because the other side has not acknowledged them; Linux tells."""
        if not sys.platform.startswith("linux"):
            return 0
        count = array.array("i", [0])
        fcntl.ioctl(self._writer.get_extra_info("socket").fileno(), termios.TIOCOUTQ, count)
        return count[0]

    def close(self) -> None:
        with suppress(OSError, RuntimeError):
            self._writer.transport.abort()


def _context(settings: SyslogSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(settings.ca) if settings.ca else None)
    if settings.certificate is not None:
        context.load_cert_chain(settings.certificate, settings.key)
    return context


def frame(text: bytes) -> bytes:
    """A message with its length before it (RFC 6587 section 3.4.1)."""
    return b"%d %b" % (len(text), text)


def message(row: Row, settings: SyslogSettings, hostname: str) -> bytes:
    """An entry as RFC 5424 message: all of it as JSON in ASCII, its place in the chain as structured data, too.

    The latter only with an enterprise number of the operator's: names that IANA has not given out must have one, the
    product has none, and that of the RFC's own examples is for examples (RFC 5612).
    """
    number = settings.enterprise
    moment = datetime.fromtimestamp(row.at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    header = (
        f"<{settings.facility * 8 + _SEVERITIES.get(row.outcome, 5)}>1",
        moment,
        _printable(hostname, 255),
        _printable(settings.appname, 48),
        _NILVALUE,  # the process that sends is not the one that wrote
        _printable(row.action, 32),
        f'[audit@{number} sequence="{row.sequence}" hash="{row.hash}"]' if number else _NILVALUE,
        json.dumps(as_json(row), separators=(",", ":")),
    )
    return " ".join(header).encode("ascii")


def _printable(text: str, longest: int) -> str:
    """Printable ASCII without blanks, as header fields are."""
    return "".join(char if "!" <= char <= "~" else "?" for char in text[:longest]) or _NILVALUE
