#!/usr/bin/env bash
# Everything that can be said about the code without running it. Goes through all checks, then fails if one did.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
failed=()

check() { # check NAME COMMAND...
    local name=$1
    shift
    echo "== $name"
    "$@" || failed+=("$name")
}

check "lint" "$bin/ruff" check .
check "format" "$bin/ruff" format --check .
check "types" "$bin/mypy"
check "import contract" "$bin/lint-imports"
check "sizes" "$bin/python" scripts/check_sizes.py
check "text" "$bin/python" scripts/check_text.py
check "documents" "$bin/python" scripts/check_docs.py

if [ "${#failed[@]}" -gt 0 ]; then
    (IFS=,; echo "check failed: ${failed[*]}") >&2
    exit 1
fi
echo "all checks passed"
