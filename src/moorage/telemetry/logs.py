"""The program's own log: one renderer for what we say and for what the libraries say through `logging`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any, TextIO, cast

import orjson

from moorage.telemetry.clean import escape_controls, escape_quoted, redact
from moorage.telemetry.settings import LogSettings

# structlog loads rich where that is installed, for coloured tracebacks: 5 MiB in every worker that nobody would see.
_spared = "rich" not in sys.modules
if _spared:
    sys.modules["rich"] = cast("Any", None)
import structlog  # noqa: E402
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger  # noqa: E402

if _spared:
    del sys.modules["rich"]

# Distribution's names (logrus) and Python's, to Python's levels.
_LEVELS = {
    "panic": logging.CRITICAL,
    "fatal": logging.CRITICAL,
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": logging.DEBUG,
}

# Libraries that bring handlers of their own, and the least that each may say. SQLAlchemy below WARNING
# writes every statement with its values, and asks at each execution whether it should: never, whatever our
# own level is.
_LIBRARIES = {
    "_granian": logging.INFO,
    "granian": logging.INFO,
    "granian.access": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "sqlalchemy.engine": logging.WARNING,
    "sqlalchemy.pool": logging.WARNING,
    "alembic": logging.INFO,
    "alembic.runtime.plugins": logging.WARNING,  # seven lines at each start
    "asyncio": logging.WARNING,
}


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send this process's log to `stream` (standard error at the time of the call) as `settings` say.

    Call it once a process: in the supervisor after Granian was built, and in each worker from the
    application's factory, because Granian sets its own handlers before both. Loggers made earlier follow.

    Raises:
        ValueError: for a level or a formatter that does not exist.
    """
    level = _LEVELS.get(settings.level.lower())
    if level is None:
        raise ValueError(f"log level {settings.level!r} is none of {', '.join(_LEVELS)}")
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(_formatter(settings))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, least in _LIBRARIES.items():
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(max(level, least))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *_described(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        # A cached logger would keep the level of an earlier call of this function.
        cache_logger_on_first_use=False,
    )


def logger(name: str) -> FilteringBoundLogger:
    """The logger of one module: `logger(__name__)`. May be made before `configure`.

    Say `log.warning("the sentence", key=value)`. Values under secret names and secrets inside of texts are
    redacted. A call below the level costs about 5 microseconds: keep it off the way of a single request.
    """
    return cast("FilteringBoundLogger", structlog.get_logger(name))


def granian_dictconfig() -> dict[str, Any]:
    """For Granian's `log_dictconfig`: its loggers pass everything on to the root and have no handlers."""
    quiet = {"handlers": [], "propagate": True}
    return {
        "handlers": {},
        "formatters": {},
        "loggers": {"_granian": dict(quiet), "granian.access": dict(quiet)},
    }


def _described() -> list[Processor]:
    return [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _formatter(settings: LogSettings) -> logging.Formatter:
    if settings.formatter not in {"text", "json", "logstash"}:
        raise ValueError(f"log formatter {settings.formatter!r} is none of text, json, logstash")
    render: Processor = _render_text
    if settings.formatter == "json":
        render = _Json({"timestamp": "time", "event": "msg"}, {})
    elif settings.formatter == "logstash":
        render = _Json({"timestamp": "@timestamp", "event": "message"}, {"@version": "1"})
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_described(),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            _Constant(settings.fields),
            _redact_event,
            render,
        ],
    )


class _Constant:
    """Adds the operator's own fields, where the record does not have such a member itself."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = dict(fields)

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {**self._fields, **event} if self._fields else event


def _redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The last look before anything is written: the traceback has become text, and is cleaned too."""
    return {name: redact(value, name) for name, value in event.items()}


class _Json:
    """One object a line.

    Args:
        names: our names of members to those of the format.
        constant: members that the format wants on every line.
    """

    def __init__(self, names: Mapping[str, str], constant: Mapping[str, str]) -> None:
        self._names = names
        self._constant = constant

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> str:
        first = {name: event.pop(ours, "") for ours, name in self._names.items()}
        # What the format says of itself wins over a member of that name, so that no line can be told to be
        # another.
        record = {**event, **first, **self._constant}
        try:
            return orjson.dumps(record).decode()
        except TypeError:  # lone surrogates and integers beyond 64 bits
            return orjson.dumps({escape_controls(k): escape_controls(str(v)) for k, v in record.items()}).decode()


def _render_text(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """One line a record; a traceback in indented lines, so that no text in it can pose as a record."""
    tails = [str(event.pop(name)) for name in ("stack", "exception") if name in event]
    head = f"{event.pop('timestamp', '-')} {event.pop('level', '-'):<8} {event.pop('logger', '-')}: "
    line = head + escape_controls(str(event.pop("event", "")))
    pairs = "".join(f" {escape_controls(name)}={_text_value(value)}" for name, value in event.items())
    rows = [f"    {escape_controls(row)}" for tail in tails for row in tail.splitlines()]
    return "\n".join([line + pairs, *rows])


def _text_value(value: object) -> str:
    text = str(value)
    plain = text and text.isprintable() and not any(mark in text for mark in ' "\\=')
    return text if plain else f'"{escape_quoted(text)}"'
