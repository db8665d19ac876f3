# What the scripts here begin with, sourced: bounded in time by `seconds_max`, in the repository's folder, with a
# temporary folder `dir` that goes with the script, as do the processes in `pids`.
# shellcheck shell=bash
set -euo pipefail
# Nothing takes as long, whatever hangs.
[[ ${BOUNDED:-} ]] || BOUNDED=1 exec timeout --kill-after 10 "${seconds_max:?}" "$0"
cd "$(dirname "$0")/../.."

bin=$(realpath "${WAYBILL_BIN:-target/release/waybill}")
# The server takes it for a misspelled setting.
unset WAYBILL_BIN
dir=$(mktemp -d)
pids=()
clean_up() {
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
    rm -rf "$dir"
}
trap clean_up EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

# Starts a server on free ports with these arguments, and waits until it serves. Sets `server` to its process, `public`
# and `admin` to its addresses. What it logs from then on is dropped.
start_server() { # arguments of serve
    local line log
    mkfifo "$dir/log"
    "$bin" serve --listen 127.0.0.1:0 --log-format json "$@" 2>"$dir/log" &
    server=$!
    pids+=("$server")
    exec {log}<"$dir/log"
    public=
    while read -r -t 60 -u "$log" line; do
        case $(jq -r .fields.message <<<"$line") in
            listening) public=$(jq -r .fields.public <<<"$line") admin=$(jq -r .fields.admin <<<"$line") ;;
            serving) break ;;
        esac
    done
    [[ $public ]] || fail "the server does not listen"
    cat <&"$log" >/dev/null &
    exec {log}<&-
}

# The fields of the next line with this message in the log (JSON) that the descriptor $log leads to.
wait_for() {
    local line
    while read -r -t 60 -u "$log" line; do
        if [[ $(jq -r '.fields.message' <<<"$line") == "$1" ]]; then jq -c '.fields' <<<"$line"; return; fi
    done
    fail "the log ends, or waits, before: $1"
}
