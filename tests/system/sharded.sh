#!/usr/bin/env bash
# Serves an export from four shards of two replicas each behind HAProxy with deploy/haproxy/sharded.cfg, of which only the
# ports are changed, and compares random lookups with the answers of a server that has all shipments. Under load a replica
# is killed and started again, then all replicas are reloaded one after the other with changed data: no answer is wrong, no
# request fails.
#
# Needs haproxy, wrk, curl, jq, python3 and a release build. WAYBILL_BIN is the binary, LOOKUPS how many lookups are compared,
# SHIPMENTS how many shipments, KILLS how many replicas are killed. Full form, some minutes:
# LOOKUPS=100000 SHIPMENTS=200000 KILLS=8 LOAD_SECONDS=20
readonly seconds_max=${SECONDS_MAX:-900}
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

lookups=${LOOKUPS:-4000}
shipments=${SHIPMENTS:-20000}
kills=${KILLS:-2}
# Of the load whose figures are printed.
readonly load_seconds=${LOAD_SECONDS:-5}
readonly shards=4 replicas="a b"

# Two exports of the same shipments: in the second each status ends in -b. Some numbers need escapes.
"$bin" generate --shipments "$shipments" --seed 1 --output "$dir/a.csv"
for number in 'x y' 'x/y' 'x+y' '50%' 'a&b=c' 'päckchen ß' 'посылка' '包裹' "q?#'" '..' '%41'; do
    for digit in 1 2 3 4 5 6 7 8; do echo "$number$digit,DHL,from,to,Laptop,1,800,LP1,scanned"; done
done >>"$dir/a.csv"
awk 'NR > 1 { $0 = $0 "-b" } 1' "$dir/a.csv" >"$dir/b.csv"
awk -F, 'NR > 1 { print $2 "\t" $1 }' "$dir/a.csv" | shuf -n 50000 --random-source="$dir/a.csv" >"$dir/numbers"
# These are rare, and asked for more often.
for ((again = 0; again < shipments / 400; again++)); do tail -n 88 "$dir/a.csv"; done |
    awk -F, '{ print $2 "\t" $1 }' >>"$dir/numbers"
cp "$dir/a.csv" "$dir/data.csv"

declare -A pid public admin
# Starts a server by the name $1 and waits until it listens.
start() { # name, file, address, arguments
    local name=$1 line
    mkfifo "$dir/log.$name"
    "$bin" serve --data "$2" --listen "$3" --admin-listen 127.0.0.1:0 --threads 1 --log-format json "${@:4}" \
        2>"$dir/log.$name" &
    pid[$name]=$!
    pids+=("$!")
    exec {log}<"$dir/log.$name"
    rm "$dir/log.$name"
    while read -r -t 60 -u "$log" line; do
        if [[ $line == *'"message":"listening"'* ]]; then
            public[$name]=$(jq -r .fields.public <<<"$line")
            admin[$name]=$(jq -r .fields.admin <<<"$line")
            cat <&"$log" >"$dir/said.$name" &
            exec {log}<&-
            return
        fi
    done
    fail "$name does not listen"
}
wait_until() { # what, command…
    local what=$1 tries
    shift
    for ((tries = 0; tries < 600; tries++)); do
        if "$@"; then return; fi
        sleep 0.1
    done
    fail "not in time: $what"
}

start whole-a "$dir/a.csv" 127.0.0.1:0
start whole-b "$dir/b.csv" 127.0.0.1:0
names=()
for ((shard = 0; shard < shards; shard++)); do
    for replica in $replicas; do
        names+=("$shard$replica")
        start "$shard$replica" "$dir/data.csv" 127.0.0.1:0 --shard "$shard/$shards"
    done
done

read -r proxy operators < <(python3 -c '
import socket
ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*("127.0.0.1:%d" % port.getsockname()[1] for port in ports))')
ports=(-e "s/127.0.0.1:8090$/$proxy/" -e "s/127.0.0.1:8091$/$operators/")
for ((shard = 0; shard < shards; shard++)); do
    ports+=(-e "s/127.0.0.1:81${shard}0$/${public[${shard}a]}/" -e "s/127.0.0.1:81${shard}1$/${public[${shard}b]}/")
done
sed "${ports[@]}" deploy/haproxy/sharded.cfg >"$dir/haproxy.cfg"
grep -Eq '^ *(bind|server) .*127.0.0.1:8[01]' "$dir/haproxy.cfg" && fail "a port was not changed: $(grep -E '^ *(bind|server) ' "$dir/haproxy.cfg")"
haproxy -q -c -f "$dir/haproxy.cfg"
haproxy -db -f "$dir/haproxy.cfg" 2>"$dir/haproxy.log" &
haproxy=$!
pids+=("$haproxy")

