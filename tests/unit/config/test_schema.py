"""The JSON Schema says the same as the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from moorage.config.keys import Key, Kind, Status
from moorage.config.schema import json_schema
from moorage.config.table import TABLE
from tests.support.rows import over

SAMPLES = Path(__file__).parent / "samples"
SCHEMA = json_schema()


def at(schema: dict[str, Any], key: Key) -> dict[str, Any]:
    for step in key.path.split("."):
        schema = next((each for each in schema.get("anyOf", []) if "properties" in each), schema)
        schema = schema["properties"][step.removesuffix("[]")]
        schema = schema["items"] if step.endswith("[]") else schema
    return schema


TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}


def has_type(value: Any, name: str) -> bool:
    if name in ("integer", "number"):
        return isinstance(value, int if name == "integer" else (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def valid(value: Any, schema: dict[str, Any]) -> bool:
    """As much of JSON Schema as the schema uses; patterns apart, which the table's own tests cover."""
    names = schema.get("type", [])
    checks = [
        not names or any(has_type(value, name) for name in ([names] if isinstance(names, str) else names)),
        "enum" not in schema or value in schema["enum"],
        "anyOf" not in schema or any(valid(value, each) for each in schema["anyOf"]),
        "oneOf" not in schema or sum(valid(value, each) for each in schema["oneOf"]) == 1,
        "minimum" not in schema or not has_type(value, "number") or value >= schema["minimum"],
    ]
    if isinstance(value, dict):
        checks.append(all(name in value for name in schema.get("required", [])))
        properties, more = schema.get("properties", {}), schema.get("additionalProperties", {})
        rest = [value[name] for name in value if name not in properties]
        checks.append(not rest if more is False else all(valid(each, more) for each in rest))
        checks += [valid(value[name], each) for name, each in properties.items() if name in value]
    if isinstance(value, list):
        checks += [valid(each, schema.get("items", {})) for each in value]
    return all(checks)


@over(TABLE)
def test_every_row_is_in_the_schema(key: Key) -> None:
    schema = at(SCHEMA, key)
    if key.kind is Kind.ENTRIES:
        assert schema["items"]["type"]
    assert schema["x-moorage-status"] == key.status
    assert schema.get("description", "") == key.note
    assert schema.get("deprecated", False) == (key.status is Status.IGNORED)


@over(key for key in TABLE if key.example)
def test_every_example_is_valid(key: Key) -> None:
    assert valid(yaml.safe_load(key.example), at(SCHEMA, key))


@pytest.mark.parametrize("name", ["annotated.yml", "version3.yml"])
def test_the_samples_are_valid(name: str) -> None:
    document = yaml.safe_load((SAMPLES / name).read_text())
    if name == "version3.yml":
        platforms = document["validation"]["manifests"]["indexes"]
        platforms["platforms"] = platforms["platforms"].lower()  # a matter of style, which the schema minds
    assert valid(document, SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "http: 5000",
        "http: {addr: [x]}",
        "version: 0.2",
        "log: {level: loud}",
        "catalog: {maxentries: many}",
        "storage: floppy",
        "storage: {filesystem: , inmemory: }",
        "storage: {delete: {enabled: true}}",
        "auth: {ldap: {}}",
        "auth: {htpasswd: {}, none: }",
        "middleware: {registry: {name: repository}}",
        "http: {workers: 0}",
    ],
)
def test_what_is_wrong_is_not_valid(text: str) -> None:
    assert not valid(yaml.safe_load(text), SCHEMA)


@pytest.mark.parametrize(
    "text",
    ["{}", "storage: filesystem", "auth: none", "fnord: 1", "http: {fnord: [1]}", "redis:", "http:", "auth: {none: }"],
)
def test_what_starts_is_valid(text: str) -> None:
    assert valid(yaml.safe_load(text), SCHEMA)


def test_it_is_json() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["$schema"].endswith("2020-12/schema")
