#!/usr/bin/env bash
# Holds deploy/ to what Helm, Kubernetes, compose and the design allow, by their own Go
# packages: no cluster, and no network beyond the module proxy.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0 GOFLAGS=-trimpath
test -z "$(gofmt -l tools/helm)" || { echo "gofmt would change:"; gofmt -l tools/helm; exit 1; }
PAYLINK_BINARY=$PWD/bin/paylink go -C tools/helm test -vet off -count 1 "$@" ./...