# Whether a replica is to HAProxy what $2 says.
is() { # name, UP or DOWN
    curl -sS "http://$operators/;csv" 2>/dev/null | awk -F, -v shard="shard${1::1}" -v server="${1:1}" -v state="$2" '
        $1 == shard && $2 == server && $18 ~ "^" state { found = 1 } END { exit !found }'
}
for name in whole-a whole-b; do wait_until "$name is ready" curl -fsS -o /dev/null "http://${public[$name]}/readyz"; done 2>/dev/null
for name in "${names[@]}"; do
    wait_until "$name is ready" curl -fsS -o /dev/null "http://${public[$name]}/readyz" 2>/dev/null
    wait_until "$name is up" is "$name" UP
done

# For a process of its own.
compare() { exec python3 tests/system/sharded/lookups.py "$@" "$dir/numbers" "$proxy" "${servers[@]}"; }
servers=("${public[whole-a]}")
report=$(compare --count "$lookups")
jq -e ".asked == $lookups and .wrong == 0 and .statuses[\"200\"] > .asked / 2 and .statuses[\"404\"] > 0" \
    <<<"$report" >/dev/null || fail "$report"
echo "lookups as of one server: $report"

# What cannot be routed by ASCII alone, or by one number, is misdirected at worst, and told where it belongs.
one_of() { # statuses, path, arguments of curl
    local status
    status=$(curl -sS -o "$dir/answer" -w '%{http_code}' "${@:3}" "http://$proxy$2")
    [[ " $1 " == *" $status "* ]] || fail "$2: $status $(cat "$dir/answer")"
    [[ $status != 421 ]] || jq -e '.code == "wrong_shard" and (.detail | test("shard [0-3] of 4"))' "$dir/answer" >/dev/null ||
        fail "$2: $(cat "$dir/answer")"
}
for digit in 1 2 3 4 5 6 7 8; do
    one_of "200 421" "/v1/shipments/dhl/P%C3%84CKCHEN%20%C3%9F$digit"
    one_of "200 421" "/v1/shipments/%20x%2fy$digit%09"
done
for path in /v1/shipments '/v1/facets?status=scanned' /shipment/list/; do one_of 421 "$path"; done
for path in / /browse /docs /openapi.json /livez /v1/dataset; do one_of 200 "$path"; done
batch_of() { jq -nc --arg numbers "$1" '{lookups: ($numbers | split(" ") | map({tracking_number: .}))}'; }
batch() { # statuses, numbers, arguments of curl
    one_of "$1" /v1/lookup -H 'Content-Type: application/json' -d "$(batch_of "$2")" "${@:3}"
}
# The shard of a number, as the first that is asked for another one says.
own=
for number in '50%1' '50%2' '50%3' '50%4' '50%5'; do
    for ((shard = 0; shard < shards; shard++)); do
        status=$(curl -sS -o /dev/null -w '%{http_code}' "http://${public[${shard}a]}/v1/shipments/$(jq -rn --arg n "$number" '$n | @uri')")
        [[ $status == 421 ]] || own+=" $shard"
    done
    batch 200 "$number" -H "Waybill-Shard: ${own##* }"
    batch 421 "$number" -H "Waybill-Shard: $(((${own##* } + 1) % shards))"
    batch "200 421" "$number"
done
[[ $(wc -w <<<"$own") == 5 && $(tr ' ' '\n' <<<"$own" | sort -u | wc -l) -gt 2 ]] || fail "shards of five numbers: $own"
batch 421 '50%1 50%2 50%3 50%4 50%5'

# Load: lookups by random paths. What it cannot tell (which answer belongs to which request) is compared beside it.
cat >"$dir/load.lua" <<'LUA'
local paths = {}
for line in io.lines(os.getenv("NUMBERS")) do
    local carrier, number = line:match("^([%w ]+)\t(%w+)$")
    if number then
        table.insert(paths, "/v1/shipments/" .. carrier:gsub(" ", "%%20") .. "/" .. number)
    end
