"""What several use cases of accounts ask of their caller, and of the values they are given."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from moorage.core.errors import Denied, Invalid, PreconditionFailed

if TYPE_CHECKING:
    from moorage.core.access import Caller

MAX_DESCRIPTION = 1024
MAX_EMAIL = 254
"""Characters (RFC 5321 section 4.5.3.1.3: a path of 256 with its angle brackets)."""


class Keep(Enum):
    """Stands where a value is to stay as it is and None already means something."""

    KEEP = "keep"


KEEP = Keep.KEEP


def is_system_admin(caller: Caller) -> bool:
    """Whether the caller may do everything on the system. A token that narrows its owner's rights takes that away."""
    return caller.identity.admin and caller.identity.scopes is None


def check_system_admin(caller: Caller) -> None:
    """Let only system admins pass.

    Raises:
        Denied: anybody else, and an admin with a token of limited scopes.
    """
    if not is_system_admin(caller):
        raise Denied("Only an admin of the system may do this, with a password, a session or a token without scopes.")


def is_oneself(caller: Caller, user_id: int) -> bool:
    """Whether the caller is that user."""
    return caller.identity.kind == "user" and caller.identity.id == user_id != 0


def check_own_credential(caller: Caller) -> None:
    """Let pass who proved to be the person itself; a token must not make itself live longer or reach further.

    Raises:
        Denied: the caller used a personal access token.
    """
    if caller.identity.scopes is not None or caller.identity.credential.startswith("pat:"):
        raise Denied("A personal access token cannot do this; log in with your password or your provider.")


def check_unlimited(caller: Caller) -> None:
    """Keep tokens of limited scopes from making credentials that are not limited.

    Raises:
        Denied: the caller used such a token.
    """
    if caller.identity.scopes is not None:
        raise Denied("A personal access token with scopes cannot do this; use one without, or log in.")


def check_hands_out(caller: Caller) -> None:
    """Let pass who may make robots, grants and trust rules at all, where the place is theirs: no robot may.

    A robot that could would make what outlives it, or is more than it is: its end, its rotation and its role would mean
    nothing.

    Raises:
        Denied: a robot asks, or somebody with a token of limited scopes.
    """
    check_unlimited(caller)
    if caller.identity.kind == "robot":
        raise Denied("A robot makes and changes no robots, grants or trust rules, itself included; a person does that.")


def check_version(expected: int | None, current: int) -> None:
    """Refuse a change that was decided on by looking at an older version.

    Raises:
        PreconditionFailed: `expected` is given and is not the current version.
    """
    if expected is not None and expected != current:
        raise PreconditionFailed(
            "It was changed meanwhile; read it again and decide anew.", detail={"version": current}
        )


def checked_description(text: str) -> str:
    """A description, if it may be one.

    Raises:
        Invalid: too long, or with control characters other than line ends.
    """
    if len(text) > MAX_DESCRIPTION or not text.replace("\n", "").isprintable():
        raise Invalid(f"A description has at most {MAX_DESCRIPTION} characters, and no control characters.")
    return text


def checked_email(text: str) -> str:
    """An e-mail address, if it may be one; empty for none.

    Raises:
        Invalid: it cannot be one.
    """
    name, at, host = text.rpartition("@")
    written = bool(name and at and host) and text.isprintable() and " " not in text
    if text and (not written or len(text) > MAX_EMAIL):
        raise Invalid(f"An e-mail address is written name@host, in at most {MAX_EMAIL} characters.")
    return text


def checked_expiry(expires_at: float | None, now: float, longest: float | None = None) -> float | None:
    """A time of expiry, if it may be one; None for never.

    Args:
        expires_at: seconds since 1970.
        now: the same.
        longest: most seconds from now, where that is limited; never is too long then.

    Raises:
        Invalid: in the past, or too late.
    """
    if expires_at is not None and not now < expires_at < 1e11:
        raise Invalid("The time of expiry must lie in the future.")
    if longest is not None and (expires_at is None or expires_at > now + longest + 60):
        raise Invalid(f"It must expire within {int(longest // 86400)} days.")
    return expires_at
