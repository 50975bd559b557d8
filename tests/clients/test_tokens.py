"""Logins without a password: docker's identity token, personal access tokens and robots; and what ends them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.images import Image
from tests.clients.registry import Account, Registry
from tests.clients.shell import Shell
from tests.support.local import Accounts


@pytest.fixture
def accounts(token_registry: Registry) -> Accounts:
    """The registry's accounts."""
    return Accounts(token_registry.server)


@pytest.fixture
def mate(accounts: Accounts, repository: str) -> Account:
    """A user of this test alone."""
    account = Account(repository.replace("/", "."), "a second knot")
    accounts.user(account.user, account.password)
    return account


def sign_in(docker: Shell, registry: Registry, account: Account) -> None:
    login = ["docker", "login", "--username", account.user, "--password-stdin", registry.host]
    assert "Login Succeeded" in docker.run(*login, stdin=account.password)


def kept(folder: Path, registry: Registry) -> dict[str, Any]:
    """What docker wrote down for a registry."""
    auths = json.loads((folder / "config.json").read_text())["auths"]
    found: dict[str, Any] = auths[registry.host]
    return found


def test_docker_keeps_an_identity_token_and_no_password(
    docker: Shell,
    token_registry: Registry,
    accounts: Accounts,
    mate: Account,
    small: Image,
    repository: str,
    tmp_path: Path,
) -> None:
    stranger = docker.with_environment(DOCKER_CONFIG=str(tmp_path))
    sign_in(stranger, token_registry, mate)
    secret = kept(tmp_path, token_registry)
    assert secret["identitytoken"].startswith("mrg_ref_")
    assert mate.password not in base64.b64decode(secret["auth"]).decode()
    token_registry.put(repository, small, "1")
    name = token_registry.name(repository, "1")
    stranger.run("docker", "pull", name)
    stranger.run("docker", "tag", name, token_registry.name(repository, "2"))
    stranger.run("docker", "push", token_registry.name(repository, "2"))
    assert token_registry.has_everything(repository, "2")
    accounts.run("UPDATE users SET epoch=epoch+1 WHERE name=?", mate.user)
    stranger.refused("docker", "pull", name)


def test_other_clients_take_dockers_identity_token(
    docker: Shell,
    stranger: Shell,
    token_registry: Registry,
    mate: Account,
    small: Image,
    repository: str,
    tmp_path: Path,
) -> None:
    sign_in(docker.with_environment(DOCKER_CONFIG=str(tmp_path)), token_registry, mate)
    program = stranger.with_environment(DOCKER_CONFIG=str(tmp_path))
    name = token_registry.name(repository, "1")
    program.run("crane", "push", small.layout, name)
    assert program.run("crane", "digest", name) == small.digest
    assert program.run("oras", "resolve", "--plain-http=false", name) == small.digest
    file = str(tmp_path / "config.json")
    inspected = ["skopeo", "inspect", "--authfile", file, "--format", "{{.Digest}}", f"docker://{name}"]
    assert program.run(*inspected) == small.digest
    assert program.run("regctl", "manifest", "head", "--format", "{{.GetDescriptor.Digest}}", name) == small.digest


def test_oras_signs_in_with_an_identity_token(
    docker: Shell,
    stranger: Shell,
    token_registry: Registry,
    mate: Account,
    small: Image,
    repository: str,
    tmp_path: Path,
) -> None:
    sign_in(docker.with_environment(DOCKER_CONFIG=str(tmp_path)), token_registry, mate)
    secret = kept(tmp_path, token_registry)["identitytoken"]
    login = ["oras", "login", "--plain-http=false", "--identity-token-stdin", token_registry.host]
    assert "Login Succeeded" in stranger.run(*login, stdin=secret)
    token_registry.put(repository, small, "1")
    resolve = ["oras", "resolve", "--plain-http=false", token_registry.name(repository, "1")]
    assert stranger.run(*resolve) == small.digest


@pytest.mark.parametrize("kind", ["robot", "pat"])
def test_a_robot_and_a_personal_access_token(
    stranger: Shell, token_registry: Registry, accounts: Accounts, small: Image, repository: str, kind: str
) -> None:
    name, host = token_registry.name(repository, kind), token_registry.host
    if kind == "robot":
        user = f"+{repository.replace('/', '.')}"
        secret = accounts.robot(user, "writer")
    else:
        user = f"{repository.replace('/', '.')}.owner"
        secret = accounts.pat(accounts.user(user))
    stranger.run("skopeo", "login", "--username", user, "--password-stdin", host, stdin=secret)
    stranger.run("skopeo", "copy", f"oci:{small.source}", f"docker://{name}")
    assert token_registry.digest(repository, kind) == small.digest
    stranger.run("regctl", "registry", "login", "--user", user, "--pass-stdin", host, stdin=secret)
    assert stranger.run("regctl", "manifest", "head", "--format", "{{.GetDescriptor.Digest}}", name) == small.digest
    stranger.run("helm", "registry", "login", "--username", user, "--password-stdin", host, stdin=secret)
