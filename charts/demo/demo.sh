#!/usr/bin/env bash
# The whole loop in a cluster of its own, for people who have Docker: kind, Argo CD, a forge, a Prometheus, Rollguard's
# chart, a shop, a bad commit, and its rollback.
#
#   demo.sh          all of it, narrated (`make demo-cluster`)
#   demo.sh play     only the story, in the cluster that KUBECONFIG names, with the forge at GIT_URL (the tests run this part)
#   demo.sh down     remove the cluster
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
name=${DEMO_CLUSTER:-rollguard-demo}
argocd=${ARGOCD_VERSION:-v3.6.1}
argocd_namespace=${ARGOCD_NAMESPACE:-argocd}
application=${APPLICATION:-checkout}
namespace=${NAMESPACE:-shop}
patience=${PATIENCE:-300}
bad=${BAD_VERSION:-two}

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
fail() { echo "$1" >&2; exit 1; }

needs() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || fail "The demo needs $tool on PATH."
    done
}

# Waits until a command prints what is wanted.
await() {
    local what=$1 wanted=$2 end=$((SECONDS + patience)) said
    shift 2
    until said=$("$@" 2>/dev/null) && [[ $said == *"$wanted"* ]]; do
        [ "$SECONDS" -lt "$end" ] || fail "$what did not happen within $patience s: ${said:-nothing was said}"
        sleep 1
    done
}

cluster() {
    say "A cluster named $name"
    kind get clusters | grep -qx "$name" || kind create cluster --name "$name" --wait 120s
    export KUBECONFIG=${KUBECONFIG:-$(mktemp)}
    kind export kubeconfig --name "$name" --kubeconfig "$KUBECONFIG"
    say "Argo CD $argocd"
    kubectl create namespace "$argocd_namespace" --dry-run=client -o yaml | kubectl apply -f -
    kubectl apply --server-side --force-conflicts -n "$argocd_namespace" \
        -f "https://raw.githubusercontent.com/argoproj/argo-cd/$argocd/manifests/core-install.yaml"
    kubectl apply -f "$here/site.yaml"
    kubectl rollout status -n "$argocd_namespace" --timeout 300s statefulset/argocd-application-controller
    kubectl rollout status -n demo --timeout 300s deployment/forge deployment/prometheus
}

forge() {
    say "A repository in the forge"
    local gitea=(kubectl exec -n demo deployment/forge -- gitea admin user)
    "${gitea[@]}" create --username demo --password "demo-$RANDOM$RANDOM" --email demo@example.com --admin \
        --must-change-password=false >/dev/null 2>&1 || true
    token=$("${gitea[@]}" generate-access-token --username demo --raw --scopes all --token-name "demo-$RANDOM")
    kubectl port-forward -n demo service/forge 3000:3000 >/dev/null &
    forward=$!
    trap 'kill $forward 2>/dev/null || true' EXIT
    await "the forge" pass curl -fsS http://127.0.0.1:3000/api/healthz
    curl -fsS -o /dev/null -X POST -H "Authorization: token $token" -H 'Content-Type: application/json' \
        -d '{"name": "manifests", "default_branch": "main"}' http://127.0.0.1:3000/api/v1/user/repos || true
    export GIT_URL="http://demo:$token@127.0.0.1:3000/demo/manifests.git"
    export REPOSITORY=http://forge.demo:3000/demo/manifests.git
}

rollguard() {
    say "Rollguard's image and chart"
    docker build --quiet --tag rollguard:demo "$root"
    kind load docker-image --name "$name" rollguard:demo
    kubectl create namespace rollguard --dry-run=client -o yaml | kubectl apply -f -
    kubectl create secret generic -n rollguard git --from-literal=token="$token" --dry-run=client -o yaml | kubectl apply -f -
    helm upgrade --install rollguard "$root/charts/rollguard" --namespace rollguard --wait --timeout 300s --values - <<VALUES
image: {repository: rollguard, tag: demo, pullPolicy: Never}
secrets: [git]
settings:
  metricsSources: {default: {prometheus: {url: "http://prometheus.demo:9090"}}}
  repositories:
    - {url: "$REPOSITORY", credentials: {tokenFile: /secrets/git/token, username: demo}}
VALUES
}

