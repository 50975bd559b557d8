"""The examples of docs/how-to/api.md, run one after the other."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.api import ADMIN, ADMIN_PASSWORD, LOCAL, asking
from tests.support.server import Server

SERVER = LOCAL
DATABASES = ("sqlite", "postgresql")
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "api.md"


@pytest.mark.needs("curl")
def test_the_examples(server: Server, tmp_path: Path) -> None:
    examples = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(examples) == 8
    (tmp_path / "login").write_text(f'user = "{ADMIN}:{ADMIN_PASSWORD}"\n')
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(examples)],
        cwd=tmp_path,
        env={"REGISTRY": server.base, "PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with asking(server) as admin:
        found = admin.get("/projects", name="team/web")["items"][0]
        assert found["visibility"] == "public"
        assert len(admin.get(f"/projects/{found['id']}/grants")["items"]) == 2
    assert (tmp_path / "audit.jsonl").read_text().count("\n") == 2
