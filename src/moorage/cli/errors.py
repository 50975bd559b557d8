"""Why a command gives up."""

from __future__ import annotations


class CannotStart(RuntimeError):
    """The program cannot serve; the message says what to do."""
