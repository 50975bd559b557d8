"""Named points on the way of the data, where a test can fail a call or end the process.

The program itself passes `no_probe`; the crash tests build it with one that raises `OSError` at the N-th point, or
kills.
"""

from __future__ import annotations

from collections.abc import Callable

Probe = Callable[[str], None]


def no_probe(_point: str) -> None:
    """Nothing happens at any point."""
