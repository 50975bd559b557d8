#!/usr/bin/env bash
# Makes .venv with exactly what the lock names, and Moorage itself in it (editable). Nothing but Python and its pip is
# needed. Run again it does nothing, until the lock, the project file or the Python changes.
set -euo pipefail
cd "$(dirname "$0")/.."

lock=requirements-dev.lock
python=.venv/bin/python
stamp=.venv/installed

wanted() { cat "$lock" pyproject.toml scripts/setup.sh <("$python" -VV) | sha256sum; }

installed() { "$python" -c '' 2>/dev/null && [ "$(wanted)" = "$(cat "$stamp" 2>/dev/null)" ]; }

if installed; then exit 0; fi
mkdir -p .venv
if command -v flock >/dev/null; then # of two that come at once, the second waits and finds all done
    exec 9>.venv/lock
    flock 9
    if installed; then exit 0; fi
fi
if ! "$python" -c '' 2>/dev/null; then
    base=$(scripts/python.sh)
    echo "making .venv with $base" >&2
    "$base" -m venv .venv || {
        echo "moorage: $base cannot make a virtual environment (Debian: apt-get install python3-venv)" >&2
        exit 1
    }
fi
echo "installing what $lock names into .venv" >&2
pip=("$python" -m pip --disable-pip-version-check --quiet)
"${pip[@]}" install --require-hashes -r "$lock"
# The lock holds the build tools too: without isolation nothing unpinned is fetched for this step.
"${pip[@]}" install --no-deps --no-build-isolation --editable .
wanted >"$stamp"
