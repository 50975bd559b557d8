"""The program's log: formats, levels, libraries through the same renderer, no secrets, no forged lines."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import logging.config
import re
from collections.abc import Iterator
from typing import Any

import granian.log
import pytest
import structlog

from moorage.core.errors import RegistryError, StorageFull, Unavailable
from moorage.telemetry import logs
from moorage.telemetry.failures import told_of
from moorage.telemetry.settings import LogSettings


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], level = before
    root.setLevel(level)
    for name in logs._LIBRARIES:
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


def configured(**settings: Any) -> io.StringIO:
    stream = io.StringIO()
    logs.configure(LogSettings(**settings), stream)
    return stream


def only_record(stream: io.StringIO) -> dict[str, Any]:
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    record: dict[str, Any] = json.loads(lines[0])
    return record


def test_json_has_time_level_logger_message_and_the_operators_fields() -> None:
    stream = configured(formatter="json", fields={"service": "registry", "port": "5000"})
    logs.logger("moorage.x").warning("the sentence", port=1, path="/a")
    record = only_record(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record.pop("time"))
    assert record == {
        "level": "warning", "logger": "moorage.x", "msg": "the sentence", "service": "registry", "port": 1,
        "path": "/a",
    }  # fmt: skip


def test_logstash_names() -> None:
    stream = configured(formatter="logstash")
    logs.logger("x").info("hello")
    record = only_record(stream)
    assert record["@version"] == "1"
    assert record["message"] == "hello"
    assert record["@timestamp"].endswith("Z")
    assert not {"time", "timestamp", "event", "msg"} & record.keys()


def test_text_is_one_line_for_people() -> None:
    stream = configured(fields={"service": "r"})
    logs.logger("moorage.x").error("could not do it", path="/a b", count=3, empty="")
    assert re.fullmatch(
        r'\S+Z error    moorage\.x: could not do it service=r path="/a b" count=3 empty=""\n', stream.getvalue()
    )


@pytest.mark.parametrize("formatter", ["text", "json", "logstash"])
def test_libraries_speak_through_the_same_renderer(formatter: str) -> None:
    stream = configured(formatter=formatter, level="debug", fields={"service": "r"})
    for name in ("_granian", "sqlalchemy.engine.Engine", "alembic.runtime.migration", "asyncio", "anything"):
        logging.getLogger(name).warning("from %s", name)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 5
    assert all("service" in line and "warning" in line for line in lines)
    if formatter != "text":
        assert json.loads(lines[0])["logger"] == "_granian"


def test_sqlalchemy_never_writes_statements() -> None:
    stream = configured(level="debug")
    assert not logging.getLogger("sqlalchemy.engine.Engine").isEnabledFor(logging.INFO)
    logging.getLogger("sqlalchemy.engine.Engine").info("SELECT secret")
    assert stream.getvalue() == ""


def test_alembic_tells_of_migrations_and_not_of_its_plugins() -> None:
    stream = configured(formatter="json")
    logging.getLogger("alembic.runtime.plugins").info("setup plugin")
    logging.getLogger("alembic.runtime.migration").info("Running upgrade")
    assert only_record(stream)["msg"] == "Running upgrade"


def test_granians_own_handlers_are_replaced() -> None:
    logging.config.dictConfig(granian.log.LOGGING_CONFIG)
    stream = configured(formatter="json")
    logging.getLogger("_granian").info("Listening")
    assert only_record(stream)["msg"] == "Listening"


def test_granians_set_up_with_our_dictconfig_changes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    stream = configured(formatter="json")
    granian.log.configure_logging(granian.log.LogLevels.info, logs.granian_dictconfig())
    logging.getLogger("_granian").info("Spawning worker")
    assert only_record(stream)["logger"] == "_granian"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warn", ["warning", "error"]),
        ("Warning", ["warning", "error"]),
        ("error", ["error"]),
        ("fatal", []),
    ],
)
def test_levels(level: str, seen: list[str]) -> None:
    stream = configured(level=level, formatter="json")
    log = logs.logger("x")
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)("ours")
        getattr(logging.getLogger("theirs"), name)("theirs")
    levels = [json.loads(line)["level"] for line in stream.getvalue().splitlines()]
    assert levels == [name for name in seen for _ in range(2)]


def test_a_logger_made_before_follows_a_later_level() -> None:
    log = logs.logger("early")
    configured(level="error")
    log.info("quiet")
    stream = configured(level="debug", formatter="json")
    log.debug("loud")
    assert only_record(stream)["msg"] == "loud"


@pytest.mark.parametrize("settings", [{"level": "loud"}, {"formatter": "xml"}])
def test_unknown_settings_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="is none of"):
        configured(**settings)


@pytest.mark.parametrize("formatter", ["text", "json", "logstash"])
def test_no_secret_gets_out(formatter: str) -> None:
    stream = configured(formatter=formatter)
    log = logs.logger("x")
    log.info(
        "asked https://bob:hunter2@host/?token=hunter2",
        authorization="Basic hunter2",
        Password="hunter2",
        nested={"client_secret": "hunter2", "headers": [("x", "Bearer hunter2hunter2Xy")]},
        cookie=b"hunter2",
    )
    logging.getLogger("lib").warning("connecting to %s", "postgresql://u:hunter2@db/m")
    try:
        raise ValueError("no access with password=hunter2")
    except ValueError:
        log.exception("failed")
        logging.getLogger("lib").exception("failed")
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("Traceback") == 2


@pytest.mark.parametrize("text", ["a\nb", "\r\n2026-01-01T00:00:00Z info     x: forged", "\x1b[2J", "\u2028", "\u202e"])
def test_no_text_makes_a_second_line(text: str) -> None:
    stream = configured()
    logs.logger("x").info(text, **{"value": text, f"key{text}": 1})
    logging.getLogger("lib").warning(text)
    lines = stream.getvalue().split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


def test_a_traceback_cannot_pose_as_a_line() -> None:
    stream = configured()
    try:
        raise ValueError("x\n2026-01-01T00:00:00Z info     moorage: forged")
    except ValueError:
        logs.logger("x").exception("failed")
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("x: failed")
    assert all(line.startswith("    ") for line in rest)
    assert "    ValueError: x" in rest


def test_json_keeps_a_traceback_in_its_line() -> None:
    stream = configured(formatter="json")
    try:
        raise ValueError("x")
    except ValueError:
        logs.logger("x").exception("failed")
    assert only_record(stream)["exception"].endswith("ValueError: x")


@pytest.mark.parametrize("formatter", ["text", "json", "logstash"])
def test_odd_values_are_written_too(formatter: str) -> None:
    stream = configured(formatter=formatter)
    logs.logger("x").info("odd", big=10**30, lone="\ud800", thing=object(), items={1, 2}, none=None)
    assert len(stream.getvalue().splitlines()) == 1
    assert str(10**30) in stream.getvalue()


def test_members_cannot_replace_what_the_format_says() -> None:
    stream = configured(formatter="json")
    logs.logger("real").info("real", msg="forged", logger="forged", time="forged")
    record = only_record(stream)
    assert record["msg"] == "real"
    assert record["time"] != "forged"
    assert record["logger"] == "real"


async def test_context_of_a_task_stands_on_its_lines() -> None:
    stream = configured(formatter="json")

    async def request(number: int) -> None:
        with structlog.contextvars.bound_contextvars(request_id=f"id-{number}"):
            await asyncio.sleep(0)
            logs.logger("x").info("done", number=number)

    await asyncio.gather(request(1), request(2))
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {(record["number"], record["request_id"]) for record in records} == {(1, "id-1"), (2, "id-2")}


def test_standard_error_of_the_moment_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings())
    logs.logger("x").info("hello")
    assert capsys.readouterr().err.endswith("x: hello\n")


def raised(error: Exception, cause: Exception) -> Exception:
    try:
        raise error from cause
    except type(error) as found:
        return found


def test_what_was_expected_is_one_line_and_a_fault_has_its_traceback() -> None:
    stream = configured()
    noted = Unavailable("The directory is away.")
    noted.add_note("the third server")
    disk = OSError(28, "No space left on device\nand more")
    logs.logger("x").error("failed", **told_of(raised(StorageFull(), raised(RuntimeError("between"), disk))))
    logs.logger("x").error("failed", **told_of(noted))
    first, second = stream.getvalue().splitlines()
    assert "No space left on device" in first
    assert "and more" not in first
    assert "The directory is away." in second
    assert "the third server" in second
    logs.logger("x").error("failed", **told_of(raised(RegistryError(), ZeroDivisionError("a fault"))))
    assert "ZeroDivisionError: a fault" in stream.getvalue()
    assert "Traceback" in stream.getvalue()


def test_an_error_that_is_its_own_cause_is_told_too() -> None:
    stream = configured()
    error = Unavailable()
    logs.logger("x").error("failed", **told_of(raised(error, error)))
    middle = RuntimeError("between")
    middle.__cause__ = error
    error.__cause__ = middle
    logs.logger("x").error("failed", **told_of(error))
    assert len(stream.getvalue().splitlines()) == 2
