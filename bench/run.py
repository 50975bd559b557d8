"""Run the bench from a checkout: `python bench/run.py --quick|--full` (see `--help`)."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    sys.exit(importlib.import_module("bench.cli").main())
