"""The real program with a probe, as the nursery starts it."""

from __future__ import annotations

import os
from pathlib import Path

from moorage.cli.supervisor import run
from moorage.config import Overrides, load
from moorage.registry import settle
from tests.crash.plan import Plan

MAIN = f"{__name__}:serve"

SETTLE = "MOORAGE_CRASH_SETTLE"
"""Variable with the seconds in which small blobs gather for their sync."""


def serve(arguments: list[str]) -> None:
    """Serve as `moorage serve` would.

    Args:
        arguments: the port, the root, how many workers, and the file of the plan that is the probe.
    """
    port, root, workers, plan = arguments
    overrides = Overrides(host="127.0.0.1", port=int(port), root=Path(root), workers=int(workers), auth="none")
    loaded = load(None, os.environ, overrides)
    if loaded.errors:
        raise ValueError(loaded.errors)
    settle.PAUSE = float(os.environ[SETTLE])
    run(loaded.settings, Plan(Path(plan)))
