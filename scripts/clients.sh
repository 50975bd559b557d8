#!/usr/bin/env bash
# Real clients against a running registry: docker, containerd's ctr, podman, buildah, skopeo, umoci, crane, oras, regctl
# and helm. The tests start everything they need (two registries, dockerd, containerd) on sockets and in folders of their
# own, and take it down again. Arguments go to pytest: `scripts/clients.sh -k docker`.
#
# As root on Debian, after `make tools`. A program that is not there skips its tests by name; with
# MOORAGE_TESTS_MUST_NOT_SKIP=1 that is a failure. Needs 15 GiB free in $TMPDIR (default /var/tmp).
set -euo pipefail
cd "$(dirname "$0")/.."

# The pinned Go programs; without a Go compiler their tests say what is missing. Nothing is built that is current.
if command -v go >/dev/null; then
    tools/install.sh crane oras regctl helm
fi

# One process: the daemons and the images are made once, and the clients would only wait for each other's processor time.
run=(.venv/bin/python -m pytest tests/clients -p no:xdist --durations=10 "$@")
if [ "$(id -u)" -eq 0 ] && unshare --mount true 2>/dev/null; then
    # What a daemon mounts and leaves behind is gone with this namespace, and in it podman and its like do not see the
    # machine's own images and caches.
    hide='[ ! -d /var/lib/containers ] || mount -t tmpfs tmpfs /var/lib/containers; exec "$@"'
    run=(unshare --mount --propagation private bash -c "$hide" bash "${run[@]}")
fi
exec "${run[@]}"
