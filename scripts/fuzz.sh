#!/usr/bin/env bash
# Runs every fuzzer of the module for a minute (FUZZTIME changes that).
set -euo pipefail
cd "$(dirname "$0")/.."
grep -rlE '^func Fuzz' --include='*_test.go' internal cmd | while read -r file; do
  for name in $(sed -nE 's/^func (Fuzz[A-Za-z0-9_]+)\(.*/\1/p' "$file"); do
    echo "fuzz: $name in $(dirname "$file")"
    go test -run '^$' -fuzz "^$name\$" -fuzztime "${FUZZTIME:-1m}" "./$(dirname "$file")"
  done
done
