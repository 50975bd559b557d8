"""The access log: one line a request, formatted at once, written in batches."""

from __future__ import annotations

import os
import select
import stat
import threading
import time
from collections.abc import Callable

import orjson

from moorage.core.clock import Clock
from moorage.telemetry.clean import escape_quoted, escape_word, redact_query
from moorage.telemetry.settings import LogSettings

# method, path with query, status, sent bytes, seconds, client, user, agent, request id, protocol
_Entry = tuple[str, str, int, int, float, str, str, str, str, str]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LONGEST = 2048  # characters of a path, a query or an agent; the rest tells nothing and fills the disk
_PATIENCE = 1000  # milliseconds that a reader of the log may let a non-blocking descriptor wait


class AccessLog:
    """Writes one line for each request.

    Text is Apache's combined format, then the duration in seconds and the request id. JSON has the member
    names of Distribution's access log, durations in seconds. Secrets in queries are redacted; nothing that a
    client sent can end a line or a quoted field. For any number of threads.

    Args:
        settings: `accesslog` off makes `record` do nothing; `fields` stand on every line.
        write: gets whole lines, one call a batch (see `descriptor_writer`).
        clock: the time of each line.
        batch: lines gathered before they are written without waiting for `flush`.

    Attributes:
        enabled: whether lines are written; asked first, the caller saves preparing what nobody reads.
        dropped: lines that could not be written: a full disk or a closed pipe must not fail requests.
    """

    def __init__(self, settings: LogSettings, write: Callable[[bytes], object], clock: Clock, batch: int = 512) -> None:
        self.enabled = settings.accesslog
        self.dropped = 0
        self._write = write
        self._now = clock.now
        self._batch = batch
        self._lines: list[bytes] = []
        self._flushing = threading.Lock()
        self._stamp = (-1, "")
        self._format: _Format = _Text(settings) if settings.formatter == "text" else _Json(settings)

    def record(  # noqa: PLR0913, PLR0917 - an object to carry the arguments would cost more than the line
        self,
        method: str,
        path: str,
        query: bytes,
        status: int,
        sent_bytes: int,
        seconds: float,
        client: str,
        user: str,
        agent: str,
        request_id: str,
        protocol: str,
    ) -> None:
        """Note one finished request; microseconds, no I/O but for every `batch`-th call.

        Args:
            method: of the request, as are `path` (decoded), `query` (raw) and `agent`: all untrusted.
            path: see method.
            query: see method.
            status: of the answer.
            sent_bytes: of the answer's body.
            seconds: from the request's head to the answer's end.
            client: address, as found behind trusted proxies.
            user: who was identified; empty for anonymous.
            agent: see method.
            request_id: from `RequestIds`.
            protocol: as `HTTP/1.1`.
        """
        if not self.enabled:
            return
        now = self._now()
        second = int(now)
        stamp = self._stamp
        if second != stamp[0]:
            stamp = self._stamp = second, self._format.stamp(second)
        if query:
            text = redact_query(query)
            path = f"{path[:_LONGEST]}?{text[:_LONGEST]}"
        elif len(path) > _LONGEST:
            path = path[:_LONGEST]
        if len(agent) > _LONGEST:
            agent = agent[:_LONGEST]
        entry = (method, path, status, sent_bytes, seconds, client, user, agent, request_id, protocol)
        self._lines.append(self._format.line(stamp[1], now - second, entry))
        if len(self._lines) >= self._batch:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered, some times a second and at the end; a failed write is only counted."""
        with self._flushing:
            lines = self._lines[:]
            if not lines:
                return
            del self._lines[: len(lines)]  # what another thread has added meanwhile stays
            try:
                self._write(b"".join(lines))
            except (OSError, ValueError):  # ValueError: the stream was closed
                self.dropped += len(lines)


class _Text:
    """Apache's combined format, with duration and request id."""

    def __init__(self, settings: LogSettings) -> None:
        fields = [f' {escape_word(name)}="{escape_quoted(value)}"' for name, value in settings.fields.items()]
        self._end = "".join(fields) + "\n"

    def stamp(self, second: int) -> str:
        at = time.gmtime(second)
        day = f"{at.tm_mday:02d}/{_MONTHS[at.tm_mon - 1]}/{at.tm_year}"
        return f"[{day}:{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} +0000]"

    def line(self, stamp: str, _fraction: float, entry: _Entry) -> bytes:
        method, path, status, sent_bytes, seconds, client, user, agent, request_id, protocol = entry
        # One look over everything foreign; only what is strange is looked at piece by piece.
        foreign = f"{client}{method}{path}{protocol}{agent}{request_id}"
        if not foreign.isprintable() or '"' in foreign or "\\" in foreign:
            client, method, request_id = escape_word(client), escape_word(method), escape_word(request_id)
            path, protocol, agent = escape_quoted(path), escape_quoted(protocol), escape_quoted(agent)
        who = escape_word(user) if user else "-"
        text = (
            f'{client or "-"} - {who} {stamp} "{method} {path} {protocol}" {status} {sent_bytes} '
            f'"-" "{agent or "-"}" {seconds:.6f} {request_id or "-"}{self._end}'
        )
        return text.encode("utf-8", "backslashreplace")


