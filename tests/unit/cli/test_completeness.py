"""What the API can do, the command line can do too: read from the commands, compared with the API's description."""

from __future__ import annotations

import re
from pathlib import Path

import moorage.cli
from moorage.http.api.openapi import METHODS, document

CALLS = re.compile(r'client\.call\(\s*"([A-Z]+)",\s*f?"([^"]+)"')
LISTS = re.compile(r'client\.(?:items|find)\(\s*f?"([^"]+)"')

ONLY_THE_API = {
    ("POST", "/login"): "sessions are for pages",
    ("POST", "/logout"): "sessions are for pages",
    ("GET", "/audit/export"): "the command goes page by page, so that it can be interrupted",
    ("GET", "/users/{}"): "asked for by name",
    ("GET", "/groups/{}"): "asked for by name",
    ("GET", "/robots/{}"): "asked for by name",
    ("GET", "/tokens/{}"): "asked for by name",
    ("GET", "/trust-rules/{}"): "asked for by name",
}


def shaped(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def of_commands() -> set[tuple[str, str]]:
    found = set()
    for file in Path(moorage.cli.__file__).parent.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        found |= {(method, shaped(path)) for method, path in CALLS.findall(text)}
        found |= {("GET", shaped(path)) for path in LISTS.findall(text)}
    return found


def of_the_api() -> set[tuple[str, str]]:
    paths = document()["paths"].items()
    return {
        (method.upper(), shaped(path.removeprefix("/api/v1")))
        for path, operations in paths
        for method in METHODS
        if method in operations
    }


def test_every_operation_has_a_command() -> None:
    assert of_the_api() - of_commands() == set(ONLY_THE_API)


def test_no_command_asks_for_what_is_not_there() -> None:
    assert of_commands() - of_the_api() == set()
