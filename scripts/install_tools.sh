#!/usr/bin/env bash
# Installs the programs that `make clients`, `make conformance`, `make bench` and the PostgreSQL tests drive: Debian's
# packages by apt (as root), and the pinned Go programs of tools/ into .tools/bin. What is there is left alone. Ends
# with status 1 and the name of everything that is missing.
#
#   scripts/install_tools.sh           install, then check
#   scripts/install_tools.sh --check   only check
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

# package, a program that it brings
packages="
apache2-utils    htpasswd
buildah          buildah
busybox-static   busybox
caddy            caddy
chromium         chromium
chromium-driver  chromedriver
containerd       ctr
crun             crun
curl             curl
debootstrap      debootstrap
docker-registry  docker-registry
docker.io        dockerd
fuse-overlayfs   fuse-overlayfs
gcc              gcc
haproxy          haproxy
iptables         iptables
jq               jq
openssl          openssl
podman           podman
postgresql       initdb
procps           pgrep
runc             runc
skopeo           skopeo
slapd            slapd
umoci            umoci
util-linux       setpriv
wrk              wrk
"

has() { # has PROGRAM: Debian keeps PostgreSQL's server programs off PATH
    command -v "$1" >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/$1" >/dev/null
}

missing_packages() {
    while read -r package program; do
        if [ -n "$package" ] && ! has "$program"; then echo "$package"; fi
    done <<<"$packages"
}

# While packages are installed no service may start: the tests run their own daemons, on their own ports and folders.
policy=/usr/sbin/policy-rc.d
put_policy_back() {
    rm -f "$policy"
    if [ -e "$policy.moorage-saved" ]; then mv "$policy.moorage-saved" "$policy"; fi
}
forbid_services() {
    trap put_policy_back EXIT
    if [ -e "$policy" ] && ! grep -q moorage "$policy"; then mv "$policy" "$policy.moorage-saved"; fi
    printf '#!/bin/sh\n# moorage: no service starts while its tools are installed\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

install_packages() {
    local wanted status=0
    mapfile -t wanted < <(missing_packages)
    if [ "${#wanted[@]}" -eq 0 ]; then return 0; fi
    if ! command -v apt-get >/dev/null; then
        echo "install_tools: no apt-get here; install by hand what provides: ${wanted[*]}" >&2
        return 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        echo "install_tools: not root; run: sudo apt-get install --no-install-recommends ${wanted[*]}" >&2
        return 1
    fi
    echo "installing ${wanted[*]}"
    forbid_services
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null; } || status=$?
    put_policy_back
    trap - EXIT
    return "$status"
}

failed=()
if [ "${1:-}" != --check ]; then
    install_packages || failed+=("Debian packages")
    tools/install.sh || failed+=("Go programs")
fi

while read -r package program; do
    if [ -n "$package" ] && ! has "$program"; then failed+=("$program ($package)"); fi
done <<<"$packages"
for program in $(tools/install.sh --list); do
    # zot is only compared with, and only where it can be built.
    if [ "$program" != zot ] && [ ! -x ".tools/bin/$program" ]; then failed+=("$program (tools/)"); fi
done

if [ "${#failed[@]}" -gt 0 ]; then
    echo "install_tools: missing:" >&2
    printf '  %s\n' "${failed[@]}" >&2
    exit 1
fi
echo "all tools are there"