class _Json:
    """One object a line; `logstash` has that program's names for the time and the message."""

    def __init__(self, settings: LogSettings) -> None:
        logstash = settings.formatter == "logstash"
        self._time, self._message = ("@timestamp", "message") if logstash else ("time", "msg")
        constant = dict(settings.fields) | {"level": "info", "logger": "moorage.access"}
        if logstash:
            constant["@version"] = "1"
        ours = self._members("", 0.0, ("", "", 0, 0, 0.0, "", "u", "", "", ""))
        fixed = {name: value for name, value in constant.items() if name not in ours}
        self._start = orjson.dumps(fixed)[:-1] + b","

    def stamp(self, second: int) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))

    def line(self, stamp: str, fraction: float, entry: _Entry) -> bytes:
        members = self._members(stamp, fraction, entry)
        try:
            text = orjson.dumps(members, option=orjson.OPT_APPEND_NEWLINE)
        except TypeError:  # lone surrogates, which are no UTF-8
            clean = {name: escape_quoted(it) if isinstance(it, str) else it for name, it in members.items()}
            text = orjson.dumps(clean, option=orjson.OPT_APPEND_NEWLINE)
        return self._start + text[1:]

    def _members(self, stamp: str, fraction: float, entry: _Entry) -> dict[str, object]:
        method, path, status, sent_bytes, seconds, client, user, agent, request_id, protocol = entry
        members: dict[str, object] = {
            self._time: f"{stamp}.{int(fraction * 1000):03d}Z",
            self._message: "response completed",
            "http.request.method": method,
            "http.request.uri": path,
            "http.request.proto": protocol,
            "http.request.remoteaddr": client,
            "http.request.useragent": agent,
            "http.request.id": request_id,
            "http.response.status": status,
            "http.response.written": sent_bytes,
            "http.response.duration": round(seconds, 6),
        }
        if user:
            members["auth.user.name"] = user
        return members


_Format = _Text | _Json


def descriptor_writer(descriptor: int) -> Callable[[bytes], None]:
    """A `write` for AccessLog onto an open descriptor that several worker processes share.

    Lines of different processes never mix. On a regular file or a terminal a batch is one system call. On a
    pipe only writes up to PIPE_BUF are atomic (POSIX write(2)), so there a batch goes in pieces of whole
    lines of that size; a single longer line may be torn.

    The function raises OSError where the descriptor takes no more, a non-blocking one after a second without
    progress.
    """
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return lambda data: _write_all(descriptor, data)
    piece = select.PIPE_BUF

    def write(data: bytes) -> None:
        start = 0
        while len(data) - start > piece:
            cut = data.rfind(b"\n", start, start + piece) + 1 or data.find(b"\n", start + piece) + 1 or len(data)
            _write_all(descriptor, data[start:cut])
            start = cut
        _write_all(descriptor, data[start:])

    return write


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            if not poll.poll(_PATIENCE):
                raise
