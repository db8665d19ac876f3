#!/usr/bin/env bash
# Builds the Dockerfile without a Docker engine and proves the image.
#
#   tests/image.sh [PUBLIC_PORT] [ADMIN_PORT]        loopback ports, 18080 and 18081 by default
#
# Needs root on Debian, a rustup toolchain, an `apt-get update` and the packages
#   apt-get install -y buildah debootstrap curl procps
# The two base images are made once, under the names that the Dockerfile uses, and kept in
# WAYBILL_IMAGE_CACHE (default /var/tmp/waybill-image); delete it to have them made anew.
# VERSION and REVISION are labels of the image; IMAGE_ARCHIVE is a file to write it to once it is proven, for docker load.
set -euo pipefail

public_port=${1:-18080}
admin_port=${2:-18081}
cache=$(realpath -m "${WAYBILL_IMAGE_CACHE:-/var/tmp/waybill-image}")
image=localhost/waybill:proof
cd "$(dirname "$0")/.."

export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
buildah=(buildah --root "$cache/storage" --runroot "$cache/run")
containers=()
root=
runner=
server=

say() { printf '\n== %s\n' "$*"; }
fail() {
    printf 'image.sh: %s\n' "$*" >&2
    exit 1
}

clean_up() {
    local status=$? pid
    for pid in $server $runner; do kill -KILL "$pid" 2>/dev/null || true; done
    [[ -z $runner ]] || wait "$runner" 2>/dev/null || true
    [[ ${#containers[@]} -eq 0 ]] || "${buildah[@]}" rm "${containers[@]}" >/dev/null || true
    [[ -z $root ]] || rm -rf --one-file-system "$root"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# The mirror that apt itself uses for the suite $1.
mirror() {
    # shellcheck disable=SC2016  # apt expands these names, not the shell
    apt-get indextargets --format '$(CODENAME) $(ORIGIN) $(REPO_URI)' 'Identifier: Packages' |
        awk -v suite="$1" '$1 == suite && $2 == "Debian" { uri = $3 } END { print uri }'
}

# A Debian of suite $1 in $root, with the further packages $2; slim as the official image is.
bootstrap() {
    local uri
    uri=$(mirror "$1")
    [[ -n $uri ]] || fail "apt knows no mirror for $1: run apt-get update"
    root=$(mktemp -d "$cache/root.XXXXXX")
    mkdir -p "$cache/debs"
    timeout 900 debootstrap --variant=minbase ${2:+--include="$2"} --cache-dir="$cache/debs" \
        "$1" "$root" "$uri" >"$cache/debootstrap.log" ||
        fail "debootstrap failed: see $cache/debootstrap.log"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,info,locale,man}/*
    chmod 755 "$root"
}

# $root becomes the image $1, with the further settings given.
commit_root() {
    local container tree
    container=$("${buildah[@]}" from scratch)
    containers+=("$container")
    tree=$("${buildah[@]}" mount "$container")
    cp -a "$root/." "$tree/"
    "${buildah[@]}" config --cmd bash "${@:2}" "$container"
    "${buildah[@]}" commit --quiet --rm "$container" "$1" >/dev/null
    containers=()
    rm -rf --one-file-system "$root"
    root=
}

# This machine's own toolchain, where the official Rust image has it.
copy_toolchain() {
    local sysroot name
    sysroot=$(rustc --print sysroot)
    name=$(basename "$sysroot")
    mkdir -p "$root/usr/local/rustup/toolchains/$name" "$root/usr/local/cargo/bin"
    tar -C "$sysroot" --exclude=./share -c . | tar -C "$root/usr/local/rustup/toolchains/$name" -x
    printf 'version = "12"\nprofile = "minimal"\ndefault_toolchain = "%s"\n' "$name" \
        >"$root/usr/local/rustup/settings.toml"
    install -m 755 "$(command -v rustup)" "$root/usr/local/cargo/bin/rustup"
    ln -s rustup "$root/usr/local/cargo/bin/cargo"
    ln -s rustup "$root/usr/local/cargo/bin/rustc"
}

make_base_images() {
    local suite=${1##*:} rust_version
    suite=${suite%-slim}
    if ! "${buildah[@]}" inspect --type image "$1" >/dev/null 2>&1; then
        say "making $1"
        bootstrap "$suite" ''
        commit_root "$1"
    fi
    if ! "${buildah[@]}" inspect --type image "$2" >/dev/null 2>&1; then
        say "making $2"
        rust_version=$(rustc --version | cut -d' ' -f2)
        [[ $2 == *:"$rust_version"-* ]] || say "note: this machine's Rust is $rust_version, the Dockerfile's is ${2##*:}"
        bootstrap "$suite" ca-certificates,gcc,libc6-dev
        copy_toolchain
        commit_root "$2" --env RUSTUP_HOME=/usr/local/rustup --env CARGO_HOME=/usr/local/cargo \
            --env PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    fi
}

# Crates come from where they come from on this machine: its cargo settings and its CAs.
build_image() {
    local file volumes=() cargo_home=${CARGO_HOME:-$HOME/.cargo}
    local authorities=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
    mkdir -p "$cache/registry"
    volumes+=(--volume "$cache/registry:/usr/local/cargo/registry")
    volumes+=(--volume "$authorities:/etc/ssl/certs/ca-certificates.crt:ro")
    for file in config.toml config; do
        [[ ! -f $cargo_home/$file ]] || volumes+=(--volume "$cargo_home/$file:/usr/local/cargo/$file:ro")
    done
    # Only Docker's format can carry a health check.
    timeout 2400 "${buildah[@]}" bud --pull=never --layers=false --format docker "${volumes[@]}" \
        ${VERSION:+--build-arg "VERSION=$VERSION"} ${REVISION:+--build-arg "REVISION=$REVISION"} --tag "$image" .
}

# Processes below $1, itself left out.
descendants() {
    local child
    for child in $(pgrep -P "$1" || true); do
        echo "$child"
        descendants "$child"
    done
}

# A value of the image's own settings, a list as words.
setting() { "${buildah[@]}" inspect --type image --format "{{$1}}" "$image"; }
words() { setting "range $1}}{{.}} {{end"; }

run_in() {
    "${buildah[@]}" run --env "WAYBILL_LISTEN=127.0.0.1:$public_port" \
        --env "WAYBILL_ADMIN_LISTEN=127.0.0.1:$admin_port" "${containers[0]}" "$@"
}

start_server() {
    local pid try command
    containers+=("$("${buildah[@]}" from --pull=never "$image")")
    # buildah knows no entry point at run time: the image's own words are given to it.
    read -ra command <<<"$(words .OCIv1.Config.Entrypoint)$(words .OCIv1.Config.Cmd)"
    run_in "${command[@]}" >"$cache/server.log" 2>&1 &
    runner=$!
    for ((try = 0; try < 300; try++)); do
        kill -0 "$runner" 2>/dev/null || break
        if curl -fsS -o /dev/null "http://127.0.0.1:$public_port/readyz" 2>/dev/null; then
            for pid in $(descendants "$runner"); do
                [[ $(readlink "/proc/$pid/exe") != */usr/local/bin/waybill ]] || server=$pid
            done
            [[ -n $server ]] || fail "something else answers on port $public_port"
            return
        fi
        sleep 0.1
    done
    cat "$cache/server.log" >&2
    fail 'the server did not become ready'
}

check_server() {
    local wanted got uid health
    uid=$(awk '$1 == "Uid:" { print $2 }' "/proc/$server/status")
    [[ $uid -ne 0 ]] || fail 'the server runs as root'
    echo "runs as uid $uid"

    wanted='{"tracking_number":"TN12345678","carrier":"DHL","status":"in-transit","sender_address":"Street 1, 10115 Berlin, Germany","receiver_address":"Street 10, 75001 Paris, France","articles":[{"name":"Laptop","quantity":1,"price":800,"SKU":"LP123"},{"name":"Mouse","quantity":1,"price":25,"SKU":"MO456"}]}'
    got=$(curl -fsS --max-time 5 "http://127.0.0.1:$public_port/v1/shipments/dhl/tn12345678")
    [[ $got == "$wanted" ]] || fail "a wrong answer: $got"
    echo 'answers a lookup from the data in the image'

    health=$(words .Docker.Config.Healthcheck.Test)
    [[ $health == 'CMD waybill health ' ]] || fail "an unexpected health check: $health"
    run_in waybill health || fail 'the health check fails while the server serves'
    echo 'the health check passes'

    [[ $(setting '.OCIv1.Config.StopSignal') == SIGTERM ]] || fail 'the stop signal is not SIGTERM'
}

stop_server() {
    local status=0 try
    kill -TERM "$server"
    for ((try = 0; try < 300; try++)); do
        kill -0 "$runner" 2>/dev/null || break
        sleep 0.1
    done
    [[ ! -e /proc/$server ]] || fail 'the server still runs 30 s after SIGTERM'
    wait "$runner" || status=$?
    runner=
    server=
    [[ $status -eq 0 ]] || fail "SIGTERM ended the server with status $status"
    echo 'SIGTERM ends it with status 0'
    ! run_in waybill health 2>/dev/null || fail 'the health check passes with no server'
    echo 'the health check fails once it is gone'
}

check_files() {
    local tree
    tree=$("${buildah[@]}" mount "${containers[0]}")
    [[ ! -e $tree/usr/bin/curl ]] || fail 'curl is in the image'
    [[ -z $(find "$tree/data" -mindepth 1) ]] || fail '/data is not empty'
    echo 'no curl in the image'
    du -h --apparent-size "$tree/usr/local/bin/waybill" | awk '{ print "binary: " $1 }'
    "${buildah[@]}" images --format 'image: {{.Size}}' "$image"
    # The images that this build's replaced.
    "${buildah[@]}" rmi --prune >/dev/null
}

[[ $EUID -eq 0 ]] || fail 'needs root'
for tool in apt-get buildah curl debootstrap flock pgrep rustc rustup; do
    command -v "$tool" >/dev/null || fail "$tool is missing: see the top of this file"
done
mkdir -p "$cache"
exec 9>"$cache/lock"
flock --wait 60 9 || fail "another run uses $cache"
# What a run that was killed has left.
"${buildah[@]}" rm --all >/dev/null
rm -rf --one-file-system "$cache"/root.*

builder=$(sed -n 's/^FROM \(.*\) AS build$/\1/p' Dockerfile)
base=$(sed -n 's/^FROM \([^ ]*\)$/\1/p' Dockerfile)
make_base_images "$base" "$builder"
say "building $image"
started=$SECONDS
build_image
echo "built in $((SECONDS - started)) s"
say "proving $image"
start_server
check_server
stop_server
check_files
[[ -z ${IMAGE_ARCHIVE:-} ]] ||
    "${buildah[@]}" push --quiet "$image" "docker-archive:$IMAGE_ARCHIVE:waybill:${VERSION:-dev}"
