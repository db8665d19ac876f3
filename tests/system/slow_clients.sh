#!/usr/bin/env bash
# Slow clients of each kind: they dribble a head (slowhttptest -H) or a body (-B), or hardly take an answer (-X), or hold
# connections on which they never asked, or asked once. Meanwhile others ask on and are all answered; the slow ones are
# gone in time, with what they cost; and when clients in the middle of requests have used up the descriptors, waiting costs
# the server next to nothing, operators are heard, and it takes new clients as soon as others leave. How much longer others wait, by p99, is printed, and fails nothing:
# that is for a quiet machine to say.
#
# Needs curl, jq, python3, slowhttptest, ss, wrk and a release build. WAYBILL_BIN is the binary, SLOW how many clients
# dribble, IDLE how many idle, ROUNDS how often each kind is measured, CPU_SECONDS how long the accepting, and
# SLACK_SECONDS how late things may be: a busy machine is late.
# Full form, some five minutes: SLOW=1000 IDLE=10000 ROUNDS=5 CPU_SECONDS=10 SLACK_SECONDS=1
readonly seconds_max=${SECONDS_MAX:-900}
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

slow=${SLOW:-200}
idle=${IDLE:-1000}
rounds=${ROUNDS:-1}
cpu_seconds=${CPU_SECONDS:-3}
slack_seconds=${SLACK_SECONDS:-5}
# What a connection may do so long; requests are measured for a part of that.
readonly limit_seconds=5 measured_seconds=3
# Resident memory of a connection that idles or dribbles, in bytes, and of one that owes an answer of 322 KB.
readonly idle_bytes_max=65536 slow_read_bytes_max=1048576
readonly descriptors=64 crowd=200 accepting_percent_max=5 relief_seconds=1
ulimit -n "$(ulimit -Hn)"
(($(ulimit -n) > idle + 1000)) || fail "$(ulimit -n) open files are too few for $idle connections"

"$bin" generate --shipments 20000 --seed 1 --output "$dir/data.csv"
cat >"$dir/report.lua" <<'LUA'
function done(summary, latency)
    local errors = 0
    for _, kind in ipairs({"connect", "read", "write", "status", "timeout"}) do
        errors = errors + summary.errors[kind]
    end
    io.stderr:write(string.format("%d %d %d\n", latency:percentile(99), summary.requests, errors))
end
LUA

# Starts a server with these arguments in place of the command line's beginning; sets server, public and admin.
serve() {
    local line
    rm -f "$dir/log"
    mkfifo "$dir/log"
    "$@" serve --data "$dir/data.csv" --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --log-format json \
        --threads 2 "${limits[@]}" 2>"$dir/log" &
    server=$!
    pids=("$server")
    exec {log}<"$dir/log"
    while read -r -t 60 -u "$log" line; do
        if [[ $line == *'"message":"listening"'* ]]; then
            public=$(jq -r .fields.public <<<"$line")
            admin=$(jq -r .fields.admin <<<"$line")
        fi
        [[ $line != *'"message":"serving"'* ]] || break
    done
    # What it logs from now on is not needed.
    cat <&"$log" >/dev/null &
    lookup=$(awk -F, 'NR == 2 { print $2 "\t" $1 }' "$dir/data.csv" | jq -rR 'split("\t") | map(@uri) | join("/")')
    lookup=http://$public/v1/shipments/$lookup
}
end() {
    kill -TERM "$server"
    wait "$server" || fail "the server ended with status $?"
    pids=()
    exec {log}<&-
}
metric() { curl -fsS "http://$admin/metrics" | awk -v name="waybill_http_connections$1" '$1 == name { print $2 }'; }
resident() { awk '$1 == "VmRSS:" { print $2 * 1024 }' "/proc/$server/status"; }
now() { date +%s.%N; }
since() { jq -n "$(now) - $1"; }
is_true() { jq -en "$1" >/dev/null; }

# Asks over eight connections; prints the p99 in µs.
ask() { # whom
    local p99 requests errors
    wrk --threads 1 --connections 8 --duration "${measured_seconds}s" --script "$dir/report.lua" "$lookup" \
        >/dev/null 2>"$dir/wrk"
    read -r p99 requests errors <"$dir/wrk"
    ((requests > 0 && errors == 0)) || fail "others, with $1: $requests requests, $errors of them without their answer"
    echo "$p99"
}

# Waits until the server has as few connections as before; sets `gone` to the seconds since `opened`.
wait_until_gone() {
    while gone=$(since "$opened"); (($(metric "") > before)); do
        is_true "$gone < $limit_seconds + $slack_seconds" ||
            fail "$kind: $(metric "") connections are there $gone s after the last began, $before were before"
        sleep 0.1
    done
}

