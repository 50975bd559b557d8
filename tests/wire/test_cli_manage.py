"""`moorage project`, `grant`, `access` and `audit`: over a server, and over the local root beside it."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moorage.cli import app
from tests.support.api import ADMIN, ADMIN_PASSWORD, LOCAL, asking
from tests.support.nursery import nursery
from tests.support.server import Server

SERVER = LOCAL
DATABASES = ("sqlite", "postgresql")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["server", "root"])
def run(server: Server, request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Runs a command against the module's server, or over its root: the first of a test as a process of its own,
    the others in this one, which is quicker."""
    remote = request.param == "server"
    where = ["--server", server.base, "--password-stdin"] if remote else ["--root", str(server.root)]
    who = {"MOORAGE_USER": ADMIN} if remote else {}
    first = f"{ADMIN_PASSWORD}\n" if remote else ""
    environment = {"HOME": str(tmp_path), "REGISTRY_DATABASE_URL": server.database_url, **who}
    ran: list[tuple[str, ...]] = []

    def moorage(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command, given = [*words, *where], first + given
        ran.append(words)
        if len(ran) > 1:
            result = CliRunner().invoke(app, command, input=given, env=environment, catch_exceptions=False)
            return subprocess.CompletedProcess(command, result.exit_code, result.stdout, result.stderr)
        return nursery().run(command, environment, given)

    moorage.place = request.param  # type: ignore[attr-defined]
    return moorage


def done(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_projects_grants_and_why(run: Run, server: Server) -> None:
    place = run.place  # type: ignore[attr-defined]
    user, name = f"ada-{place}", f"team/{place}"
    with asking(server) as admin:
        admin.make("/users", name=user)
    done(run("project", "create", name, "--visibility", "private", "--description", "of tests"))
    assert name in done(run("project", "list", "--prefix", "team/"))
    assert json.loads(done(run("project", "show", name, "--json")))["visibility"] == "private"
    done(run("grant", "create", name, f"user:{user}", "pull,push", "--expires", "2099-01-01", "--note", "a while"))
    done(run("grant", "create", name, f"user:{user}", "push", "--deny", "--pattern", f"{name}/frozen/*"))
    assert "2099-01-01" in done(run("grant", "list", name))
    grants = json.loads(done(run("grant", "list", "--for", f"user:{user}", "--json")))
    assert [each["effect"] for each in grants] == ["allow", "deny"]
    assert f"Grant {grants[0]['id']} " in done(run("access", "explain", user, f"{name}/app", "push"))
    refused = run("access", "explain", user, f"{name}/frozen/app", "push")
    assert refused.returncode == 1
    assert f"Grant {grants[1]['id']} " in refused.stdout
    done(run("grant", "delete", str(grants[1]["id"])))
    done(run("project", "change", name, "--visibility", "public"))
    assert "public" in done(run("access", "explain", "anonymous", f"{name}/app", "pull"))
    done(run("project", "delete", name))
    assert run("project", "show", name).returncode == 1


def test_a_policy_document_from_standard_input(run: Run, server: Server) -> None:
    place = run.place  # type: ignore[attr-defined]
    with asking(server) as admin:
        admin.make("/users", name=f"eve-{place}")
    done(run("project", "create", f"ecr/{place}"))
    statement = {"Effect": "Allow", "Principal": {"AWS": "arn:e"}, "Action": "ecr:BatchGetImage"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    command = ("project", "import-policy", f"ecr/{place}", "-")
    assert run(*command, given=document).returncode == 1
    assert run(*command, given="{").returncode == 1
    whom = ("--principal", f"arn:e=user:eve-{place}")
    statement["Action"] = "ecr:*"
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    assert "1 made" in done(run(*command, *whom, given=document))
    assert "1 kept" in done(run(*command, *whom, given=document))


def test_the_audit_log(run: Run) -> None:
    place = run.place  # type: ignore[attr-defined]
    done(run("project", "create", f"audited-{place}"))
    assert f"audited-{place}" in done(run("audit", "list", "--action", "project."))
    filters = ("--kind", "project", "--target", f"audited-{place}")
    line = json.loads(done(run("audit", "export", *filters)))
    assert line["action"] == "project.create"
    person = pwd.getpwuid(os.geteuid()).pw_name
    assert line["actor"] == (ADMIN if place == "server" else person)
    assert line["credential"] == ("password" if place == "server" else "cli")
    assert line["actor_kind"] == ("user" if place == "server" else "system")
    assert json.loads(done(run("audit", "list", *filters, "--since", "2099-01-01", "--json"))) == []
    assert "whole" in done(run("audit", "verify"))
    assert run("audit", "list", "--since", "yesterday").returncode == 2
    assert "needs its kind" in run("audit", "list", "--target", "x").stderr


def test_what_is_wrong_is_one_clear_line(server: Server, tmp_path: Path) -> None:
    def moorage(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return nursery().run([*words], {"HOME": str(tmp_path), **environment})

    there = {"REGISTRY_DATABASE_URL": server.database_url}
    cases = [
        (moorage("project", "list", "--server", server.base, "--root", "x"), 2, "one or the other"),
        (moorage("project", "list", "--server", "example.com"), 2, "is an address such as"),
        (moorage("project", "list", "--server", "http://[x"), 2, "is an address such as"),
        (moorage("project", "list", "--server", "http://127.0.0.1:9"), 1, "does not answer"),
        (moorage("user", "list", "--server", server.base), 1, "Say who you are"),
        (moorage("user", "list", "--server", server.base, "--user", "admin"), 2, "Password is needed"),
        (moorage("project", "list", "--root", str(tmp_path / "none")), 1, "There is no registry in"),
        (
            moorage("project", "create", "NOT/a/name", "--root", str(server.root), **there),
            1,
            "A repository name is made of",
        ),
        (moorage("project", "show", "none", MOORAGE_SERVER=server.base), 1, "There is no project none"),
    ]
    for result, status, sentence in cases:
        assert result.returncode == status, result.stderr
        assert sentence in result.stderr
        assert "Traceback" not in result.stderr
        assert len(result.stderr.splitlines()) == 1
