"""What the commands that manage something have in common: a client of the management API.

With `--server URL` it is a server's; without, the same API is run in this process over the local root, as the system
itself. Whoever can read and write the root may do everything.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, get_type_hints
from urllib.parse import parse_qsl, urlsplit

import typer

if TYPE_CHECKING:
    import httpx

PREFIX = "/api/v1"
PAGE = 500
"""Objects that a list asks for at a time."""

SECONDS = 60.0
"""How long a server may take for an answer."""

_NOT_READ = "MOORAGE_PASSWORD is not read; use --password-stdin, or type the password when asked."

Server = Annotated[
    str | None,
    typer.Option(
        envvar="MOORAGE_SERVER", help="Address of a server; without, the local root is used.", show_default=False
    ),
]
User = Annotated[
    str | None,
    typer.Option(envvar="MOORAGE_USER", help="Who asks the server; the password is prompted for.", show_default=False),
]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read it, or a token, from standard input.")]
Config = Annotated[
    Path | None, typer.Option(help="The local registry's YAML file, as `moorage serve` takes it.", show_default=False)
]
Root = Annotated[Path | None, typer.Option(help="The local registry's root directory.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print what the API answers, for programs.")]


class Failed(typer.Exit):
    """A command ends because what it was to do cannot be done; why was said."""


def fail(sentence: str, status: int = 1) -> NoReturn:
    """Say what is wrong on standard error and end.

    Args:
        sentence: for people.
        status: 1 for a refusal, 2 for a command line that makes no sense.

    Raises:
        Failed: always.
    """
    typer.echo(f"moorage: {sentence}", err=True)
    raise Failed(status)


class Client:
    """One connection to the API, for the length of a command.

    Attributes:
        as_json: whether the user wants JSON.
    """

    def __init__(self, runner: asyncio.Runner, link: httpx.AsyncClient, where: str, *, as_json: bool) -> None:
        self._runner = runner
        self._link = link
        self._where = where
        self.as_json = as_json

    @property
    def address(self) -> str | None:
        """The server's address; None for the local registry."""
        return self._where if self._where.startswith(("http://", "https://")) else None

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The JSON that the API answers; None where it answers nothing. A problem ends the command with its sentence.

        Args:
            method: such as GET.
            path: behind `/api/v1`, such as `/users/3`.
            query: parameters; those that are None are left out.
            body: sent as JSON where not None.
            headers: such as `If-Match`.
        """
        return self._json(self._ask(method, path, query, body, headers))

    def items(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """All objects of a list, page after page."""
        asked: Mapping[str, Any] = {"n": PAGE, **(query or {})}
        while True:
            answer = self._ask("GET", path, asked, None, None)
            yield from self._json(answer)["items"]
            following = answer.links.get("next", {}).get("url")
            if following is None:
                return
            asked = dict(parse_qsl(urlsplit(following).query))

    def find(
        self, path: str, name: str, what: str, *, query: Mapping[str, Any] | None = None, several: str = ""
    ) -> dict[str, Any]:
        """The object of a list that has this name (`?name=`); none ends the command.

        Args:
            path: of the list.
            name: in full.
            what: the kind of object, for the sentence.
            query: more that the list is asked by.
            several: how to choose where there are several of that name.
        """
        found: list[dict[str, Any]] = self.call("GET", path, query={"name": name, **(query or {})})["items"]
        if not found:
            fail(f"There is no {what} {name}, or it is not yours to see.")
        if several and len(found) > 1:
            fail(f"There are {len(found)} of the name {name}. {several}")
        return found[0]

    def show(self, value: Mapping[str, Any]) -> None:
        """Print one object."""
        if self.as_json:
            typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
            return
        width = max((len(name) for name in value), default=0)
        for name, each in value.items():
            typer.echo(f"{name.replace('_', ' '):<{width}}  {written(name, each)}".rstrip())

    def table(self, items: Iterator[dict[str, Any]], columns: tuple[str, ...]) -> None:
        """Print objects, one a line; as JSON all of their members.

        Args:
            items: the objects.
            columns: members to be shown.
        """
        if self.as_json:
            typer.echo(json.dumps(list(items), indent=2, ensure_ascii=False))
            return
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column.replace("_", " "), overflow="fold")
        for item in items:
            table.add_row(*(Text(written(column, item.get(column))) for column in columns))
        # What is piped into another program is not broken into lines.
        Console(width=None if sys.stdout.isatty() else 1000, highlight=False).print(table)

    def done(self, sentence: str) -> None:
        """Say that something was done, to people only."""
        if not self.as_json:
            typer.echo(sentence)

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: Any,
        headers: Mapping[str, str] | None,
    ) -> httpx.Response:
        import httpx

        given = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            return self._runner.run(
                self._link.request(
                    method, f"{PREFIX}{path}", params=given or None, json=body, headers=dict(headers or {})
                )
            )
        except httpx.HTTPError as error:
            fail(f"{self._where} does not answer: {str(error) or type(error).__name__}")

    def _json(self, answer: httpx.Response) -> Any:
        if answer.status_code < 300:
            return answer.json() if answer.content else None
        try:
            problem = answer.json()
            sentence = str(problem["detail"])
        except (ValueError, KeyError, TypeError):
            fail(f"{self._where} answered {answer.status_code}, and not as the API of a registry does.")
        for place in problem.get("errors", ()):
            sentence += f"\n  {place.get('place', '')}: {place.get('message', '')}"
        if answer.status_code == 401 and "authorization" not in answer.request.headers:
            sentence += " Say who you are with --user; a password or token is read with --password-stdin."
        fail(sentence)


def written(name: str, value: Any) -> str:
    """A value for people: times as such, lists with commas."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and (name == "at" or name.endswith(("_at", "_since", "_from"))):
        return value[:19].replace("T", " ")  # RFC 3339, in UTC
    if isinstance(value, list):
        return ", ".join(written("", each) for each in value)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def moment(text: str | None) -> str | None:
    """A time as people write it, as the API takes it."""
    from datetime import UTC, datetime

    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text!r} is no time; write 2026-01-31 or 2026-01-31T12:00:00.", 2)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()


