"""What there is to say about a configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]

_SECRET_NAME = re.compile(
    r"pass|secret|key|token|credential|licen[cs]e|authorization|header|cookie|signature|database|dsn",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"://[^/\s]*@")
_LONGEST_SHOWN = 60
_LONGEST_KEY = 200


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was written: a line of the file (from 1), or an environment variable."""

    line: int | None = None
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark.

    line: line of the file, from 1; None when the remark is not about a line of it.
    key: path of the key, such as `http.tls.minimumtls`; "" for the file as a whole.
    severity: "error" (the program does not start with this), "warning" (it starts, and something is not as
        written), "info" (good to know, nothing is lost).
    message: what was found and what to do; never the value of a secret.
    variable: the environment variable that the value came from, or "".
    """

    line: int | None
    key: str
    severity: Severity
    message: str
    variable: str = ""


class Report:
    """Gathers findings; the order of the file, then the environment, then the rest."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []

    def add(self, severity: Severity, key: str, message: str, origin: Origin | None = None) -> None:
        """Remember one remark about `key`, written at `origin`; the same remark twice counts once."""
        where = origin or Origin()
        name = key if key.isprintable() and len(key) <= _LONGEST_KEY else ascii(key)[1:_LONGEST_KEY]
        finding = Finding(where.line, name, severity, message, where.variable)
        if finding not in self._findings:
            self._findings.append(finding)

    def error(self, key: str, message: str, origin: Origin | None = None) -> None:
        """Remember something that the program must not start with."""
        self.add("error", key, message, origin)

    def warning(self, key: str, message: str, origin: Origin | None = None) -> None:
        """Remember something that is not as it was written."""
        self.add("warning", key, message, origin)

    def info(self, key: str, message: str, origin: Origin | None = None) -> None:
        """Remember something that is good to know."""
        self.add("info", key, message, origin)

    @property
    def has_errors(self) -> bool:
        """Whether there is a finding that the program must not start with."""
        return any(finding.severity == "error" for finding in self._findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(sorted(self._findings, key=_position))


def _position(finding: Finding) -> tuple[bool, int, str]:
    return finding.line is None, finding.line or 0, finding.variable


def is_secret(path: str) -> bool:
    """Tell whether the value at this key may be a secret, going by the names in its path."""
    return _SECRET_NAME.search(path) is not None


def shown(path: str, text: str, *, secret: bool) -> str:
    """Return how a message may quote the value `text` of the key `path`.

    Values of keys whose name or table row speaks of a secret, and URLs with a user in them, are hidden;
    long texts are cut.
    """
    if secret or is_secret(path) or _USERINFO.search(text):
        return "a value that is not shown here"
    if len(text) > _LONGEST_SHOWN:
        text = text[: _LONGEST_SHOWN - 3] + "..."
    return repr(text)
