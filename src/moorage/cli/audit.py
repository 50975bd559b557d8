"""`moorage audit`: what happened, and whether the record of it is whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from moorage.cli.client import Client, command, moment

app = typer.Typer(help="Read the audit log, export it, and check that it was not changed.", no_args_is_help=True)

Actor = Annotated[str | None, typer.Option(help="Only what this user or robot did.", show_default=False)]
Action = Annotated[
    str | None, typer.Option(help="Only this; with a dot at the end, all that begins so.", show_default=False)
]
Outcome = Annotated[str | None, typer.Option(help="ok, refused or failed.", show_default=False)]
Kind = Annotated[
    str | None, typer.Option(help="Only what was done to such: repository, user, project, ...", show_default=False)
]
Target = Annotated[str | None, typer.Option(help="Its name; needs --kind.", show_default=False)]
Since = Annotated[
    str | None, typer.Option(help="From this time on (2026-01-31, or with T12:00:00), in UTC.", show_default=False)
]
Until = Annotated[str | None, typer.Option(help="Before this time.", show_default=False)]
Project = Annotated[
    str | None, typer.Option(help="Only what belongs to this project; needed by who is no admin.", show_default=False)
]

_COLUMNS = ("at", "actor", "action", "outcome", "target_kind", "target", "address", "credential")


@command(app, "list")
def list_audit(
    client: Client,
    *,
    actor: Actor = None,
    action: Action = None,
    outcome: Outcome = None,
    kind: Kind = None,
    target: Target = None,
    since: Since = None,
    until: Until = None,
    project: Project = None,
    most: Annotated[int, typer.Option("--most", "-n", min=1, help="How many entries.")] = 50,
) -> None:
    """Print entries, the newest first."""
    query = _query(client, actor, action, outcome, kind, target, since, until, project)
    client.table(_first(client.items("/audit", {**query, "n": min(most, 1000)}), most), _COLUMNS)


@command(app, "export")
def export_audit(
    client: Client,
    *,
    actor: Actor = None,
    action: Action = None,
    outcome: Outcome = None,
    kind: Kind = None,
    target: Target = None,
    since: Since = None,
    until: Until = None,
    project: Project = None,
) -> None:
    """Print all entries as JSON lines, the oldest first."""
    query = _query(client, actor, action, outcome, kind, target, since, until, project)
    for entry in client.items("/audit", {**query, "order": "oldest", "n": 1000}):
        whole = {name: value for name, value in entry.items() if value not in (None, "", {})}
        typer.echo(json.dumps(whole, ensure_ascii=False, separators=(",", ":")))


@command(app, "verify")
def verify_audit(
    client: Client,
    *,
    sequence: Annotated[
        int | None, typer.Option(help="An entry whose hash you kept elsewhere.", show_default=False)
    ] = None,
    hash_: Annotated[str | None, typer.Option("--hash", help="That hash.", show_default=False)] = None,
) -> None:
    """Go through the chain and say what was changed, removed or added; ends with status 1 where something was."""
    verdict = client.call("GET", "/audit/verify", query={"sequence": sequence, "hash": hash_})
    if client.as_json:
        client.show(verdict)
    else:
        for sentence in _sentences(verdict):
            typer.echo(sentence)
    if not verdict["intact"]:
        raise typer.Exit(1)


def _sentences(verdict: dict[str, Any]) -> Iterator[str]:
    if verdict["checked"]:
        yield f"{verdict['checked']} entries, {verdict['first']} to {verdict['last']}"
        yield f"hash of the last one: {verdict['hash']}"
    else:
        yield "no entries are sealed yet"
    if verdict["removed"]:
        yield f"{verdict['removed']} older ones were removed by retention, up to {verdict['anchor']}"
    if verdict["waiting"]:
        yield f"{verdict['waiting']} are not sealed yet"
    for finding in verdict["findings"]:
        yield f"WRONG: {finding['sentence']}"
    yield "the chain is whole" if verdict["intact"] else f"{verdict['wrong']} things are wrong"


def _first(items: Iterator[dict[str, Any]], most: int) -> Iterator[dict[str, Any]]:
    for number, item in enumerate(items):
        if number >= most:
            return
        yield item


def _query(client: Client, *given: str | None) -> dict[str, Any]:
    actor, action, outcome, kind, target, since, until, project = given
    return {
        "actor": actor,
        "action": action,
        "outcome": outcome,
        "target_kind": kind,
        "target": target,
        "since": moment(since),
        "until": moment(until),
        "project": client.find("/projects", project, "project")["id"] if project is not None else None,
    }
