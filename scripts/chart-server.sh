#!/usr/bin/env bash
# Applies every rendering of the chart to a real API server: kube-apiserver, etcd,
# kubectl and helm are built from the Go module proxy into .cache (some minutes, once), and run
# on loopback for as long as this takes. Nothing is scheduled: there are no nodes. But
# admission, defaults, quotas of names and the Pod Security Standard are the real ones.
#
#   scripts/chart-server.sh            its own API server, on ports 26379 to 26381 (CHART_PORTS=N moves them)
#   KUBECONFIG=… scripts/chart-server.sh --current   the cluster of the current context
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
namespace=paylink-dry-run
helm=$root/.cache/helm-$(sed -nE 's|^\s*helm.sh/helm/v4 (v[0-9.]+).*|\1|p' tools/helm/go.mod)
if [ ! -x "$helm" ]; then
  echo "chart-server: building helm from the Go module proxy"
  mkdir -p .cache
  CGO_ENABLED=0 go -C tools/helm build -ldflags '-s -w' -o "$helm" helm.sh/helm/v4/cmd/helm
fi
kubernetes=$(sed -nE 's|^\s*k8s.io/kubernetes (v[0-9.]+).*|\1|p' tools/apiserver/go.mod)
gateway_api=$(sed -nE 's|^\s*sigs.k8s.io/gateway-api (v[0-9.]+).*|\1|p' tools/helm/go.mod)
prometheus_operator=v0.93.0 # its definitions are no Go package, so no modfile holds them

if [ "${1:-}" = --current ]; then
  kubectl=(kubectl)
else
  bin=$root/.cache/kubernetes-$kubernetes
  mkdir -p "$bin"
  build() {
    [ -x "$bin/$1" ] && return
    echo "chart-server: building $1 from the Go module proxy"
    CGO_ENABLED=0 go -C tools/apiserver build -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$kubernetes" -o "$bin/$1" "$2"
  }
  build etcd go.etcd.io/etcd/server/v3
  build kubectl k8s.io/kubernetes/cmd/kubectl
  build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
  dir=$(mktemp -d)
  pids=()
  stop() { kill -9 "${pids[@]}" 2>/dev/null || true; wait "${pids[@]}" 2>/dev/null || true; rm -rf "$dir"; } # nothing to keep, nothing to drain
  trap stop EXIT
  client=${CHART_PORTS:-26379} peer=$((client + 1)) port=$((client + 2))
  "$bin/etcd" --data-dir "$dir/etcd" --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
    --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
    --initial-cluster "default=http://127.0.0.1:$peer" --unsafe-no-fsync >"$dir/etcd.log" 2>&1 &
  pids+=($!)
  openssl genrsa -out "$dir/sa.key" 2048 2>/dev/null
  token=$(openssl rand -hex 16)
  echo "$token,admin,1,system:masters" >"$dir/tokens"
  "$bin/kube-apiserver" --etcd-servers "http://127.0.0.1:$client" --bind-address 127.0.0.1 --secure-port "$port" --cert-dir "$dir/certs" \
    --token-auth-file "$dir/tokens" --authorization-mode RBAC --service-cluster-ip-range 10.96.0.0/16 --endpoint-reconciler-type none \
    --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$dir/sa.key" \
    --service-account-signing-key-file "$dir/sa.key" >"$dir/apiserver.log" 2>&1 &
  pids+=($!)
  kubectl=("$bin/kubectl" --kubeconfig "$dir/kubeconfig")
  "${kubectl[@]}" config set-cluster here --server "https://127.0.0.1:$port" --insecure-skip-tls-verify >/dev/null
  "${kubectl[@]}" config set-credentials admin --token "$token" >/dev/null
  "${kubectl[@]}" config set-context here --cluster here --user admin >/dev/null
  "${kubectl[@]}" config use-context here >/dev/null
  for _ in $(seq 120); do
    "${kubectl[@]}" get --raw /readyz >/dev/null 2>&1 && break
    kill -0 "${pids[1]}" 2>/dev/null || { tail -20 "$dir/apiserver.log" >&2; exit 1; }
    sleep 1
  done
  "${kubectl[@]}" get --raw /readyz >/dev/null
  definitions() { go mod download -json "$1" | sed -nE 's|^\s*"Dir": "(.*)",?|\1|p'; }
  "${kubectl[@]}" apply --server-side -f "$(definitions "sigs.k8s.io/gateway-api@$gateway_api")/config/crd/standard/gateway.networking.k8s.io_httproutes.yaml" >/dev/null
  operator=$(definitions "github.com/prometheus-operator/prometheus-operator@$prometheus_operator")/example/prometheus-operator-crd
  for kind in servicemonitors prometheusrules; do
    "${kubectl[@]}" apply --server-side -f "$operator/monitoring.coreos.com_$kind.yaml" >/dev/null
  done
  "${kubectl[@]}" wait --for condition=Established crd --all --timeout 60s >/dev/null
fi
"${kubectl[@]}" version | grep Server
"${kubectl[@]}" create namespace "$namespace" >/dev/null
# Warnings of this label's admission make the run fail, as every other warning does.
"${kubectl[@]}" label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/warn=restricted >/dev/null
failed=0
for values in deploy/helm/paylink/ci/*-values.yaml; do
  out=$("$helm" template paylink deploy/helm/paylink --namespace "$namespace" --values "$values" |
    "${kubectl[@]}" --warnings-as-errors --namespace "$namespace" apply --dry-run=server --validate=strict -f - 2>&1) && ok=accepted || { ok=REFUSED; failed=1; echo "$out" | grep -v 'server dry run'; }
  echo "$(basename "$values"): $(grep -c 'server dry run' <<<"$out") objects, $ok"
done
for broken in tools/helm/testdata/broken/*.yaml; do
  [[ $broken != */duplicate-field.yaml ]] || continue # kubectl itself drops the second one, so the server never sees it
  ! "${kubectl[@]}" --warnings-as-errors --namespace "$namespace" apply --dry-run=server --validate=strict -f "$broken" >/dev/null 2>&1 ||
    { echo "$(basename "$broken"): accepted, though it is broken"; failed=1; }
done
[ "$failed" = 1 ] || echo "the broken manifests were refused"
if [ "${1:-}" != --current ]; then # a life of a release, without its hooks: no node would run them
  life() { "$helm" --kubeconfig "$dir/kubeconfig" -n "$namespace" "$@" >/dev/null || { echo "helm $1 failed"; failed=1; }; }
  life install paylink deploy/helm/paylink --no-hooks --values deploy/helm/paylink/ci/default-values.yaml
  life upgrade paylink deploy/helm/paylink --no-hooks --values deploy/helm/paylink/ci/gateway-api-values.yaml
  life rollback paylink 1 --no-hooks
  "${kubectl[@]}" -n "$namespace" get deployments,hpa,pdb,networkpolicies --no-headers | wc -l | sed 's/$/ objects live after install, upgrade and rollback/'
  life uninstall paylink --no-hooks
fi
[ "${1:-}" != --current ] || kubectl delete namespace "$namespace" --wait=false >/dev/null
exit "$failed"
