"""Passwords and tokens of the command line come from standard input or are typed, and from nowhere else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from typer.main import get_command

from moorage.cli import app
from tests.support.api import ADMIN, ADMIN_PASSWORD, LOCAL, asking
from tests.support.nursery import nursery
from tests.support.server import Server

SERVER = LOCAL


def test_a_password_in_the_environment_is_not_read_and_that_is_said(server: Server, tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "MOORAGE_USER": ADMIN, "MOORAGE_PASSWORD": ADMIN_PASSWORD}
    command = ["user", "list", "--server", server.base]
    refused = nursery().run(command, environment)
    assert refused.returncode == 2
    said, why = refused.stderr.splitlines()
    assert said == "moorage: MOORAGE_PASSWORD is not read; use --password-stdin, or type the password when asked."
    assert "Password is needed" in why
    # Nor is it taken for a token where nobody is named.
    nobody = nursery().run(command, {name: each for name, each in environment.items() if name != "MOORAGE_USER"})
    assert nobody.returncode == 1
    assert "Say who you are" in nobody.stderr
    given = nursery().run([*command, "--password-stdin"], environment, f"{ADMIN_PASSWORD}\n")
    assert given.returncode == 0, given.stderr
    assert given.stderr.splitlines() == [said]
    assert ADMIN in given.stdout


def test_a_token_on_standard_input_needs_no_name(server: Server, tmp_path: Path) -> None:
    with asking(server) as admin:
        secret = admin.make("/tokens", name="of-cli-secrets")["secret"]
    command = ["user", "list", "--server", server.base, "--password-stdin"]
    done = nursery().run(command, {"HOME": str(tmp_path)}, f"{secret}\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert ADMIN in done.stdout


@pytest.mark.parametrize("how", ["option", "environment"])
def test_no_secret_in_an_address(server: Server, tmp_path: Path, how: str) -> None:
    address = server.base.replace("://", f"://{ADMIN}:{ADMIN_PASSWORD.replace(' ', '%20')}@")
    given = ["--server", address] if how == "option" else []
    environment = {"HOME": str(tmp_path), **({} if how == "option" else {"MOORAGE_SERVER": address})}
    refused = nursery().run(["user", "list", *given], environment)
    assert refused.returncode == 2
    assert "takes no name or password" in refused.stderr
    assert ADMIN_PASSWORD not in refused.stderr
    assert refused.stdout == ""


def test_no_secret_from_a_netrc(server: Server, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login {ADMIN} password {ADMIN_PASSWORD}\n")
    netrc.chmod(0o600)
    environment = {"HOME": str(tmp_path), "NETRC": str(netrc)}
    assert nursery().run(["user", "list", "--server", server.base], environment).returncode == 1


def test_a_password_is_typed_unseen(server: Server, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "moorage", "user", "list", "--server", server.base, "--user", ADMIN]
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    shown = b""
    with subprocess.Popen(
        command, env=environment, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True
    ) as running:
        os.close(theirs)
        while not shown.endswith(b"Password: "):  # what is typed before that is thrown away
            shown += os.read(ours, 1000)
        os.write(ours, f"{ADMIN_PASSWORD}\n".encode())
        listed, _ = running.communicate(timeout=30)
        with suppress(OSError):  # Linux says EIO at the end
            while more := os.read(ours, 1000):
                shown += more
    os.close(ours)
    assert running.returncode == 0
    assert ADMIN.encode() in listed
    assert shown.count(b"Password") == 1
    assert ADMIN_PASSWORD.encode() not in shown + listed


def test_no_option_takes_a_secret() -> None:
    """Options that have to do with secrets are switches, or limits of their lifetime: none has a text as its value."""
    found = {}
    waiting = [get_command(app)]
    while waiting:
        command = waiting.pop()
        waiting += getattr(command, "commands", {}).values()
        for parameter in command.params:
            words = f"{parameter.name} {getattr(parameter, 'envvar', '') or ''}".lower()
            if any(word in words for word in ("password", "secret", "token", "credential")):
                found[f"{command.name} {parameter.name}"] = getattr(parameter, "is_flag", False)
    assert found
    assert all(found.values()), found
