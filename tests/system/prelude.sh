# What the scripts here begin with, sourced: bounded in time by `seconds_max`, in the repository's folder, with a
# temporary folder `dir` that goes with the script, as do the processes in `pids`.
# shellcheck shell=bash
set -euo pipefail
# Nothing takes as long, whatever hangs.
[[ ${BOUNDED:-} ]] || BOUNDED=1 exec timeout --kill-after 10 "${seconds_max:?}" "$0"
cd "$(dirname "$0")/../.."

bin=$(realpath "${WAYBILL_BIN:-target/release/waybill}")
dir=$(mktemp -d)
pids=()
clean_up() {
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
    rm -rf "$dir"
}
trap clean_up EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
