"""How users, groups and robots may be called.

A robot's name tells its project: `team/app+deploy` belongs to `team/app`, `+backup` to the system. `+` is in no user
name and in no repository name, so that the three are never taken for one another.
"""

from __future__ import annotations

import re

from moorage.core.errors import Invalid
from moorage.core.names import parse_name

MAX_USER, MAX_GROUP, MAX_ROBOT = 64, 128, 64
"""Characters; of a robot without its project."""

RESERVED = frozenset({"anonymous", "authenticated", "oauth2accesstoken", "system"})
"""Words that mean somebody else where names are written: in grants, in the audit log, at a login."""

_WORD = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", re.ASCII)


def parse_user_name(text: str) -> str:
    """A user name in lower case.

    Raises:
        Invalid: outside the grammar, too long, or reserved.
    """
    name = text.lower()
    if len(name) > MAX_USER or _WORD.fullmatch(name) is None:
        raise Invalid(
            "A user name is made of letters and digits joined by single '.', '_' or '-', "
            f"{MAX_USER} characters at most."
        )
    if name in RESERVED:
        raise Invalid(f"The user name {name!r} is reserved; choose another one.")
    return name


def parse_group_name(text: str) -> str:
    """A group name without blanks around it.

    Raises:
        Invalid: empty, too long, or with control characters.
    """
    name = text.strip()
    if not name or len(name) > MAX_GROUP or not name.isprintable():
        raise Invalid(f"A group name has 1 to {MAX_GROUP} printable characters.")
    return name


def parse_robot_name(text: str) -> str:
    """A robot's full name, `<project>+<name>` or `+<name>`.

    Raises:
        Invalid, NameInvalid: outside the grammar.
    """
    project, plus, name = text.rpartition("+")
    if not plus or len(name) > MAX_ROBOT or _WORD.fullmatch(name) is None:
        raise Invalid(
            "A robot is called PROJECT+NAME, or +NAME for one of the system; NAME is made of lower-case letters and "
            f"digits joined by single '.', '_' or '-', {MAX_ROBOT} characters at most."
        )
    return f"{parse_name(project) if project else ''}+{name}"


def project_of(robot: str) -> str:
    """The project that a robot's full name tells; empty for one of the system."""
    return robot.rpartition("+")[0]
