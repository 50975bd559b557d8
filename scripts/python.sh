#!/usr/bin/env bash
# Prints the newest Python that Moorage runs on (3.11 to 3.14), or says that there is none and fails.
# PYTHON=/some/python chooses another one.
set -euo pipefail

runs() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; }

for candidate in ${PYTHON:-python3.14 python3.13 python3.12 python3.11 python3}; do
    # A name on PATH may be a shim without a Python behind it, so it is run rather than looked up.
    if runs "$candidate"; then
        command -v "$candidate"
        exit 0
    fi
done
echo "moorage: needs Python 3.11, 3.12, 3.13 or 3.14; tried: ${PYTHON:-python3.14 python3.13 python3.12 python3.11 python3}" >&2
exit 1
