"""The generated pages are current; every setting, metric, table and command is on its page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import moorage.telemetry
from moorage.cli.document import main, page
from moorage.config.table import TABLE
from moorage.http.api import openapi
from moorage.http.v2.routes import match
from moorage.metadata import tables_access  # noqa: F401 - its tables belong to the same schema
from moorage.metadata.migrate import HEAD
from moorage.metadata.tables import metadata
from moorage.telemetry.metrics import GAUGES, Metrics
from tests.unit.docs.documents import REFERENCE, codes, rows, text_of

METRICS = text_of("metrics.md")
DATABASE = text_of("database.md")
_TYPE = re.compile(r"^# TYPE (moorage_\w+) (\w+)$", re.MULTILINE)
_OUTER = ("/v2/", "/v2/_catalog", "/v2/_oci/ext/discover")


def registered(folder: Path) -> dict[str, str]:
    """The names and types of all metrics, as Prometheus sees them when everything has happened once."""
    metrics = Metrics(folder)
    metrics.observe_request("blob", "GET", 200, 0.001, 1, 1)
    metrics.observe_storage("append", 0.001)
    metrics.observe_database("write", 0.001)
    metrics.count_event("something")
    for gauge in GAUGES:
        metrics.set_gauge(gauge, 1)
    return dict(_TYPE.findall(metrics.render().decode()))


def test_the_command_line_is_current() -> None:
    assert text_of("cli.md") == page(), "run python -m moorage.cli.document docs/reference/cli.md"


def test_the_description_of_the_management_api_is_current(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert text_of("openapi.json") == openapi.page(), (
        "run python -m moorage.http.api.openapi docs/reference/openapi.json"
    )
    openapi.main([str(tmp_path / "openapi.json")])
    openapi.main([])
    assert (tmp_path / "openapi.json").read_text(encoding="utf-8") == openapi.page() == capsys.readouterr().out


def test_the_command_line_is_written_and_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path / "cli.md")])
    main([])
    assert (tmp_path / "cli.md").read_text(encoding="utf-8") == page() == capsys.readouterr().out


@pytest.mark.parametrize("command", ["moorage", "moorage serve", "moorage config check", "moorage config schema"])
def test_every_command_has_its_section(command: str) -> None:
    assert f"\n## `{command}`\n" in page()


@pytest.mark.parametrize(
    "option", ["--host", "--port", "--root", "--workers", "--auth", "--format", "--no-environment"]
)
def test_every_option_is_there(option: str) -> None:
    assert f"`{option}`" in page()


def test_every_setting_is_there() -> None:
    configuration = text_of("configuration.md")
    assert not [key.path for key in TABLE if f"| `{key.path}` |" not in configuration]


def test_every_metric_is_there_with_its_type(tmp_path: Path) -> None:
    written = {codes(row[0])[0]: row[1] for row in rows(METRICS) if row[0].startswith("`moorage_")}
    assert written == registered(tmp_path)


def test_every_name_in_the_source_of_a_metric_is_there() -> None:
    source = "".join(file.read_text() for file in Path(moorage.telemetry.__path__[0]).glob("*.py"))
    named = set(re.findall(r'"(moorage_[a-z_]+)"', source))
    assert named
    assert not [name for name in named if name not in METRICS]


def test_every_route_label_is_there() -> None:
    values = next(row[1] for row in rows(METRICS) if row[0] == "`route`")
    routes = {match(path)[0] for path in _OUTER}
    for kind in ("manifests/x", "blobs/x", "blobs/uploads/", "blobs/uploads/x", "tags/list", "referrers/x"):
        routes.add(match(f"/v2/a/{kind}")[0])
    assert routes | {"api", "token", "front", "login", "account", "health", "other"} == set(codes(values))


def test_every_table_and_column_is_there() -> None:
    written = {codes(row[0])[0]: codes(row[2]) for row in rows(DATABASE)}
    assert set(written) == {*metadata.tables, "alembic_version"}
    for name, table in metadata.tables.items():
        unsaid = {"id", "repository_id"} - set(written[name])
        missing = {column.name for column in table.columns} - set(written[name]) - unsaid
        assert not missing, f"{name} has {missing}"
    assert f"`{HEAD}`" in DATABASE


def test_the_page_of_the_configuration_is_the_generated_one() -> None:
    assert (REFERENCE / "configuration.md").read_text().startswith("<!-- Made by `python -m moorage.config.document")
