"""The reference page of the configuration, made from the table.

`python -m moorage.config.document docs/reference/configuration.md` writes it; without a file it is printed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from moorage.config.keys import Key, Kind, Source, Status
from moorage.config.table import TABLE

_INTRODUCTION = """\
<!-- Made by `python -m moorage.config.document docs/reference/configuration.md`; edit the table in
src/moorage/config/keys_*.py instead of this page. -->

# Configuration

`moorage serve` needs no configuration. `moorage serve config.yml` reads a YAML file with the keys of
Distribution's own `config.yml`, versions 2 and 3, so that an existing file works as it is, and a few keys
of Moorage beside them.

`moorage config check config.yml` says what the file asks for that has no effect, is outdated or wrong,
line by line, and ends with status 1 when the program would not start with it. `moorage config schema`
prints a JSON Schema, which editors complete and check with.

## Rules

- **What wins**: an option of the command line, then the environment, then the file, then the default.
- **Environment**: `REGISTRY_` and the path of the key in upper case, joined by `_`:
  `REGISTRY_HTTP_TLS_CERTIFICATE=/certs/tls.crt`. A number is a position in a list, counted from 0:
  `REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME=hook`, `REGISTRY_HTTP_HEADERS_X-Frame-Options_0=DENY`. The value
  is read as YAML, so `[a, b]` is a list.
  Variables apply in the order of their names; `REGISTRY_STORAGE=filesystem` replaces the whole section of
  the file, and `REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY` then sets one key in it.
  `REGISTRY_CONFIGURATION_PATH` names the file when the command line names none.
- **Upper and lower case** of keys are the same, and so are those of words such as `info`.
- **Durations** are Go's: `1h30m`, `500ms`. A number without a unit counts nanoseconds, as in
  Distribution; where that would be dangerous it is refused.
- **Unknown keys** are reported, with their line, and have no effect. Two exceptions: an unknown storage
  driver and an unknown kind of `auth` are errors, because the default in their place would lose data or
  open the door. Which keys stop the start, and why no others, is
  [decision 7](../adr/0007-keys-that-stop-the-start.md).
- **A key given twice** is reported. Two sections of the same name are read together; of anything else the
  last one counts.
- **Regular expressions** have Python's syntax and match anywhere in the text unless they are anchored.
- **Secrets** are never part of what is reported.

Without a file, `storage.delete.enabled` is true. With a file that does not mention it, it is false, as in
Distribution.

## Findings

| severity | meaning |
|---|---|
| error | The program does not start with this. |
| warning | It starts, and something is not as written. |
| info | Good to know; nothing is lost. |

## Keys

What becomes of a key: **honoured**, it does what it says; **mapped**, it takes effect in another way;
**ignored**, it has no effect, which is reported with the advice given here; **not yet**, an error,
because starting without it would be unsafe or wrong. Keys that are only in Distribution 2 or 3, or are
Moorage's own, say so.
"""


def page() -> str:
    """Return the whole page, in Markdown."""
    return _INTRODUCTION + "".join(f"\n{line}" if line.startswith("###") else line for line in _lines())


def _lines() -> Iterator[str]:
    section = None
    for key in sorted(TABLE, key=_position):
        top = key.path.partition(".")[0]
        if top != section:
            section = top
            yield f"### `{top}`\n\n| key | value | default | |\n|---|---|---|---|\n"
        yield _row(key)


def _position(key: Key) -> int:
    """Keep the order of the table, with everything of one top-level key together."""
    top = key.path.partition(".")[0]
    return next(index for index, other in enumerate(TABLE) if other.path.partition(".")[0] == top)


def _row(key: Key) -> str:
    cells = (f"`{key.path}`", _value(key), key.default, _effect(key))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _value(key: Key) -> str:
    words = f"{key.kind.value} " + ", ".join(f"`{choice}`" for choice in key.choices)
    words = words.strip() if key.choices else key.kind.value
    least = f", at least {key.least:g}{' s' if key.kind is Kind.DURATION else ''}" if key.least else ""
    example = f"; `{key.example}`" if key.example and key.kind not in (Kind.FLAG, Kind.WORD) else ""
    return words + least + example


def _effect(key: Key) -> str:
    status = "" if key.status is Status.HONOURED else f"**{key.status.value}** "
    source = "" if key.source is Source.BOTH else f" ({key.source.value})"
    return f"{status}{key.note}{source}".strip()


def main(arguments: list[str]) -> None:
    """Write the page to the file named, or print it."""
    if arguments:
        Path(arguments[0]).write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())


if __name__ == "__main__":
    main(sys.argv[1:])
