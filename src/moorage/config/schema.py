"""The JSON Schema (2020-12) of the configuration, for editors and pipelines; made from the table."""

from __future__ import annotations

from typing import Any

import yaml

from moorage.config.keys import Key, Kind, Status
from moorage.config.keys_storage import BESIDE_DRIVERS
from moorage.config.table import TOP, children

Schema = dict[str, Any]

_TEXT: Schema = {"type": ["string", "number", "boolean", "null"]}
_DURATION = r"^([-+]?(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+|[-+]?[0-9]+)$"
_SIZE = r"^[0-9]{1,15} ?([kKmMgG][iI][bB])?$"


def json_schema() -> Schema:
    """Return the schema of a whole file.

    It is stricter than the reader in matters of style (words in lower case, lists as lists), and as lenient
    about keys that it does not know, except for storage drivers and kinds of `auth`. Keys without effect are
    marked `deprecated`; `x-moorage-status` says what becomes of each key.
    """
    schema = _section(TOP)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of Moorage",
        "description": "Distribution's config.yml, versions 2 and 3, and Moorage's own keys.",
        **schema,
    }


def _key(key: Key) -> Schema:
    schema = dict(_VALUES[key.kind]) if key.kind in _VALUES else _built(key)
    if key.note:
        schema["description"] = key.note
    if key.status is Status.IGNORED:
        schema["deprecated"] = True
    if key.kind is Kind.COUNT and key.least is not None:
        schema["minimum"] = key.least
    schema["x-moorage-status"] = key.status.value
    return schema


def _built(key: Key) -> Schema:
    if key.kind is Kind.WORD:
        # A word that YAML reads as something else, as the number 0.1, is allowed both ways.
        words = [word for choice in key.choices for word in (choice, yaml.safe_load(choice))]
        return {"enum": [*dict.fromkeys(words), None]}
    if key.kind is Kind.ENTRIES:
        return {"type": ["array", "null"], "items": _section(key)}
    return _alternatives(key) if key.shorthand else _section(key)


def _section(key: Key) -> Schema:
    return {
        "type": ["object", "null"],
        "properties": {name: _key(row) for name, row in children(key.path).items()},
    }


def _alternatives(key: Key) -> Schema:
    """Describe a section of which one alternative is chosen, or only named."""
    names = [name for name in children(key.path) if name not in BESIDE_DRIVERS]
    one_of_them = {"oneOf": [{"required": [name]} for name in names]}
    return {"anyOf": [{"enum": names}, {**_section(key), "additionalProperties": False, **one_of_them}]}


_VALUES: dict[Kind, Schema] = {
    Kind.TEXT: _TEXT,
    Kind.PATH: _TEXT,
    Kind.ADDRESS: _TEXT,
    Kind.FLAG: {"type": ["boolean", "null"]},
    Kind.COUNT: {"type": ["integer", "null"]},
    Kind.SIZE: {"type": ["integer", "string", "null"], "pattern": _SIZE},
    Kind.DURATION: {"type": ["string", "integer", "null"], "pattern": _DURATION},
    Kind.URL: {"type": ["string", "null"], "pattern": "^(https?://.|$)"},
    Kind.TEXTS: {"type": ["array", "null"], "items": _TEXT},
    Kind.PATTERNS: {"type": ["array", "null"], "items": {"type": "string", "format": "regex"}},
    Kind.NETWORKS: {"type": ["array", "null"], "items": {"type": "string"}},
    Kind.LABELS: {"type": ["object", "null"], "additionalProperties": _TEXT},
    Kind.HEADERS: {
        "type": ["object", "null"],
        "additionalProperties": {"type": ["array", "string", "number"], "items": _TEXT},
    },
    Kind.ANY: {},
}
