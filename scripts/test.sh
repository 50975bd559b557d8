#!/usr/bin/env bash
# Runs the tests, on every core (in at most 5 processes). Arguments go to pytest; without a folder, those of
# `testpaths` are run.
# MOORAGE_TESTS_MUST_NOT_SKIP=1 turns every skip for a missing program into a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

# Hundreds of servers and commands are started: each would compile the program anew where nothing compiled is kept.
unset PYTHONDONTWRITEBYTECODE

cores=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
parallel=()
if [ "$cores" -ge 2 ]; then
    # worksteal: the long tests of one file do not wait behind one another.
    # Two more than there are cores: many tests wait for a server, and not for a core.
    parallel=(-n "$((cores < 4 ? cores + 2 : 5))" --dist worksteal)
fi
exec .venv/bin/python -m pytest "${parallel[@]}" -m "not long" "$@"
