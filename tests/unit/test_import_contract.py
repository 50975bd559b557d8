"""The import contract of pyproject.toml keeps a tidy tree and reports each kind of breach.

Tried on a toy tree with every room that the contract names, so that rooms which are still to come are in it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def modules() -> list[str]:
    """Every module of ours that a contract names."""
    contracts = tomllib.loads(PROJECT.read_text())["tool"]["importlinter"]["contracts"]
    found = {"moorage", "moorage.testing"}
    for contract in contracts:
        for container in contract.get("containers", ()):
            found |= {f"{container}.{room}" for layer in contract["layers"] for room in re.findall(r"\w+", layer)}
        for key in ("source_modules", "forbidden_modules", "protected_modules"):
            named = (name.replace("*", "part") for name in contract.get(key, ()))
            found |= {name for name in named if name.startswith("moorage")}
    return sorted(found)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in modules():
        folder = tmp_path / name.replace(".", "/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
    return tmp_path


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = "from importlinter.cli import lint_imports_command as main; main()"
    return subprocess.run(
        [sys.executable, "-c", command, "--config", str(PROJECT), "--no-cache"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "200"},
        check=False,
        capture_output=True,
        text=True,
    )


def test_a_tidy_tree_keeps_every_contract(tree: Path) -> None:
    (tree / "moorage/app/__init__.py").write_text("import moorage.blobs.filesystem, moorage.http.v2\n")
    (tree / "moorage/registry/__init__.py").write_text("import moorage.blobs, moorage.metadata, moorage.core\n")
    (tree / "moorage/metadata/sqlite/__init__.py").write_text("import sqlite3, sqlalchemy\n")
    result = lint(tree)
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("importer", "imported", "contract"),
    [
        ("core", "moorage.telemetry", "a room imports only rooms below it"),
        ("registry", "moorage.http", "a room imports only rooms below it"),
        ("http/v2", "moorage.config", "a room imports only rooms below it"),
        ("auth", "moorage.metadata", "a room imports only rooms below it"),
        ("events", "moorage.jobs", "a room imports only rooms below it"),
        ("http/api", "moorage.http.v2", "the doors do not know one another"),
        ("core", "sqlalchemy", "core is pure"),
        ("core", "asyncio", "core is pure"),
        ("http/v2", "starlette", "the data plane is raw ASGI"),
        ("http/v2", "sqlite3", "the data plane is raw ASGI"),
        ("registry", "moorage.blobs.filesystem", "use cases see ports, never backends"),
        ("http", "moorage.metadata.postgres", "use cases see ports, never backends"),
        ("upkeep/part", "moorage.blobs.memory", "use cases see ports, never backends"),
        ("app", "moorage.testing", "nothing imports testing"),
    ],
)
def test_a_breach_is_reported(tree: Path, importer: str, imported: str, contract: str) -> None:
    (tree / "moorage" / importer / "__init__.py").write_text(f"import {imported}\n")
    result = lint(tree)
    assert result.returncode == 1
    assert re.search(rf"{contract} +BROKEN", result.stdout), result.stdout


def test_a_backend_is_not_reached_through_another_room(tree: Path) -> None:
    (tree / "moorage/blobs/__init__.py").write_text("import moorage.blobs.filesystem\n")
    (tree / "moorage/registry/__init__.py").write_text("import moorage.blobs\n")
    result = lint(tree)
    assert re.search(r"use cases see ports, never backends +BROKEN", result.stdout), result.stdout


def test_a_new_room_must_be_placed(tree: Path) -> None:
    (tree / "moorage/attic").mkdir()
    (tree / "moorage/attic/__init__.py").touch()
    result = lint(tree)
    assert result.returncode == 1
    assert "attic" in result.stdout
