"""`moorage config`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from moorage.cli.config import app
from moorage.config.schema import json_schema

GOOD = "version: 0.1\nstorage: {filesystem: {rootdirectory: /srv/images}}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yml"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOORAGE_ROOT", raising=False)


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, arguments, env=env)


def test_a_good_file_is_silent(file: Path) -> None:
    file.write_text(GOOD)
    result = run("check", str(file))
    assert (result.exit_code, result.output) == (0, "")


def test_warnings_have_their_place_and_status_0(file: Path) -> None:
    file.write_text(GOOD + "http:\n  timeout: 1h\n")
    result = run("check", str(file))
    assert result.exit_code == 0
    assert result.output.startswith(f"{file}:4: warning: http.timeout: has no effect")


def test_errors_have_status_1(file: Path) -> None:
    file.write_text(GOOD + "log: {level: loud}\n")
    result = run("check", str(file))
    assert result.exit_code == 1
    assert result.output.startswith(f"{file}:3: error: log.level: found 'loud'")


def test_a_missing_file_has_status_1(file: Path) -> None:
    result = run("check", str(file))
    assert result.exit_code == 1
    assert result.output.startswith(f"{file}: error: cannot be read")


def test_a_variable_is_the_place_of_what_it_sets(file: Path) -> None:
    file.write_text(GOOD)
    env = {"REGISTRY_LOG_LEVEL": "loud"}
    result = run("check", str(file), env=env)
    assert result.exit_code == 1
    assert result.output.startswith("REGISTRY_LOG_LEVEL: error: log.level: ")
    assert run("check", "--no-environment", str(file), env=env).exit_code == 0


def test_json(file: Path) -> None:
    file.write_text(GOOD + "log: {level: loud}\n")
    result = run("check", "--format", "json", str(file))
    answer = json.loads(result.output)
    assert result.exit_code == 1
    assert (answer["file"], answer["ok"]) == (str(file), False)
    (finding,) = answer["findings"]
    assert (finding["line"], finding["key"], finding["severity"]) == (3, "log.level", "error")


def test_schema() -> None:
    result = run("schema")
    assert result.exit_code == 0
    assert json.loads(result.output) == json_schema()
