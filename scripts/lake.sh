#!/usr/bin/env bash
# Reads the lake of a built paylink with DuckDB. Its library comes ready with the Go
# module, which links it with the C++ library: hence cgo, and a C++ compiler.
set -euo pipefail
cd "$(dirname "$0")/.."
test -z "$(gofmt -l tools/duckdb)" || { echo "gofmt would change:"; gofmt -l tools/duckdb; exit 1; }
export CGO_ENABLED=1 PAYLINK_BINARY=${PAYLINK_BINARY:-$PWD/bin/paylink}
go -C tools/duckdb vet -tags duckdb ./...
go -C tools/duckdb test -vet off -tags duckdb -count 1 -v "$@" ./...
