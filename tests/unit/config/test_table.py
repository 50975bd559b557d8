"""Every row of the table does what it says, in a file and in the environment."""

from __future__ import annotations

import re
from typing import Any

import yaml

from moorage.config.check import Values, check
from moorage.config.environment import overlay
from moorage.config.findings import Finding, Report
from moorage.config.keys import Key, Kind, Source, Status
from moorage.config.table import TABLE, TOP, children
from moorage.config.tree import Table, parse
from tests.support.rows import over

LEAVES = [key for key in TABLE if key.kind not in (Kind.SECTION, Kind.ENTRIES)]
BY_PATH = {key.path: key for key in TABLE}


def has_effect(key: Key) -> bool:
    return key.status in (Status.HONOURED, Status.MAPPED)


def nested(path: str, value: Any) -> dict[str, Any]:
    name, _, rest = path.partition(".")
    inner = nested(rest, value) if rest else value
    return {name[:-2]: [inner]} if name.endswith("[]") else {name: inner}


def walk(tree: Table) -> tuple[Values, list[Finding]]:
    report = Report()
    values = check(tree, report)
    return values, list(report)


def from_file(key: Key) -> tuple[Values, list[Finding]]:
    tree = parse(yaml.safe_dump(nested(key.path, yaml.safe_load(key.example or "{}"))), Report())
    assert isinstance(tree, Table)
    return walk(tree)


def from_environment(key: Key) -> tuple[Values, list[Finding]]:
    tree = Table()
    report = Report()
    overlay(tree, {key.variable: key.example or "{}"}, report)
    values, findings = walk(tree)
    return values, [*report, *findings]


def speaker(key: Key) -> Key | None:
    """The row that speaks for a key without a note of its own."""
    while not key.note and key.parent:
        key = BY_PATH[key.parent]
    return key if key.loudness else None


@over(TABLE)
def test_a_row_has_a_section_that_holds_it(key: Key) -> None:
    if key.parent:
        assert BY_PATH[key.parent].kind is (Kind.ENTRIES if "[]" in key.path.split(".")[-2] else Kind.SECTION)
    assert key in children(key.parent).values()
    assert key.path == key.path.lower()


@over(TABLE)
def test_a_row_has_what_its_kind_needs(key: Key) -> None:
    assert bool(key.choices) == (key.kind is Kind.WORD)
    assert key.example or key.kind is Kind.SECTION
    assert key.note or key.status in (Status.IGNORED, Status.UNAVAILABLE)
    if key.note:
        assert key.note[-1] in ".:"
    if key.source is Source.OWN:
        assert key.status is Status.HONOURED


@over(TABLE)
def test_its_example_is_reported_as_its_status_says(key: Key) -> None:
    _, findings = from_file(key)
    expected = speaker(key)
    if expected is None or (key.kind is Kind.SECTION and key.example in ("", "{}") and not key.shorthand):
        assert findings == []
        return
    (finding,) = findings
    assert finding.severity == expected.loudness
    assert finding.key == re.sub(r"\[\]", "[0]", expected.path)
    assert expected.note in finding.message
    assert finding.line is not None


@over(LEAVES)
def test_its_example_is_read_when_it_has_an_effect(key: Key) -> None:
    values, _ = from_file(key)
    assert (key.path.replace("[]", "[0]") in values) == has_effect(key)


@over(TABLE)
def test_the_environment_sets_the_same_value(key: Key) -> None:
    in_file, found_in_file = from_file(key)
    in_environment, found_in_environment = from_environment(key)
    assert in_environment._values == in_file._values
    said = [(finding.severity, finding.key, finding.message) for finding in found_in_environment]
    assert said == [(finding.severity, finding.key, finding.message) for finding in found_in_file]
    assert all(finding.variable == key.variable and finding.line is None for finding in found_in_environment)


@over(key for key in LEAVES if has_effect(key))
def test_a_wrong_shape_is_an_error_that_says_what_to_write(key: Key) -> None:
    wrong: Any = ["x"] if key.kind in (Kind.LABELS, Kind.HEADERS) else {"x": "y"}
    tree = parse(yaml.safe_dump(nested(key.path, wrong)), Report())
    assert isinstance(tree, Table)
    _, findings = walk(tree)
    (error,) = [finding for finding in findings if finding.severity == "error"]
    assert error.key == key.path.replace("[]", "[0]")
    assert f"`{key.name}: {key.example}`" in error.message


def test_only_few_keys_stop_the_start() -> None:
    """ADR 7 says why each of them does; a key that merely has no effect is no reason."""
    drivers = {f"storage.{name}" for name in ("s3", "azure", "gcs", "swift", "oss")}
    found = {key.path for key in TABLE if key.loudness == "error"}
    assert found == {*drivers, "proxy.remoteurl", "auth.silly"}


def test_the_top_holds_what_distribution_has() -> None:
    theirs = "version log loglevel storage auth middleware http notifications redis health catalog tags proxy"
    more = "validation policy reporting compatibility database registry events audit limits"
    assert set(children(TOP.path)) == {*theirs.split(), *more.split()}


def test_variables_are_named_after_the_path() -> None:
    assert BY_PATH["http.tls.key"].variable == "REGISTRY_HTTP_TLS_KEY"
    assert BY_PATH["notifications.endpoints[].name"].variable == "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME"
    assert BY_PATH["storage.azure.max_retries"].variable == "REGISTRY_STORAGE_AZURE_MAX_RETRIES"
