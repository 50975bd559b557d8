"""The API's description (OpenAPI 3.1): what the framework makes of the handlers, with problems and credentials added.

`python -m moorage.http.api.openapi docs/reference/openapi.json` writes it; without a file it is printed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

METHODS = ("get", "put", "post", "delete", "patch")

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_ANSWER = {"content": {"application/problem+json": {"schema": _PROBLEM}}}
_ERRORS = {
    "400": "The request, or a name in it, cannot be understood.",
    "401": "No credentials, or wrong ones.",
    "403": "Known, but not allowed.",
    "422": "The request does not fit this description, or asks for what cannot be.",
    "429": "Too many requests or failed logins; Retry-After says when to come back.",
    "500": "The operator finds the reason in the log.",
    "503": "A dependency does not answer; Retry-After says when to come back.",
    "507": "The storage is full.",
}
_OF_CHANGES = {
    "409": "Something is there already, or is in the way.",
    "413": "The body is too large.",
    "408": "The body stood still.",
}
_OF_VERSIONS = {"412": "The object has another version than If-Match says."}
_OF_OBJECTS = {"404": "There is no such object, or it is not yours to see."}
_ALL = {**_ERRORS, **_OF_CHANGES, **_OF_VERSIONS, **_OF_OBJECTS}

_SCHEMES = {
    "basic": {"type": "http", "scheme": "basic", "description": "Name and password, or a token in its place."},
    "bearer": {"type": "http", "scheme": "bearer", "description": "A personal access token or a robot's secret."},
    "session": {"type": "apiKey", "in": "cookie", "name": "moorage_session"},
}


def describe(document: dict[str, Any]) -> dict[str, Any]:
    """Add to the framework's document what holds for all routes. May be called again on its own result."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _problem_schema()
    document["components"]["responses"] = {
        status: {"description": description, **_ANSWER} for status, description in sorted(_ALL.items())
    }
    document["components"]["securitySchemes"] = _SCHEMES
    document["security"] = [{name: []} for name in _SCHEMES]
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations:
                _add_problems(path, method, operations[method])
    return document


def _add_problems(path: str, method: str, operation: dict[str, Any]) -> None:
    errors = dict(_ERRORS)
    if method != "get":
        errors |= _OF_CHANGES
    if any(each["name"].lower() == "if-match" for each in operation.get("parameters", ())):
        errors |= _OF_VERSIONS
    if "{" in path or method != "get" or operation.get("parameters"):
        errors |= _OF_OBJECTS
    for status in errors:
        operation["responses"][status] = {"$ref": f"#/components/responses/{status}"}
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _problem_schema() -> dict[str, Any]:
    from moorage.http.api.shapes import Problem  # noqa: PLC0415 - the command line reads METHODS without the framework

    return Problem.model_json_schema()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path of the description, and the query parameters that it has."""

    name: str
    path: str
    methods: frozenset[str]
    parameters: frozenset[str]


class Index:
    """Questions about the operations that are asked with every request."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._parameters: dict[str, frozenset[str]] = {}
        found: dict[str, set[str]] = {}
        for operation in operations:
            self._parameters[operation.name] = operation.parameters
            found.setdefault(operation.path, set()).update(operation.methods)
        self._paths = [(_pattern(path), sorted(methods)) for path, methods in found.items()]

    def parameters(self, operation: str) -> frozenset[str]:
        """The query parameters of an operation."""
        return self._parameters[operation]

    def methods(self, path: str) -> list[str]:
        """What can be done at an address."""
        found = [method for pattern, methods in self._paths if pattern.fullmatch(path) for method in methods]
        return [*found, "HEAD"] if "GET" in found else found


def _pattern(path: str) -> re.Pattern[str]:
    """The addresses that a path of the description stands for."""
    parts = re.split(r"\{\w+\}", path)
    return re.compile("[^/]+".join(re.escape(part) for part in parts))


def document() -> dict[str, Any]:
    """The description, as a server at `/` gives it."""
    from moorage.http.api.app import build  # noqa: PLC0415 - `app` imports this module

    async def nobody(_request: object) -> Any:
        raise AssertionError("nobody asks a description")

    described: dict[str, Any] = build({}, nobody).openapi()
    return described


def page() -> str:
    """The description as it is kept in the documentation: without the program's version, which changes by itself."""
    import json  # noqa: PLC0415 - nobody else needs it

    found = document()
    found["info"] = {**found["info"], "version": "1"}
    return json.dumps(found, indent=1, ensure_ascii=False, sort_keys=False) + "\n"


def main(arguments: list[str]) -> None:
    """Write the description to the file named, or print it."""
    if arguments:
        Path(arguments[0]).write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())


if __name__ == "__main__":
    main(sys.argv[1:])
