"""Reading one value: from the text of a YAML scalar to what its key takes."""

from __future__ import annotations

import ipaddress
import re
import warnings
from collections.abc import Callable
from urllib.parse import urlsplit

from moorage.config.durations import has_unit, parse_duration, parse_size
from moorage.config.findings import shown
from moorage.config.keys import Key, Kind
from moorage.config.tree import Items, Node, Scalar, Table

Labels = dict[str, str]
Headers = tuple[tuple[str, str], ...]
Value = str | int | float | bool | tuple[str, ...] | Labels | Headers

_TRUE = ("true", "yes", "on", "y")
_FALSE = ("false", "no", "off", "n")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0o[0-7_]+)")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_DIGITS = 18  # more would not fit where these numbers go


class WrongValue(Exception):
    """The value is not what the key takes; the text says what was found and what to write."""


def read_value(key: Key, node: Node) -> Value:
    """Return the value of a key that is not a section.

    Texts are stripped of nothing; durations come as seconds, sizes as bytes, headers as (name, value) pairs.
    Raises WrongValue.
    """
    if key.kind in _LISTS:
        return tuple(_LISTS[key.kind](key, text) for text in _texts(key, node))
    if key.kind is Kind.LABELS:
        return {name: _text(key, value) for name, value in _table(key, node).entries.items()}
    if key.kind is Kind.HEADERS:
        return _headers(key, _table(key, node))
    return _SCALARS[key.kind](key, _text(key, node))


def describe(node: Node) -> str:
    """Say what a value is, without saying what it holds."""
    if isinstance(node, Table):
        return "a mapping"
    if isinstance(node, Items):
        return "a list"
    return "nothing" if node.null else "a plain value"


def _text(key: Key, node: Node) -> str:
    if isinstance(node, Scalar):
        return node.text
    raise WrongValue(f"found {describe(node)} where {_wanted(key)} is needed; {_advice(key)}")


def _table(key: Key, node: Node) -> Table:
    if isinstance(node, Table):
        return node
    raise WrongValue(f"found {describe(node)} where a mapping is needed; {_advice(key)}")


def _texts(key: Key, node: Node) -> list[str]:
    if isinstance(node, Scalar):
        # A lone value is read as a list of one: environment variables are often written that way.
        return node.text.split(",") if key.kind is Kind.NETWORKS else [node.text]
    if isinstance(node, Table):
        raise WrongValue(f"found a mapping where a list is needed; {_advice(key)}")
    # An entry with nothing in it is left out: as a regular expression it would match everything.
    return [_text(key, item) for item in node.nodes if not (isinstance(item, Scalar) and item.null)]


def _wanted(key: Key) -> str:
    article = "an" if key.kind is Kind.ADDRESS else "a"
    if key.kind is Kind.WORD:
        return "one of " + ", ".join(key.choices)
    if key.kind is Kind.SIZE:
        return "a number of bytes"
    return key.kind.value if key.kind is Kind.FLAG else f"{article} {key.kind.value}"


def _advice(key: Key) -> str:
    return f"write for example `{key.name}: {key.example}`"


def _wrong(key: Key, text: str, why: str = "") -> WrongValue:
    because = f" ({why})" if why else ""
    found = shown(key.path, text, secret=key.hidden)
    return WrongValue(f"found {found} where {_wanted(key)} is needed{because}; {_advice(key)}")


def _plain(key: Key, text: str) -> str:
    if "\x00" in text:
        raise _wrong(key, "", "it contains a zero byte")
    return text


def _word(key: Key, text: str) -> str:
    if text.lower() not in key.choices:
        raise _wrong(key, text)
    return text.lower()


def _flag(key: Key, text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise _wrong(key, text)


def _count(key: Key, text: str) -> int:
    if not _INTEGER.fullmatch(text) or len(text) > _DIGITS:
        raise _wrong(key, text)
    number = int(text.replace("_", ""), 0)
    _check_least(key, text, number)
    return number


def _size(key: Key, text: str) -> int:
    try:
        number = parse_size(text)
    except ValueError:
        raise _wrong(key, text) from None
    _check_least(key, text, number)
    return number


def _duration(key: Key, text: str) -> float:
    try:
        seconds = parse_duration(text) / 1_000_000_000
    except ValueError as error:
        raise _wrong(key, text, str(error)) from None
    if key.unit_required and not has_unit(text):
        raise _wrong(key, text, f"without a unit that would be nanoseconds; perhaps `{text}s` or `{text}h`")
    _check_least(key, text, seconds)
    return seconds


def _check_least(key: Key, text: str, number: float) -> None:
    if key.least is not None and number < key.least:
        unit = {Kind.DURATION: "s", Kind.SIZE: " bytes"}.get(key.kind, "")
        found = shown(key.path, text, secret=key.hidden)
        raise WrongValue(f"found {found}, and the least that is allowed is {key.least:g}{unit}; {_advice(key)}")


def _url(key: Key, text: str) -> str:
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound:
        raise _wrong(key, text, "it must begin with https:// or http:// and a host name")
    return text


def _pattern(key: Key, text: str) -> str:
    why = ""
    if re.search(r"\[\[:\^?[a-z]+:\]", text):
        why = "named classes such as [[:alpha:]] are not available; write [A-Za-z]"
    else:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                re.compile(text)
        except (re.error, RecursionError, OverflowError) as error:
            reason = error.msg if isinstance(error, re.error) else "too large"
            why = f"{reason}; Python's syntax is used, which has no \\pL, \\z or \\Q"
    if why:
        raise WrongValue(f"cannot read the regular expression {shown(key.path, text, secret=key.hidden)} ({why})")
    return text


def _network(key: Key, text: str) -> str:
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        found = shown(key.path, text, secret=key.hidden)
        raise WrongValue(f"{found} is not a network; {_advice(key)}, with /32 for a single address") from None


def _headers(key: Key, table: Table) -> Headers:
    pairs: list[tuple[str, str]] = []
    for name, node in table.entries.items():
        if not _HEADER_NAME.fullmatch(name):
            raise WrongValue("found a name that no header may have; only letters, digits and -_. are usual")
        # Go's http.Header spells names this way, whatever the file says.
        spelled = "-".join(part.capitalize() for part in name.split("-"))
        for value in _texts(key, node):
            if not _HEADER_VALUE.fullmatch(value) or not value.isascii():
                raise WrongValue(f"a value of {spelled} has characters that no header may have, such as a newline")
            pairs.append((spelled, value.strip()))
    return tuple(pairs)


_SCALARS: dict[Kind, Callable[[Key, str], Value]] = {
    Kind.TEXT: _plain,
    Kind.PATH: _plain,
    Kind.ADDRESS: _plain,
    Kind.WORD: _word,
    Kind.FLAG: _flag,
    Kind.COUNT: _count,
    Kind.SIZE: _size,
    Kind.DURATION: _duration,
    Kind.URL: _url,
}
_LISTS: dict[Kind, Callable[[Key, str], str]] = {
    Kind.TEXTS: _plain,
    Kind.PATTERNS: _pattern,
    Kind.NETWORKS: _network,
}
