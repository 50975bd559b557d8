"""Random requests to a real server: no 5xx, no traceback, no dead worker, no growing memory (see `--help`)."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    sys.exit(importlib.import_module("tests.fuzz.cli").main())
