"""Print a file of results as Markdown: `python bench/table.py bench/results/latest.json` makes the README's table."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path


def main() -> int:
    """Print the README's tables, or with --full everything that was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="a file that bench/run.py wrote")
    parser.add_argument("--full", action="store_true", help="absolute numbers, cores and scale series too")
    wanted = parser.parse_args()
    report = importlib.import_module("bench.report")
    results = json.loads(wanted.file.read_text())
    print(report.full(results) if wanted.full else report.readme(results))
    return 0


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    sys.exit(main())
