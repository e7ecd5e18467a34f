#!/usr/bin/env bash
# Finds the servers that the demo and the tests run. What this machine lacks is downloaded from the distribution's
# packages and unpacked into the cache, with a starter for each in $ROLLGUARD_CACHE/bin. That needs no root, installs
# nothing and starts no service.
#
#   fetch_debian.sh servers     prometheus, prometheus-alertmanager, sshd, ssh, ssh-keygen, docker-registry
#   fetch_debian.sh redis       redis-server, which only the cluster of tests/cluster needs
#   fetch_debian.sh pip-wheel   prints where pip's wheel is, for a Python without ensurepip
set -euo pipefail

cache=${ROLLGUARD_CACHE:-$HOME/.cache/rollguard}
root=$cache/debian
bin=$cache/bin
declare -A package_of=(
    [prometheus]=prometheus
    [prometheus-alertmanager]=prometheus-alertmanager
    [sshd]=openssh-server
    [ssh]=openssh-client
    [ssh-keygen]=openssh-client
    [redis-server]=redis-server
    [docker-registry]=docker-registry
)

missing() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || echo "$program"
    done
}

give_up() {
    echo "$1" >&2
    exit 1
}

# Downloads the packages with those dependencies that are not installed, and unpacks them all into $root.
unpack() {
    local work log package
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/apt.XXXXXX")
    log=$work/log
    trap "rm -rf '$work'" EXIT
    mkdir -p "$work/lists/partial" "$work/archives/partial" "$root" "$bin"
    local apt=(apt-get -q -y
        -o Debug::NoLocking=1 -o "APT::Sandbox::User=$(id -un)"
        -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work" -o "Dir::Cache::archives=$work/archives"
        -o Acquire::Retries=3)
    if ! { "${apt[@]}" update && "${apt[@]}" --no-install-recommends --download-only install "$@"; } \
        >"$log" 2>&1 </dev/null; then
        tail -n 5 "$log" >&2
        give_up "The packages ${*} could not be downloaded: install them, or put their programs on PATH."
    fi
    for package in "$work"/archives/*.deb; do
        dpkg -x "$package" "$root"
    done
}

# A starter finds the unpacked libraries; sshd wants to be started by its full path.
write_starter() {
    local program=$1 folder libraries
    libraries=$(find "$root/lib" "$root/usr/lib" \( -name '*.so' -o -name '*.so.*' \) -printf '%h\n' 2>/dev/null | sort -u | paste -sd :)
    for folder in usr/bin usr/sbin bin sbin; do
        [ -x "$root/$folder/$program" ] || continue
        {
            echo '#!/bin/sh'
            [ -z "$libraries" ] || echo "export LD_LIBRARY_PATH='$libraries'"
            echo "exec '$root/$folder/$program' \"\$@\""
        } >"$bin/$program.new"
        chmod +x "$bin/$program.new"
        mv "$bin/$program.new" "$bin/$program"
        return
    done
    give_up "The package ${package_of[$program]} holds no program $program: put $program on PATH."
}

# Debian's Alertmanager reads its templates from where its package would have put them, and nowhere else.
place_alertmanagers_templates() {
    local folder=usr/share/prometheus/alertmanager template
    for template in "$root/$folder"/*.tmpl; do
        [ -e "$template" ] && [ ! -e "/$folder/${template##*/}" ] || continue
        if ! { mkdir -p "/$folder" && cp "$template" "/$folder/"; } 2>/dev/null; then
            give_up "Alertmanager reads /$folder, where only root can put it: install the package prometheus-alertmanager."
        fi
    done
}

# As root, sshd insists on its own user and folder; the package would have made them.
prepare_sshd_for_root() {
    [ "$(id -u)" = 0 ] || return 0
    [ -d /run/sshd ] || mkdir -m 0755 /run/sshd
    id sshd >/dev/null 2>&1 && return
    echo "Adding the system user sshd, without which sshd does not run as root."
    useradd --system --no-create-home --home-dir /run/sshd --shell /usr/sbin/nologin --gid nogroup sshd
}

# Unpacks those of the given programs that are not on PATH.
provide() {
    local programs packages=() program
    mapfile -t programs < <(missing "$@")
    [ "${#programs[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
        give_up "Missing on PATH: ${programs[*]}; this machine has no apt-get, so install them and try again."
    for program in "${programs[@]}"; do
        packages+=("${package_of[$program]}")
    done
    mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
    echo "Unpacking ${packages[*]} into the cache"
    unpack "${packages[@]}"
    for program in "${programs[@]}"; do
        write_starter "$program"
    done
}

servers() {
    # Elsewhere than in Debian, Alertmanager's program has its upstream name.
    if ! command -v prometheus-alertmanager >/dev/null && command -v alertmanager >/dev/null; then
        mkdir -p "$bin"
        ln -sf "$(command -v alertmanager)" "$bin/prometheus-alertmanager"
    fi
    provide prometheus prometheus-alertmanager sshd ssh ssh-keygen docker-registry
    prepare_sshd_for_root
    place_alertmanagers_templates
}

pip_wheel() {
    local wheels=("$root"/usr/share/python-wheels/pip-*.whl)
    if [ ! -e "${wheels[0]}" ]; then
        command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
            give_up "This Python has no ensurepip: install your distribution's package for venv (python3-venv)."
        unpack python3-pip-whl >&2
        wheels=("$root"/usr/share/python-wheels/pip-*.whl)
    fi
    [ -e "${wheels[0]}" ] || wheels=(/usr/share/python-wheels/pip-*.whl)
    [ -e "${wheels[0]}" ] || give_up "This Python has no ensurepip: install python3-venv."
    echo "${wheels[0]}"
}

export PATH=$PATH:/usr/sbin:/sbin:$bin
case ${1:-} in
    servers) servers ;;
    redis) provide redis-server ;;
    pip-wheel) pip_wheel ;;
    *) give_up "usage: $0 servers|redis|pip-wheel" ;;
esac