end
function request()
    return wrk.format("GET", paths[math.random(#paths)])
end
function done(summary)
    local failed = 0
    for _, kind in ipairs({"connect", "read", "write", "status", "timeout"}) do
        failed = failed + summary.errors[kind]
    end
    local seconds = summary.duration / 1e6
    io.stderr:write(string.format('{"requests":%d,"per_second":%.0f,"failed":%d}\n', summary.requests, summary.requests / seconds, failed))
end
LUA
start_load() { # connections
    NUMBERS=$dir/numbers wrk --threads 1 --connections "$1" --duration "${seconds_max}s" --script "$dir/load.lua" "http://$proxy" \
        >"$dir/wrk.out" 2>"$dir/wrk.err" &
    wrk=$!
    pids+=("$wrk")
    wait_until "the load begins" is_loaded "$1"
}
is_loaded() { # connections
    curl -sS "http://$operators/;csv" |
        awk -F, -v least="$1" '$1 == "public" && $2 == "FRONTEND" && $5 >= least { found = 1 } END { exit !found }'
}
# wrk ends on SIGINT with its report.
end_load() {
    kill -INT "$wrk"
    wait "$wrk" || fail "wrk: $(cat "$dir/wrk.err")"
    load=$(tail -n 1 "$dir/wrk.err")
    jq -e '.requests > 100 and .failed == 0' <<<"$load" >/dev/null || fail "$1: $load $(cat "$dir/wrk.out")"
}
ticks() { # processes
    local process sum=0
    for process in "$@"; do sum=$((sum + $(awk '{ print $14 + $15 }' "/proc/$process/stat"))); done
    echo "$sum"
}
of_shards=()
for name in "${names[@]}"; do of_shards+=("${pid[$name]}"); done
start_load 32
used() { echo "$(ticks "$haproxy") $(ticks "${of_shards[@]}") $(ticks "$wrk")"; }
before=$(used)
sleep "$load_seconds"
after=$(used)
end_load "load alone"
awk -v before="$before" -v after="$after" -v load="$load" 'BEGIN {
    split(before, from, " "); split(after, to, " ")
    haproxy = to[1] - from[1]; waybill = to[2] - from[2]; wrk = to[3] - from[3]
    all = (haproxy + waybill + wrk) / 100
    printf "load alone: %s; CPU: haproxy %.0f %%, waybill %.0f %%, wrk %.0f %%\n", load, haproxy / all, waybill / all, wrk / all
}'

# Comparing goes on until it is told to end.
start_comparing() { compare --seed "$1" >"$dir/compared" & comparing=$!; pids+=("$comparing"); }
end_comparing() { # what
    kill -TERM "$comparing"
    wait "$comparing" || fail "$1: comparing ended with status $?"
    jq -e '.asked > 50 and .wrong == 0' "$dir/compared" >/dev/null || fail "$1: $(cat "$dir/compared")"
}

start_comparing 2
for ((kill = 0; kill < kills; kill++)); do
    name=${names[$(((kill * 3 + 5) % ${#names[@]}))]}
    start_load 16
    kill -KILL "${pid[$name]}"
    wait "${pid[$name]}" 2>/dev/null || true
    wait_until "$name is down" is "$name" DOWN
    start "$name" "$dir/data.csv" "${public[$name]}" --shard "${name::1}/$shards"
    wait_until "$name is up" is "$name" UP
    end_load "$name killed and started"
    echo "$name killed and started: $load"
done
end_comparing "killed and started"
echo "compared meanwhile: $(cat "$dir/compared")"

# From here on answers may be of either export.
servers=("${public[whole-a]}" "${public[whole-b]}")
start_comparing 3
start_load 16
cp "$dir/b.csv" "$dir/next.csv" && mv "$dir/next.csv" "$dir/data.csv"
changed=0
for name in "${names[@]}"; do
    answer=$(curl -fsS -X POST "http://${admin[$name]}/-/reload")
    jq -e '.result == "ok" and .changed > 0 and .added + .removed == 0' <<<"$answer" >/dev/null || fail "reload of $name: $answer"
    changed=$((changed + $(jq .changed <<<"$answer")))
done
end_load "rolling reload"
end_comparing "rolling reload"
[[ $changed == $(((shipments + 88) * 2)) ]] || fail "$changed shipments changed"
echo "rolling reload: $load; compared meanwhile: $(cat "$dir/compared")"
servers=("${public[whole-b]}")
report=$(compare --count 500 --seed 4)
jq -e '.asked == 500 and .wrong == 0' <<<"$report" >/dev/null || fail "after the reload: $report"

for name in "${!pid[@]}"; do kill -TERM "${pid[$name]}"; done
for name in "${!pid[@]}"; do wait "${pid[$name]}" || fail "$name ended with status $?"; done
echo ok
