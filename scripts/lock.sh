#!/usr/bin/env bash
# Writes both lock files anew for Python 3.11 to 3.14 on every platform. Needs uv (https://docs.astral.sh/uv/).
# UPGRADE=1 takes the newest release of everything; without it, what is pinned stays where it still fits.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v uv >/dev/null || { echo "moorage: 'make lock' needs uv on PATH" >&2; exit 1; }

options=(--universal --generate-hashes --python-version 3.11 --no-annotate --no-emit-index-url --no-emit-find-links
    --custom-compile-command "make lock" --quiet)
if [ -n "${UPGRADE:-}" ]; then options+=(--upgrade); fi
uv pip compile pyproject.toml "${options[@]}" --output-file requirements.lock
# The second lock is the first one and more: the tests run with what is shipped.
uv pip compile pyproject.toml --group dev --constraint requirements.lock "${options[@]}" --output-file requirements-dev.lock
