#!/usr/bin/env bash
# The conformance of Moorage to the OCI distribution specification: starts it (http and https, default settings and
# sparse manifests on), runs the official suite and this repository's own one, and prints a table of counts.
# Exit status 0 only if nothing failed and nothing was skipped.
#
#   scripts/conformance.sh                           all of it, metadata in SQLite
#   scripts/conformance.sh --database postgresql     the same on a PostgreSQL that it starts for itself
#   scripts/conformance.sh --registry-url URL        against a registry that runs already
#   scripts/conformance.sh --help                    the other options
#
# The official suite is .tools/bin/oci-conformance (built by tools/install.sh), or the program that OCI_CONFORMANCE
# names. The output says which version ran.
set -euo pipefail
cd "$(dirname "$0")/.."
exec .venv/bin/python -m tests.conformance.run "$@"
