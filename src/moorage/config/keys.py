"""The vocabulary of the table of keys: what a row says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from moorage.config.findings import Severity, is_secret


class Kind(StrEnum):
    """What kind of value a key takes; the value is the word that the documentation uses."""

    TEXT = "text"
    PATH = "path"
    WORD = "one of"
    FLAG = "true or false"
    COUNT = "whole number"
    SIZE = "bytes"
    DURATION = "duration"
    ADDRESS = "address"
    URL = "URL"
    TEXTS = "list of texts"
    PATTERNS = "list of regular expressions"
    NETWORKS = "list of networks"
    LABELS = "names and texts"
    HEADERS = "header names and values"
    SECTION = "section"
    ENTRIES = "list of sections"
    ANY = "anything"


# Kinds that take any text as it stands; an empty one is the same as none.
TEXTUAL = (Kind.TEXT, Kind.PATH, Kind.ADDRESS, Kind.URL, Kind.WORD)


class Status(StrEnum):
    """What becomes of a key; the value is the word that the documentation uses."""

    HONOURED = "honoured"  # does what its own documentation says
    MAPPED = "mapped"  # takes effect in another way, which the note explains
    IGNORED = "ignored"  # no effect; a finding says what to do instead
    UNAVAILABLE = "not yet"  # no effect, and starting without it would be wrong or unsafe: an error


class Source(StrEnum):
    """Whose key it is."""

    BOTH = "Distribution 2 and 3"
    V2 = "Distribution 2"
    V3 = "Distribution 3"
    OWN = "Moorage"
    FOREIGN = "no registry's, but seen in the wild"


@dataclass(frozen=True, slots=True)
class Key:
    """One row of the table.

    path: names joined by dots; `[]` after a name means "of each entry of this list".
    kind: what kind of value it takes.
    note: for a key that has an effect, what that is; for one that has none, what to do instead. The second
        is shown to the user as a finding, so it is a whole sentence.
    example: a value, as it is written in YAML.
    default: what counts when the key is absent, for the documentation; "" when that needs no words.
    status, source: see there.
    choices: the words allowed, for `Kind.WORD`; upper and lower case are the same.
    least: smallest value: of a count, of a size in bytes, of a duration in seconds.
    unit_required: refuse a duration without a unit instead of reading it as nanoseconds.
    shorthand: a section that holds exactly one of several alternatives, whose bare name may stand for it.
    severity: how loudly to report that the key is there; None for the usual one of its status.
    secret: never show the value.
    """

    path: str
    kind: Kind
    note: str = ""
    example: str = ""
    default: str = ""
    status: Status = Status.HONOURED
    source: Source = Source.BOTH
    choices: tuple[str, ...] = ()
    least: float | None = None
    unit_required: bool = False
    shorthand: bool = False
    severity: Severity | None = None
    secret: bool = False

    @property
    def name(self) -> str:
        """The last name of the path, without `[]`."""
        return self.path.rpartition(".")[2].removesuffix("[]")

    @property
    def parent(self) -> str:
        """The path of the section that the key belongs to; "" for the top."""
        return self.path.rpartition(".")[0].removesuffix("[]")

    @property
    def variable(self) -> str:
        """The environment variable that sets it; the first entry of each list stands for all."""
        return "REGISTRY_" + re.sub(r"[.]", "_", self.path.replace("[]", ".0")).upper()

    @property
    def hidden(self) -> bool:
        """Whether the value must not be shown."""
        return self.secret or is_secret(self.path)

    @property
    def loudness(self) -> Severity | None:
        """How to report that the key is there; None when there is nothing to say.

        A row without a note shares the fate of another one, which speaks for it.
        """
        if not self.note:
            return None
        if self.severity is not None:
            return self.severity
        if self.status is Status.UNAVAILABLE:
            return "error"
        return "warning" if self.status is Status.IGNORED else None


Leaf = tuple[str, Kind, str]


def parts(section: Key, *leaves: Leaf, source: Source | None = None) -> tuple[Key, ...]:
    """Return a section without effect together with its leaves, which share its fate and its advice.

    leaves: (path below the section, kind, example); sections between must come before what they hold.
    source: of the leaves, when it is not the section's.
    """
    prefix = section.path + ("[]." if section.kind is Kind.ENTRIES else ".")
    return (
        section,
        *(
            Key(
                prefix + path,
                kind,
                example=example,
                status=section.status,
                source=source or section.source,
                severity=section.severity,
            )
            for path, kind, example in leaves
        ),
    )
