"""`moorage trust`: trust rules, for CI jobs that log in without a secret."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from moorage.cli.client import Client, command, fail

app = typer.Typer(help="Say whose OIDC tokens are as good as a robot's secret.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The rule's name.", show_default=False)]
Issuer = Annotated[str | None, typer.Option(help="The claim `iss`, a URL.", show_default=False)]
Audience = Annotated[str | None, typer.Option(help="What the claim `aud` must hold.", show_default=False)]
Equals = Annotated[list[str] | None, typer.Option(help="CLAIM=VALUE: the claim is this text.", show_default=False)]
Glob = Annotated[
    list[str] | None, typer.Option(help="CLAIM=PATTERN: the claim fits this pattern with *.", show_default=False)
]
Condition = Annotated[
    list[str] | None,
    typer.Option(help='Any condition as JSON: {"claim": ["a", "b"], "one_of": [1, 2]}.', show_default=False),
]

Robot = Annotated[
    str | None,
    typer.Option(help="The rule's robot; needed where several have a rule of that name.", show_default=False),
]

_COLUMNS = ("id", "name", "robot", "issuer", "audience", "disabled", "last_used_at")


@command(app, "create")
def create_rule(
    client: Client,
    *,
    name: Name,
    robot: Annotated[str, typer.Option(help="Who a job is then: PROJECT+NAME.", show_default=False)],
    issuer: Annotated[str, typer.Option(help="The claim `iss`, a URL.", show_default=False)],
    audience: Annotated[str, typer.Option(help="What the claim `aud` must hold.", show_default=False)],
    equals: Equals = None,
    glob: Glob = None,
    condition: Condition = None,
) -> None:
    """Make a rule. All of its conditions must hold."""
    body = {
        "name": name,
        "robot_id": client.find("/robots", robot, "robot")["id"],
        "issuer": issuer,
        "audience": audience,
        "conditions": _conditions(equals, glob, condition),
    }
    _show(client, client.call("POST", "/trust-rules", body=body))


@command(app, "list")
def list_rules(
    client: Client,
    *,
    robot: Annotated[str | None, typer.Option(help="Only those of this robot.", show_default=False)] = None,
    prefix: Annotated[str | None, typer.Option(help="Only names that begin with this.", show_default=False)] = None,
) -> None:
    """Print rules, by name."""
    row = client.find("/robots", robot, "robot")["id"] if robot is not None else None
    client.table(client.items("/trust-rules", {"robot_id": row, "prefix": prefix}), _COLUMNS)


@command(app, "show")
def show_rule(client: Client, *, name: Name, robot: Robot = None) -> None:
    """Print one rule."""
    _show(client, _find(client, name, robot))


@command(app, "change")
def change_rule(
    client: Client,
    *,
    name: Name,
    robot: Robot = None,
    rename: Annotated[str | None, typer.Option(help="Another name.", show_default=False)] = None,
    issuer: Issuer = None,
    audience: Audience = None,
    disabled: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Whether it is off.", show_default=False)
    ] = None,
    equals: Equals = None,
    glob: Glob = None,
    condition: Condition = None,
) -> None:
    """Change a rule. What is not named stays; conditions are replaced by all of those that are named."""
    body: dict[str, Any] = {"name": rename, "issuer": issuer, "audience": audience, "disabled": disabled}
    body["conditions"] = _conditions(equals, glob, condition) or None
    given = {key: value for key, value in body.items() if value is not None}
    if not given:
        fail("Nothing is to be changed; see --help for what can be.", 2)
    _show(client, client.call("PATCH", f"/trust-rules/{_find(client, name, robot)['id']}", body=given))


@command(app, "delete")
def delete_rule(client: Client, *, name: Name, robot: Robot = None) -> None:
    """Remove a rule."""
    rule = _find(client, name, robot)
    client.call("DELETE", f"/trust-rules/{rule['id']}")
    client.done(f"{rule['name']} is gone.")


def _find(client: Client, name: str, robot: str | None) -> dict[str, Any]:
    row = client.find("/robots", robot, "robot")["id"] if robot is not None else None
    return client.find("/trust-rules", name, "trust rule", query={"robot_id": row}, several="Name one with --robot.")


def _show(client: Client, rule: dict[str, Any]) -> None:
    client.show(rule)
    for warning in rule["warnings"]:
        typer.echo(f"moorage: {warning}", err=True)


def _conditions(equals: list[str] | None, glob: list[str] | None, written: list[str] | None) -> list[dict[str, Any]]:
    found = [_simple("equals", each) for each in equals or []] + [_simple("glob", each) for each in glob or []]
    for each in written or []:
        try:
            value = json.loads(each)
        except ValueError:
            fail(f"{each!r} is no JSON.", 2)
        found.append(value if isinstance(value, dict) else fail("A condition is a JSON object.", 2))
    return found


def _simple(operator: str, text: str) -> dict[str, Any]:
    claim, sign, value = text.partition("=")
    if not sign or not claim:
        fail(f"{text!r} is not written CLAIM=VALUE.", 2)
    return {"claim": claim, operator: value}
