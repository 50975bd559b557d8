"""What can go wrong in a run, apart from being slow."""

from __future__ import annotations


class BenchError(Exception):
    """A registry answered wrongly, died, or could not be started; the text says which and how."""
