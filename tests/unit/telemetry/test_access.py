"""The access log: formats, injection, secrets, batches, several processes on one pipe."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.telemetry.access import AccessLog, descriptor_writer
from moorage.telemetry.settings import LogSettings

COMBINED = re.compile(
    r"(?P<host>\S+) - (?P<user>\S+) \[(?P<time>[^]]+)\] "
    r'"(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) (?P<bytes>\d+) "-" "(?P<agent>(?:[^"\\]|\\.)*)" '
    r"(?P<seconds>\d+\.\d{6}) (?P<id>\S+)(?P<rest>.*)\n"
)
REQUEST: dict[str, Any] = {
    "method": "GET",
    "path": "/v2/a/manifests/latest",
    "query": b"",
    "status": 200,
    "sent_bytes": 1234,
    "seconds": 0.0123456,
    "client": "10.0.0.1",
    "user": "alice",
    "agent": "docker/29",
    "request_id": "id-1",
    "protocol": "HTTP/1.1",
}


class FixedClock:
    def __init__(self, at: float = 1_700_000_000.25) -> None:
        self.at = at

    def now(self) -> float:
        return self.at


def line(settings: LogSettings, **changes: Any) -> str:
    out: list[bytes] = []
    log = AccessLog(settings, out.append, FixedClock())
    log.record(**{**REQUEST, **changes})
    log.flush()
    return b"".join(out).decode()


def test_text_is_apache_combined_with_duration_and_id() -> None:
    assert line(LogSettings()) == (
        '10.0.0.1 - alice [14/Nov/2023:22:13:20 +0000] "GET /v2/a/manifests/latest HTTP/1.1" 200 1234 "-" '
        '"docker/29" 0.012346 id-1\n'
    )


def test_text_has_the_query_and_the_operators_fields() -> None:
    text = line(LogSettings(fields={"service": "my registry", 'a"b': "x\ny"}), query=b"n=5&token=abc")
    assert '"GET /v2/a/manifests/latest?n=5&token=[redacted] HTTP/1.1"' in text
    assert text.endswith(' id-1 service="my registry" a\\"b="x\\ny"\n')


def test_text_has_a_dash_for_what_is_not_known() -> None:
    text = line(LogSettings(), user="", agent="", client="", request_id="")
    assert text.startswith("- - - [")
    assert text.endswith(' "-" "-" 0.012346 -\n')


def test_json_is_one_object_with_distributions_names() -> None:
    assert json.loads(line(LogSettings(formatter="json", fields={"service": "r", "time": "mine"}), query=b"n=1")) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "logger": "moorage.access",
        "msg": "response completed",
        "service": "r",
        "http.request.method": "GET",
        "http.request.uri": "/v2/a/manifests/latest?n=1",
        "http.request.proto": "HTTP/1.1",
        "http.request.remoteaddr": "10.0.0.1",
        "http.request.useragent": "docker/29",
        "http.request.id": "id-1",
        "http.response.status": 200,
        "http.response.written": 1234,
        "http.response.duration": 0.012346,
        "auth.user.name": "alice",
    }


def test_json_names_no_user_for_anonymous() -> None:
    assert "auth.user.name" not in json.loads(line(LogSettings(formatter="json"), user=""))


def test_logstash_has_its_own_names() -> None:
    record = json.loads(line(LogSettings(formatter="logstash", fields={"@version": "9"})))
    assert record["@timestamp"] == "2023-11-14T22:13:20.250Z"
    assert record["@version"] == "1"
    assert record["message"] == "response completed"
    assert "time" not in record


HOSTILE = st.text(max_size=40) | st.sampled_from(['"', "\n", "\\", "\r\n", "\x1b[0m", "\u2028", "\ud800", 'a" 200 0 "'])


@given(
    path=HOSTILE,
    agent=HOSTILE,
    client=HOSTILE,
    user=HOSTILE,
    method=HOSTILE,
    request_id=HOSTILE,
    protocol=HOSTILE,
)
def test_nothing_that_a_client_sends_makes_a_second_text_line_or_field(**foreign: str) -> None:
    text = line(LogSettings(), **foreign)
    found = COMBINED.fullmatch(text)
    assert found is not None
    assert text[:-1].isprintable()
    assert (found["status"], found["bytes"], found["rest"]) == ("200", "1234", "")


@given(path=HOSTILE, agent=HOSTILE, client=HOSTILE, user=HOSTILE, method=HOSTILE)
def test_nothing_that_a_client_sends_makes_a_second_json_line_or_member(**foreign: str) -> None:
    text = line(LogSettings(formatter="json"), **foreign)
    assert text.count("\n") == 1
    assert json.loads(text)["http.response.status"] == 200


@pytest.mark.parametrize("formatter", ["text", "json", "logstash"])
def test_secrets_of_a_query_are_not_logged(formatter: str) -> None:
    query = b"&".join(
        name + b"=hunter2"
        for name in (
            b"token",
            b"password",
            b"secret",
            b"refresh_token",
            b"access_token",
            b"client_secret",
            b"Pass%77ord",
        )
    )
    assert "hunter2" not in line(LogSettings(formatter=formatter), query=query)


@pytest.mark.parametrize("formatter", ["text", "json"])
def test_lines_do_not_grow_without_bound(formatter: str) -> None:
    big = line(LogSettings(formatter=formatter), path="/" + "a" * 100_000, agent="b" * 100_000, query=b"c" * 100_000)
    assert len(big) < 8000


def test_off_writes_nothing() -> None:
    out: list[bytes] = []
    log = AccessLog(LogSettings(accesslog=False), out.append, FixedClock(), batch=1)
    assert not log.enabled
    log.record(**REQUEST)
    log.flush()
    assert out == []


def test_a_batch_is_one_write() -> None:
    out: list[bytes] = []
    log = AccessLog(LogSettings(), out.append, FixedClock(), batch=10)
    for _ in range(25):
        log.record(**REQUEST)
    assert [data.count(b"\n") for data in out] == [10, 10]
    log.flush()
    log.flush()
    assert [data.count(b"\n") for data in out] == [10, 10, 5]


def test_the_time_moves_on() -> None:
    out: list[bytes] = []
    clock = FixedClock()
    log = AccessLog(LogSettings(), out.append, clock)
    log.record(**REQUEST)
    clock.at += 61
    log.record(**REQUEST)
    log.flush()
    assert re.findall(rb":(\d\d:\d\d:\d\d) ", out[0]) == [b"22:13:20", b"22:14:21"]


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "No space left"), ValueError("closed file")])
def test_a_log_that_cannot_be_written_fails_no_request_and_is_counted(error: Exception) -> None:
    broken = True
    out: list[bytes] = []

    def write(data: bytes) -> None:
        if broken:
            raise error
        out.append(data)

    log = AccessLog(LogSettings(), write, FixedClock(), batch=3)
    for _ in range(7):
        log.record(**REQUEST)
    log.flush()
    assert log.dropped == 7
    broken = False
    log.record(**REQUEST)
    log.flush()
    assert len(out) == 1


def test_a_file_gets_a_batch_in_one_piece(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        descriptor_writer(file.fileno())(b"x" * 100_000)
    assert (tmp_path / "log").stat().st_size == 100_000


def test_writing_to_a_closed_pipe_raises() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        descriptor_writer(writer)(b"x\n")
    os.close(writer)


def test_a_slow_reader_of_a_non_blocking_pipe_gets_everything() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    got: list[bytes] = []

    def read() -> None:
        while data := os.read(reader, 1000):
            got.append(data)

    thread = threading.Thread(target=read)
    thread.start()
    data = b"".join(b"%06d\n" % number for number in range(100_000))
    descriptor_writer(writer)(data)
    os.close(writer)
    thread.join()
    os.close(reader)
    assert b"".join(got) == data


def test_a_reader_that_stopped_costs_a_second_and_not_for_ever() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with pytest.raises(BlockingIOError):
        descriptor_writer(writer)(b"x" * 79 + b"\n" * 1_000_000)
    os.close(reader)
    os.close(writer)


PROGRAM = """
import sys
from moorage.telemetry.access import descriptor_writer
write = descriptor_writer(1)
for _ in range(20):
    write((sys.argv[1].encode() * 150 + b"\\n") * 1000)
"""


def test_lines_of_two_processes_on_one_pipe_never_mix() -> None:
    reader, writer = os.pipe()
    workers = [subprocess.Popen([sys.executable, "-c", PROGRAM, letter], stdout=writer) for letter in "ab"]
    os.close(writer)
    data = b""
    while piece := os.read(reader, 3000):
        data += piece
    os.close(reader)
    assert [worker.wait() for worker in workers] == [0, 0]
    lines = data.splitlines()
    assert len(lines) == 40_000
    assert set(lines) == {b"a" * 150, b"b" * 150}
