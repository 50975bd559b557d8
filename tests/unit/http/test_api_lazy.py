"""Whoever does not use the management API or the pages does not pay for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "fastapi",
    "starlette",
    "httpx",
    "moorage.http.api.app",
    "moorage.accounts.users",
    "jinja2",
    "moorage.http.ui.pages",
)


@pytest.mark.parametrize(
    "module", ["moorage.app", "moorage.app.api", "moorage.http.api.door", "moorage.app.access", "moorage.app.ui"]
)
def test_a_worker_imports_nothing_of_it(module: str) -> None:
    program = f"import sys, {module}\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_line_imports_nothing_of_it() -> None:
    heavy = (*HEAVY, "sqlalchemy", "moorage.app")
    program = f"import sys, moorage.cli\nprint([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