def command(app: typer.Typer, name: str, *, failure: int = 1) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command of the API: it gets a `Client` first, and the command the options that say of what.

    Args:
        app: the group.
        name: of the command.
        failure: the status where the API refuses or does not answer; another than 1 where 1 is an answer.
    """

    def made(function: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        own = [
            each.replace(annotation=hints[each.name], kind=inspect.Parameter.KEYWORD_ONLY)
            for each in list(inspect.signature(function).parameters.values())[1:]
        ]
        common = inspect.signature(connected).parameters.values()
        known = get_type_hints(connected, include_extras=True)
        added = [each.replace(annotation=known[each.name]) for each in common]

        @functools.wraps(function)
        def run(**given: Any) -> None:
            try:
                with connected(**{each.name: given.pop(each.name) for each in added}) as client:
                    function(client, **given)
            except Failed as failed:
                raise typer.Exit(max(failed.exit_code, failure)) from None

        run.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in [*own, *added]}
        del run.__wrapped__
        app.command(name)(run)
        return function

    return made


@contextmanager
def connected(
    *,
    server: Server = None,
    user: User = None,
    password_stdin: PasswordStdin = False,
    config: Config = None,
    root: Root = None,
    as_json: AsJson = False,
) -> Iterator[Client]:
    """A client for the length of a `with`."""
    if server is not None and (config is not None or root is not None):
        fail("--server asks a server; --config and --root name a local registry. Give one or the other.", 2)
    with asyncio.Runner() as runner:
        if server is not None:
            link = _remote(server, user, from_stdin=password_stdin)
            try:
                yield Client(runner, link, server, as_json=as_json)
            finally:
                runner.run(link.aclose())
        else:
            with _local(runner, config, root) as link:
                yield Client(runner, link, "The local registry", as_json=as_json)


def read_secret(prompt: str, *, from_stdin: bool, twice: bool = False) -> str:
    """A secret from standard input (its first line), or typed where a person sits there; never from the command line.

    Args:
        prompt: what to ask for.
        from_stdin: the user said that it comes there.
        twice: have it typed twice, for a new one.
    """
    if from_stdin:
        found = sys.stdin.readline().rstrip("\r\n")
        return found or fail("There is nothing on standard input.", 2)
    if not sys.stdin.isatty():
        fail(f"{prompt} is needed, and nobody is here to type it; give it on standard input.", 2)
    typed: str = typer.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True)
    return typed


def _remote(server: str, user: str | None, *, from_stdin: bool) -> httpx.AsyncClient:
    import httpx

    _check_address(server)
    if "MOORAGE_PASSWORD" in os.environ:
        typer.echo(f"moorage: {_NOT_READ}", err=True)
    password = read_secret("Password", from_stdin=from_stdin) if user or from_stdin else None
    headers, auth = {"accept": "application/json"}, None
    if user and password is not None:
        auth = httpx.BasicAuth(user, password)
    elif password is not None:
        headers["authorization"] = f"Bearer {password}"  # a token tells by itself whose it is
    return httpx.AsyncClient(base_url=server.rstrip("/"), headers=headers, auth=auth, timeout=SECONDS)


def _check_address(server: str) -> None:
    """End where it is none, or has a password in it: what is in a command line others can read."""
    try:
        parts = urlsplit(server)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        fail("--server is an address such as https://registry.example.com.", 2)
    if parts.username is not None or parts.password is not None:
        fail("--server takes no name or password; name yourself with --user, and give the password when asked.", 2)


@contextmanager
def _local(runner: asyncio.Runner, config: Path | None, root: Path | None) -> Iterator[httpx.AsyncClient]:
    """The API in this process, over the root that the configuration names."""
    import httpx

    from moorage.app.local import NoRegistry, local_api
    from moorage.config import Overrides, load
    from moorage.telemetry.logs import configure
    from moorage.telemetry.settings import LogSettings

    configure(LogSettings(level="error"))  # to standard error: what is printed may be read by a program
    loaded = load(config, os.environ, Overrides(root=root))
    if loaded.errors:
        first = loaded.errors[0]
        fail(f"{first.key}: {first.message}" if first.key else first.message)
    try:
        api = local_api(loaded.settings)
    except NoRegistry as error:
        fail(str(error))
    runner.run(api.start())
    transport = httpx.ASGITransport(api.application, raise_app_exceptions=False)
    link = httpx.AsyncClient(transport=transport, base_url="http://local")
    try:
        yield link
    finally:
        runner.run(link.aclose())
        runner.run(api.close())
