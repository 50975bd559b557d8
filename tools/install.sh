#!/usr/bin/env bash
# Builds the pinned Go programs that the tests and the benchmarks drive, into .tools/bin of the repository.
#
#   tools/install.sh              all of them
#   tools/install.sh crane oras   these only
#   tools/install.sh --list       names, one a line
#
# Each program has a module of its own (their requirements contradict one another); its go.mod pins the version, its
# go.sum the content. What is current (same go.mod, go.sum and Go) is not built again. A program that cannot be built
# ends this script with status 1 and is named; an optional one is reported as "not available" and does not.
set -euo pipefail

tools=$(cd "$(dirname "$0")" && pwd)
out=$(dirname "$tools")/.tools
stamps=$out/stamps
logs=$out/logs

# name, module folder, package, kind (program, optional; cgo: a program with parts in C)
programs="
crane                    crane         github.com/google/go-containerregistry/cmd/crane                 program
regctl                   regctl        github.com/regclient/regclient/cmd/regctl                        program
oras                     oras          oras.land/oras/cmd/oras                                          program
helm                     helm          helm.sh/helm/v3/cmd/helm                                         program
registry                 distribution  github.com/distribution/distribution/v3/cmd/registry             program
olareg                   olareg        github.com/olareg/olareg/cmd/olareg                              program
oci-conformance          conformance   github.com/opencontainers/distribution-spec/conformance          program
dex                      dex           github.com/dexidp/dex/cmd/dex                                        cgo
zot                      zot           zotregistry.dev/zot/v2/cmd/zot                                   optional
"

stamp_of() {
    cat "$tools/$1"/go.mod "$tools/$1"/go.sum 2>/dev/null | sha256sum | cut -d' ' -f1
    go env GOVERSION GOOS GOARCH
}

# build NAME FOLDER PACKAGE KIND: makes .tools/bin/NAME, or fails with the reason in .tools/logs/NAME.
build() {
    local module=$tools/$2 cgo=0 verb=(build -trimpath -ldflags "-s -w" -mod=readonly)
    if [ "$4" = optional ]; then
        # Resolving writes go.mod and go.sum, so it works on a copy.
        module=$(mktemp -d)
        cp "$tools/$2"/go.* "$module"
        verb=(build -trimpath -ldflags "-s -w" -mod=mod)
    elif [ "$4" = cgo ]; then
        cgo=1
    fi
    local status=0
    (cd "$module" && CGO_ENABLED=$cgo go "${verb[@]}" -o "$out/bin/$1.new" "$3") >"$logs/$1" 2>&1 || status=$?
    [ "$module" = "$tools/$2" ] || rm -rf "$module"
    [ "$status" -eq 0 ] || return "$status"
    mv "$out/bin/$1.new" "$out/bin/$1"
    stamp_of "$2" >"$stamps/$1"
}

current() {
    [ -x "$out/bin/$1" ] && [ -f "$stamps/$1" ] && [ "$(stamp_of "$2")" = "$(cat "$stamps/$1")" ]
}

if [ "${1:-}" = --list ]; then
    awk 'NF {print $1}' <<<"$programs"
    exit 0
fi
for wanted in "$@"; do
    awk -v name="$wanted" '$1 == name {found = 1} END {exit !found}' <<<"$programs" || {
        echo "tools/install.sh: unknown program: $wanted (see --list)" >&2
        exit 2
    }
done
command -v go >/dev/null || {
    echo "tools/install.sh: the Go compiler (go) is not installed" >&2
    exit 1
}

mkdir -p "$out/bin" "$stamps" "$logs"
failed=()
while read -r name folder package kind; do
    [ -n "$name" ] || continue
    if [ "$#" -gt 0 ] && [[ " $* " != *" $name "* ]]; then continue; fi
    if current "$name" "$folder"; then
        echo "$name: current"
    elif build "$name" "$folder" "$package" "$kind"; then
        echo "$name: built"
    elif [ "$kind" = optional ]; then
        echo "$name: not available: $(tail -n 1 "$logs/$name")"
    else
        echo "$name: cannot be built:" >&2
        tail -n 5 "$logs/$name" >&2
        failed+=("$name")
    fi
done <<<"$programs"

if [ "${#failed[@]}" -gt 0 ]; then
    echo "tools/install.sh: cannot be built: ${failed[*]}" >&2
    exit 1
fi
