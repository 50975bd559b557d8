"""`python -m bench` is the same program as `python bench/run.py`."""

from __future__ import annotations

import sys

from bench.cli import main

sys.exit(main())