# One version of the shop, committed and pushed.
version() {
    local tag=$1 errors=$2 image=${SHOP_IMAGE:-rollguard:demo}
    cat >"$work/apps/$application/shop.yaml" <<MANIFEST
apiVersion: apps/v1
kind: Deployment
metadata: {name: checkout}
spec:
  replicas: 2
  selector: {matchLabels: {app: checkout}}
  template:
    metadata: {labels: {app: checkout}}
    spec:
      containers:
        - name: shop
          image: ${image//TAG/$tag}
          command: [python, -m, controller.demo.pod]
          env:
            - {name: VERSION, value: "$tag"}
            - {name: ERROR_SHARE, value: "$errors"}
MANIFEST
    git -C "$work" add .
    git -C "$work" -c user.name=Ann -c user.email=ann@example.com commit -q -m "Deploy $tag"
    git -C "$work" push -q origin HEAD:main
    kubectl annotate -n "$argocd_namespace" application/"$application" argocd.argoproj.io/refresh=normal --overwrite >/dev/null
}

serves() { kubectl get -n "$namespace" deployment/checkout -o jsonpath='{.spec.template.spec.containers[0].env}'; }
last_good() {
    kubectl get guardedapplications -A -o jsonpath="{.items[?(@.spec.application.name=='$application')].status.lastGood}"
}
verdicts() {
    kubectl get syncanalyses -n "$namespace" \
        -o jsonpath="{range .items[?(@.spec.application.name=='$application')]}{.status.verdict} {end}"
}

play() {
    needs kubectl git
    work=$(mktemp -d)
    trap 'rm -rf "$work"; kill ${forward:-} 2>/dev/null || true' EXIT
    git clone -q "${GIT_URL:?the forge with a name and a token in it}" "$work"
    git -C "$work" checkout -q -B main
    mkdir -p "$work/apps/$application"
    say "Version one is committed, and Argo CD deploys it"
    kubectl apply -f - <<APPLICATION
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $application, namespace: $argocd_namespace}
spec:
  project: default
  source: {repoURL: "${REPOSITORY:-$GIT_URL}", path: apps/$application, targetRevision: main}
  destination: {server: "https://kubernetes.default.svc", namespace: $namespace}
  syncPolicy: {automated: {prune: true}}
APPLICATION
    version one 0.001
    kubectl apply -f "${POLICY:-$here/policy.yaml}"
    await "the first deployment" one serves
    await "its adoption as good" "$(git -C "$work" rev-parse HEAD)" last_good
    say "A history is gathered (${HISTORY_SECONDS:-300} s), against which the next version is judged"
    sleep "${HISTORY_SECONDS:-300}"
    say "Version $bad is committed: a fifth of its requests fail"
    version "$bad" 0.2
    await "its deployment" "$bad" serves
    await "the verdict" Breached verdicts
    say "Found, and reverted in Git:"
    await "the restore in Git" "Roll back" remote_subject
    git -C "$work" fetch -q origin main
    git -C "$work" log -1 --format='%C(yellow)%h%Creset %an: %B' FETCH_HEAD
    await "version one again" one serves
    await "the recovery" Recovered verdicts
    say "The service has recovered. What the cluster tells of it:"
    kubectl get slopolicies,syncanalyses -n "$namespace"
}

remote_subject() {
    git -C "$work" fetch -q origin main
    git -C "$work" log -1 --format=%s FETCH_HEAD
}

case ${1:-all} in
    all)
        needs docker kind kubectl helm git curl
        cluster
        forge
        rollguard
        play
        echo "Look around with KUBECONFIG=$KUBECONFIG kubectl get ga -A; remove it all with: $0 down"
        ;;
    play) play ;;
    down) kind delete cluster --name "$name" ;;
    *) fail "usage: $0 [play|down]" ;;
esac
