#!/usr/bin/env bash
# Installs what the tests need and the machine lacks: a C compiler (the race
# detector links with it), Chromium, curl, which README.md uses, and npm, which
# fetches axe-core.
set -euo pipefail
cd "$(dirname "$0")/.."
missing=()
command -v gcc >/dev/null || missing+=(gcc libc6-dev)
command -v chromium >/dev/null || missing+=(chromium)
command -v curl >/dev/null || missing+=(curl)
command -v npm >/dev/null || missing+=(npm)
if [ ${#missing[@]} -gt 0 ]; then
  echo "needs: installing ${missing[*]} from Debian's packages"
  sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
axe=4.14.1
if [ ! -f .cache/axe-$axe/package/axe.min.js ]; then
  echo "needs: fetching axe-core $axe from npm, for the accessibility tests"
  mkdir -p .cache/axe-$axe
  (cd .cache/axe-$axe && npm pack --silent axe-core@$axe >/dev/null && tar xzf axe-core-$axe.tgz package/axe.min.js && rm axe-core-$axe.tgz)
fi