# Clients of one kind against a server of its own. Adds a line to $dir/KIND.
measure() { # kind
    kind=$1
    local phase count=$slow path=/v1/shipments/a/b client quiet_us loaded_us bytes rss timed_out tries line how
    case $kind in
        slow-head) phase=header how=(-H -i 1) ;;
        slow-body) phase=body how=(-B -i 1 -f application/json -s 100000) path=/v1/lookup ;;
        slow-read) phase=write how=(-X -w 256 -y 512 -n 1 -z 32) path='/v1/shipments?limit=1000' ;;
        unasked) phase=header count=$idle ;;
        asked) phase=idle count=$idle ;;
    esac
    serve "$bin"
    ask "nobody else, first" >/dev/null
    before=$(metric "")
    rss=$(resident)
    if [[ $kind == *asked ]]; then
        coproc CLIENT { exec python3 tests/system/slow_clients/hold.py "${public%:*}" "${public#*:}" "$count" "$kind"; }
        client=$CLIENT_PID
        read -r -t 60 -u "${CLIENT[0]}" line
        [[ $line == open ]] || fail "$kind: $line"
    else
        slowhttptest "${how[@]}" -c "$count" -r "$count" -l 60 -u "http://$public$path" >"$dir/slowhttptest" 2>&1 &
        client=$!
    fi
    pids+=("$client")
    # While they are being accepted, others wait among them.
    for ((tries = 0; tries < 10 * limit_seconds; tries++)); do
        (($(metric "") < before + count)) || break
        sleep 0.1
    done
    opened=$(now)
    bytes=$((($(resident) - rss) / count))
    loaded_us=$(ask "$kind")
    wait_until_gone
    quiet_us=$(ask "nobody else")
    timed_out=$(metric "_timed_out_total{phase=\"$phase\"}")
    ((timed_out >= count)) || fail "$kind: $timed_out of $count connections were ended for their slowness"
    # What the kernel still offers to a client takes memory, too; one byte is the end of a connection.
    line=$(ss -Htn exclude listening exclude time-wait "sport = :${public#*:}" | awk '$3 > 1' | wc -l)
    ((line == 0)) || fail "$kind: the kernel still has answers for $line connections"
    (($(metric '_rejected_total{reason="accept_error"}') == 0)) || fail "$kind: connections were rejected"
    kill "$client" 2>/dev/null || true
    wait "$client" 2>/dev/null || true
    if [[ $kind == slow-read ]]; then
        ((bytes <= slow_read_bytes_max)) || fail "$kind: $bytes bytes a connection"
    else
        ((bytes <= idle_bytes_max)) || fail "$kind: $bytes bytes a connection"
    fi
    end
    echo "$quiet_us $loaded_us $gone $bytes $count" >>"$dir/$kind"
}

limits=(--header-timeout "${limit_seconds}s" --body-timeout "${limit_seconds}s" --idle-timeout "${limit_seconds}s"
    --write-timeout "${limit_seconds}s")
kinds=(slow-head slow-body slow-read unasked asked)
for ((round = 1; round <= rounds; round++)); do
    for kind in "${kinds[@]}"; do measure "$kind"; done
done
for kind in "${kinds[@]}"; do
    jq -rRsn --arg kind "$kind" '
        def median: sort | .[length / 2 | floor];
        [inputs | split("\n")[] | select(. != "") | split(" ") | map(tonumber)] |
        (map(.[0]) | median) as $quiet | (map(.[1]) | median) as $loaded |
        "\($kind): \(.[0][4]) connections, \(map(.[3]) | median) bytes each, gone after \(map(.[2]) | max * 100 | round / 100) s; " +
        "p99 of others \($loaded) µs, \($quiet) µs without: \($loaded / $quiet * 100 | round / 100)"' "$dir/$kind"
done

# All descriptors in use by requests that are on their way: nobody else is accepted until somebody leaves.
limits=(--header-timeout 10m --idle-timeout 10m --body-timeout 10m)
# shellcheck disable=SC2016
serve sh -c "ulimit -n $descriptors && exec \"\$0\" \"\$@\"" "$bin"
coproc CLIENT { exec python3 tests/system/slow_clients/hold.py "${public%:*}" "${public#*:}" "$crowd" crowd; }
client=$CLIENT_PID
pids+=("$client")
read -r -t 60 -u "${CLIENT[0]}" line
[[ $line == open ]] || fail "crowd: $line"
places=$(metric _max)
for ((tries = 0; tries < 600; tries++)); do
    (($(metric "") < places)) || break
    sleep 0.1
done
(($(metric "") >= places)) || fail "crowd: only $(metric "") of $places connections are open"
cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$server/stat"; }
ticks=$(cpu_ticks)
begun=$(now)
sleep "$cpu_seconds"
percent=$(jq -n "($(cpu_ticks) - $ticks) / $(getconf CLK_TCK) / $(since "$begun") * 10000 | round / 100")
is_true "$percent < $accepting_percent_max" || fail "crowd: $percent % CPU without descriptors"
curl -fsS -X POST "http://$admin/-/reload" >/dev/null || fail "crowd: operators are not heard"
echo leave >&"${CLIENT[1]}"
read -r -t 60 -u "${CLIENT[0]}" line || fail "crowd: nobody was answered after all had left"
relief=${line#answered }
is_true "$relief <= $relief_seconds + $slack_seconds" || fail "crowd: $relief s until somebody was answered"
wait "$client" || fail "crowd: $line"
end
echo "crowd: $crowd clients, $descriptors descriptors, $places places: $percent % CPU, served again after $relief s"
echo ok
