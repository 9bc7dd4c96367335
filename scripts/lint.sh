#!/usr/bin/env bash
# golangci-lint from the module proxy, built once into .cache.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^LINT_VERSION := //p' Makefile)
bin=$PWD/.cache/golangci-lint-$version
if [ ! -x "$bin" ]; then
  echo "lint: building golangci-lint $version from the Go module proxy"
  mkdir -p .cache/gobin
  GOBIN=$PWD/.cache/gobin go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$version"
  mv .cache/gobin/golangci-lint "$bin"
fi
. scripts/race.sh
GOFLAGS="${GOFLAGS:-} ${race[*]}" exec "$bin" run ./...
