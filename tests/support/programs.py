"""Programs that a test needs and that are not Python: found on PATH, or the test says what is missing."""

from __future__ import annotations

import os
import shutil

import pytest

# Where Debian puts daemons and administrators' programs; an unprivileged user's PATH often lacks them.
EXTRA_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def must_not_skip() -> bool:
    """Whether a test that cannot run is a failure (in CI) and no skip (on somebody's laptop)."""
    return os.environ.get("MOORAGE_TESTS_MUST_NOT_SKIP", "") not in ("", "0")


def find_program(name: str, folders: tuple[str, ...] = ()) -> str | None:
    """The path of a program: from `folders` first, then PATH, then the sbin folders; None if absent."""
    path = os.pathsep.join((*folders, os.environ.get("PATH", os.defpath), *EXTRA_FOLDERS))
    return shutil.which(name, path=path)


def missing(what: str) -> None:
    """End the running test, because `what` is not there: skipped, or failed where tests must not skip."""
    sentence = f"needs {what}"
    if must_not_skip():
        pytest.fail(f"{sentence} (MOORAGE_TESTS_MUST_NOT_SKIP is set)", pytrace=False)
    pytest.skip(sentence)


def require_program(name: str, folders: tuple[str, ...] = ()) -> str:
    """The path of a program that the running test cannot do without; ends the test if it is absent."""
    path = find_program(name, folders)
    if path is None:
        missing(f"program: {name}")
    assert path is not None
    return path
