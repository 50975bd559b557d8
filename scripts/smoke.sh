#!/usr/bin/env bash
# `make serve` as a user runs it: starts on a free port, takes a blob and a manifest, gives the same bytes back, and
# ends by itself on SIGTERM. Needs curl and pgrep.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
port=$(.venv/bin/python -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port

fail() {
    echo "smoke: $*" >&2
    echo "--- the server said:" >&2
    tail -n 50 "$work/log" >&2
    exit 1
}

MOORAGE_ROOT=$work/root make --silent serve PORT="$port" >"$work/log" 2>&1 &
make_pid=$!
end() { # whoever is still there was not ended by the test itself
    local pid
    if [ -n "$make_pid" ]; then
        for pid in $(pgrep -P "$make_pid") "$make_pid"; do kill -TERM "$pid" 2>/dev/null || true; done
    fi
    rm -rf "$work"
}
trap end EXIT

for _ in $(seq 150); do
    if curl -fs -o /dev/null "$url/readyz"; then break; fi
    kill -0 "$make_pid" 2>/dev/null || fail "the server ended before it was ready"
    sleep 0.1
done
curl -fs -o /dev/null "$url/readyz" || fail "not ready after 15 s"

head -c 1000000 /dev/urandom >"$work/blob"
digest() { echo "sha256:$(sha256sum "$1" | cut -d' ' -f1)"; }
push_blob() { # push_blob FILE
    local location
    location=$(curl -fsS -D - -o /dev/null -X POST "$url/v2/smoke/test/blobs/uploads/" |
        tr -d '\r' | awk 'tolower($1) == "location:" {print $2}') || fail "POST of an upload"
    case $location in /*) location=$url$location ;; esac
    case $location in *\?*) location="$location&" ;; *) location="$location?" ;; esac
    curl -fsS -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$1" \
        "${location}digest=$(digest "$1")" || fail "PUT of a blob"
}
push_blob "$work/blob"
curl -fsS "$url/v2/smoke/test/blobs/$(digest "$work/blob")" -o "$work/pulled" || fail "GET of the blob"
cmp "$work/blob" "$work/pulled" || fail "the blob came back changed"

printf '{}' >"$work/config"
push_blob "$work/config"
cat >"$work/manifest" <<JSON
{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
 "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": "$(digest "$work/config")", "size": 2},
 "layers": [{"mediaType": "application/octet-stream", "digest": "$(digest "$work/blob")", "size": 1000000}]}
JSON
type=application/vnd.oci.image.manifest.v1+json
curl -fsS -X PUT -H "Content-Type: $type" --data-binary "@$work/manifest" "$url/v2/smoke/test/manifests/1" ||
    fail "PUT of a manifest"
curl -fsS -H "Accept: $type" "$url/v2/smoke/test/manifests/1" -o "$work/pulled" || fail "GET of the manifest"
cmp "$work/manifest" "$work/pulled" || fail "the manifest came back changed"

server=$(pgrep -P "$make_pid") || fail "the server has no process"
kill -TERM "$server"
status=0
wait "$make_pid" || status=$?
make_pid=
[ "$status" -eq 0 ] || fail "SIGTERM ended the server with status $status"
if curl -fs -o /dev/null "$url/healthz"; then fail "something still answers after SIGTERM"; fi
echo "smoke: served, pushed, pulled and ended on port $port"
