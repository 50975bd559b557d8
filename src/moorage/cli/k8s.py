"""`moorage k8s`: what a Kubernetes cluster needs to pull."""

from __future__ import annotations

import base64
import json
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from moorage.cli.client import Client, command, fail, read_secret

app = typer.Typer(help="Manifests for Kubernetes.", no_args_is_help=True)

TYPE = "kubernetes.io/dockerconfigjson"

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.ASCII)
_NAMESPACE = re.compile(_LABEL, re.ASCII)
_REGISTRY = re.compile(r"(\[[0-9a-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?", re.ASCII)


@app.callback()
def _group() -> None:
    """Manifests for Kubernetes."""


@command(app, "pull-secret")
def pull_secret(
    client: Client,
    *,
    robot: Annotated[str, typer.Argument(help="PROJECT+NAME, or +NAME for one of the system.", show_default=False)],
    name: Annotated[str, typer.Option(help="What the Secret is called.")] = "moorage",
    namespace: Annotated[str, typer.Option(help="The namespace that it lies in.")] = "default",
    registry: Annotated[
        str | None,
        typer.Option(
            help="Host (and port) of image names, as the cluster knows it; else that of --server.", show_default=False
        ),
    ] = None,
    overlap: Annotated[int, typer.Option(min=0, help="Seconds for which the robot's secret so far lives on.")] = 3600,
    secret_stdin: Annotated[
        bool, typer.Option("--secret-stdin", help="Make no new secret; read the robot's from standard input.")
    ] = False,
) -> None:
    """Print a Secret with which a cluster pulls as a robot; pipe it into `kubectl apply -f -`.

    The robot gets a new secret, and the one before lives on for a while.
    """
    host = _host(registry, client.address)
    if len(name) > 253 or _NAME.fullmatch(name) is None:
        fail("--name is made of lower-case letters, digits, '-' and '.', 253 characters at most.", 2)
    if len(namespace) > 63 or _NAMESPACE.fullmatch(namespace) is None:
        fail("--namespace is made of lower-case letters, digits and '-', 63 characters at most.", 2)
    found = client.find("/robots", robot, "robot")
    if secret_stdin:
        secret = read_secret(f"Secret of {robot}", from_stdin=True)
    else:
        secret = client.call("POST", f"/robots/{found['id']}/rotate", body={"overlap": overlap})["secret"]
    typer.echo(_written(_manifest(found["name"], secret, host, name, namespace), as_json=client.as_json), nl=False)


def _host(registry: str | None, server: str | None) -> str:
    if registry is None and server is None:
        fail("Say with --registry by which host (and port) the cluster reaches the registry.", 2)
    host = registry if registry is not None else urlsplit(server or "").netloc
    if _REGISTRY.fullmatch(host) is None:
        fail("--registry is a host, or host:port, without https:// and without a path.", 2)
    return host


def _manifest(robot: str, secret: str, host: str, name: str, namespace: str) -> dict[str, Any]:
    both = base64.b64encode(f"{robot}:{secret}".encode()).decode()
    config = {"auths": {host: {"username": robot, "password": secret, "auth": both}}}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": TYPE,
        "data": {".dockerconfigjson": base64.b64encode(json.dumps(config).encode()).decode()},
    }


def _written(manifest: dict[str, Any], *, as_json: bool) -> str:
    if as_json:
        return json.dumps(manifest, indent=2) + "\n"
    import yaml

    text: str = yaml.safe_dump(manifest, sort_keys=False, width=10_000)
    return text
