#!/usr/bin/env bash
# Reloads a server many times with data in which every shipment has changed, without and with --keep-previous, and checks
# its memory: never above what `waybill check` foretells, and soon after the last reload back at what it foretells for
# serving.
#
# Needs curl, jq and a release build. WAYBILL_BIN is the binary, RELOADS how many reloads, SHIPMENTS how many shipments.
# Full form, some minutes: RELOADS=50 SHIPMENTS=1000000
readonly seconds_max=${SECONDS_MAX:-900}
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

reloads=${RELOADS:-12}
shipments=${SHIPMENTS:-400000}
# The forecast is not exceeded by more, and at rest it is not missed by more from below: reloads leave some memory that
# the allocator cannot give back.
readonly tolerance_percent=20 rest_below_percent=10
# What the allocator keeps goes back to the system within so many seconds.
readonly settled_seconds=10

"$bin" generate --shipments "$shipments" --seed 1 --output "$dir/a.csv"
awk 'NR > 1 { $0 = $0 "-b" } 1' "$dir/a.csv" >"$dir/b.csv"
"$bin" check "$dir/a.csv" --format json >"$dir/check"

memory_kb() { # server field of /proc/…/status
    awk -v field="$2:" '$1 == field { print $2 }' "/proc/$1/status"
}
measure() { # name, forecasts of the peak and at rest, arguments of the server
    local name=$1 peak_bytes=$2 rest_bytes=$3 line server admin number second peak_kb peak_kb_max rest_kb rest_kb_min rest_kb_max file
    shift 3
    cp "$dir/a.csv" "$dir/data.csv"
    rm -f "$dir/log"
    mkfifo "$dir/log"
    "$bin" serve --data "$dir/data.csv" --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --log-format json "$@" \
        2>"$dir/log" &
    server=$!
    pids=("$server")
    exec {log}<"$dir/log"
    admin=
    while read -r -t 120 -u "$log" line; do
        [[ $line != *'"message":"listening"'* ]] || admin=http://$(jq -r .fields.admin <<<"$line")
        [[ $line != *'"message":"serving"'* ]] || break
    done
    [[ $admin ]] || fail "the server does not serve"
    # What it logs from now on is not needed.
    cat <&"$log" >/dev/null &
    for ((number = 1; number <= reloads; number++)); do
        file=$([[ $((number % 2)) == 1 ]] && echo b || echo a)
        cp "$dir/$file.csv" "$dir/next.csv"
        mv "$dir/next.csv" "$dir/data.csv"
        curl -fsS -X POST "$admin/-/reload" |
            jq -e ".result == \"ok\" and .changed == $shipments" >/dev/null || fail "$name: reload $number"
    done
    peak_kb=$(memory_kb "$server" VmHWM)
    peak_kb_max=$((peak_bytes / 1024 * (100 + tolerance_percent) / 100))
    ((peak_kb <= peak_kb_max)) || fail "$name: highest memory $peak_kb kB, $peak_kb_max kB foretold"
    rest_kb_max=$((rest_bytes / 1024 * (100 + tolerance_percent) / 100))
    rest_kb_min=$((rest_bytes / 1024 * (100 - rest_below_percent) / 100))
    for ((second = 0; second < settled_seconds; second++)); do
        rest_kb=$(memory_kb "$server" VmRSS)
        ((rest_kb > rest_kb_max)) || break
        sleep 1
    done
    ((rest_kb <= rest_kb_max)) || fail "$name: $rest_kb kB after $settled_seconds s, $rest_kb_max kB foretold"
    ((rest_kb >= rest_kb_min)) || fail "$name: $rest_kb kB at rest, $rest_kb_min kB foretold"
    kill -TERM "$server"
    wait "$server" || fail "$name: the server ended with status $?"
    pids=()
    exec {log}<&-
    echo "$name: $reloads reloads of $shipments shipments: highest $((peak_kb >> 10)) MiB" \
        "($((peak_bytes >> 20)) foretold), at rest $((rest_kb >> 10)) MiB ($((rest_bytes >> 20)) foretold)"
}

forecast() { jq "$1" "$dir/check"; }
measure plain "$(forecast .reload_peak_bytes)" "$(forecast .memory_bytes)"
measure keep-previous "$(forecast .reload_peak_with_previous_bytes)" "$(forecast '.memory_bytes + .dataset_bytes')" \
    --keep-previous
echo ok
