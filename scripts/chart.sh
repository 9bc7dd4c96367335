#!/usr/bin/env bash
# Holds deploy/ to what Kubernetes, compose and the design allow. Helm is built from
# the module proxy, once, into .cache; no cluster and no network beyond the proxy.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0 GOFLAGS=-trimpath # as helm, so that Go compiles Kubernetes once
version=$(sed -nE 's|^\s*helm.sh/helm/v4 (v[0-9.]+).*|\1|p' tools/helm/go.mod)
helm=$PWD/.cache/helm-$version
if [ ! -x "$helm" ]; then
  echo "chart: building helm $version from the Go module proxy"
  mkdir -p .cache
  go -C tools/helm build -ldflags '-s -w' -o "$helm" helm.sh/helm/v4/cmd/helm
fi
test -z "$(gofmt -l tools/helm)" || { echo "gofmt would change:"; gofmt -l tools/helm; exit 1; }
go -C tools/helm vet ./...
PAYLINK_HELM=$helm PAYLINK_BINARY=$PWD/bin/paylink go -C tools/helm test -vet off -count 1 "$@" ./...
