"""The reference page of the command line, made from the commands themselves.

`python -m moorage.cli.document docs/reference/cli.md` writes it; without a file it is printed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from typer.main import get_command

_INTRODUCTION = """\
<!-- Made by `python -m moorage.cli.document docs/reference/cli.md`; edit the commands in src/moorage/cli instead of
this page. -->

# Command line

`moorage COMMAND --help` says the same on the spot. Options win over the environment, the environment over the file;
what only a file can say is in [configuration.md](configuration.md).

| status | meaning |
|---|---|
| 0 | Done; for `serve`: ended by SIGTERM or SIGINT. |
| 1 | Refused, with the reason on standard error: a wrong configuration, an address that is taken, no database. |
| 2 | The command line itself cannot be understood; for `access explain`: there is no answer, whatever the reason. |

| signal to `moorage serve` | effect |
|---|---|
| SIGTERM, SIGINT | No new connections; running requests get `http.draintimeout` to end; then the program ends. |
| SIGHUP | Workers are replaced one by one, each after its running requests. The configuration is not read again. |

| variable | effect |
|---|---|
| `MOORAGE_ROOT` | The root directory where neither `--root` nor the file names one. |
| `MOORAGE_SERVER` | The server that commands of the management API ask; without, they work on the local root. |
| `MOORAGE_USER` | Who asks it. The password is typed, or read with `--password-stdin`; a token needs no user. |
| `REGISTRY_CONFIGURATION_PATH` | The configuration file where the command line names none. |
| `REGISTRY_...` | Any key of the configuration, see [configuration.md](configuration.md#rules). |
"""

_VALUES = {Path: "PATH", int: "NUMBER", str: "TEXT"}


def page() -> str:
    """Return the whole page, in Markdown."""
    from moorage.cli import app

    return _INTRODUCTION + "".join(_sections(get_command(app), "moorage"))


def _sections(command: Any, name: str) -> Iterator[str]:
    """One command with its arguments and options, then its commands."""
    inner = getattr(command, "commands", {})
    usage = " ".join([name, "[OPTIONS]", *(_place(each) for each in command.params if _is_argument(each))])
    yield f"\n## `{name}`\n\n{_text(command.help)}\n\n```\n{usage}{' COMMAND ...' if inner else ''}\n```\n"
    rows = [_row(each) for each in command.params if not each.hidden]
    if rows:
        yield "\n| | value | default | |\n|---|---|---|---|\n" + "".join(rows)
    for key, each in inner.items():
        yield from _sections(each, f"{name} {key}")


def _is_argument(parameter: Any) -> bool:
    return str(parameter.param_type_name) == "argument"


def _place(argument: Any) -> str:
    name = str(argument.name).upper()
    return name if argument.required else f"[{name}]"


def _row(parameter: Any) -> str:
    spelled = [_place(parameter)] if _is_argument(parameter) else [*parameter.opts, *parameter.secondary_opts]
    cells = (", ".join(f"`{each}`" for each in spelled), _value(parameter), _default(parameter), _text(parameter.help))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _value(parameter: Any) -> str:
    if getattr(parameter, "is_flag", False):
        return ""
    kind = parameter.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{each.value}`" for each in kind)
    bounds = [word for limit, word in ((parameter.min, "at least"), (parameter.max, "at most")) if limit is not None]
    limits = [limit for limit in (parameter.min, parameter.max) if limit is not None]
    said = "".join(f", {word} {limit}" for word, limit in zip(bounds, limits, strict=True))
    return f"{_VALUES.get(kind, 'TEXT')}{said}"


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    found = parameter.default
    if getattr(parameter, "is_flag", False):
        return f"`{parameter.opts[0]}`" if found and parameter.secondary_opts else ""
    return f"`{found.value if isinstance(found, Enum) else found}`" if found is not None else ""


def _text(help_text: str | None) -> str:
    return (help_text or "").strip()


def main(arguments: list[str]) -> None:
    """Write the page to the file named, or print it."""
    if arguments:
        Path(arguments[0]).write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())


if __name__ == "__main__":
    main(sys.argv[1:])
