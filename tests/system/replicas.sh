#!/usr/bin/env bash
# Four replicas behind nginx, then behind HAProxy, each with its file of deploy, under load: one replica is killed and
# started again, one is ended by SIGTERM and started again, and all are reloaded in turn with changed data. No lookup
# may fail. Prints requests/s, failures, and what proxy and replicas cost.
#
# Needs nginx, HAProxy, wrk, curl, jq and a release build. WAYBILL_BIN is the binary, PROXIES which of the two,
# SHIPMENTS how many shipments, ROUNDS how often all of this is done. Full form: SHIPMENTS=1000000 ROUNDS=3
readonly seconds_max=${SECONDS_MAX:-1800}
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

proxy=
# nginx takes its workers along only where it ends in order.
end_proxy() {
    [[ $proxy ]] || return 0
    kill -TERM "$proxy" 2>/dev/null || true
    wait "$proxy" 2>/dev/null || true
    proxy=
}
trap 'end_proxy; clean_up' EXIT

shipments=${SHIPMENTS:-20000}
rounds=${ROUNDS:-1}
keys=1000
drain=3s
# Lookups that a replica answers before it counts as back.
back=200

"$bin" generate --shipments "$shipments" --seed 1 --output "$dir/a.csv"
awk 'NR > 1 { $0 = $0 "-b" } 1' "$dir/a.csv" >"$dir/b.csv"
serve_next() { cp "$dir/$1.csv" "$dir/next.csv" && mv "$dir/next.csv" "$dir/data.csv"; }
serve_next a
awk -F, -v every=$((shipments * 2 / keys)) 'NR > 1 && NR % every == 0 { print $2 "\t" $1 }' "$dir/a.csv" |
    jq -rR 'split("\t") | map(@uri) | "\(.[0])/\(.[1])", .[1], "nobody/\(.[1])" | "/v1/shipments/" + .' >"$dir/paths"

declare -A replica public=([1]=127.0.0.1:0 [2]=127.0.0.1:0 [3]=127.0.0.1:0 [4]=127.0.0.1:0) admin
# Starts a replica, or starts it again at the same address, and waits until it serves.
start() { # number
    local line message
    rm -f "$dir/log.$1"
    mkfifo "$dir/log.$1"
    "$bin" serve --data "$dir/data.csv" --threads 1 --listen "${public[$1]}" --admin-listen 127.0.0.1:0 \
        --drain-delay "$drain" --log-format json 2>"$dir/log.$1" &
    replica[$1]=$!
    pids+=($!)
    exec {log}<"$dir/log.$1"
    while read -r -t 60 -u "$log" line; do
        message=$(jq -r .fields.message <<<"$line")
        if [[ $message == listening ]]; then
            public[$1]=$(jq -r .fields.public <<<"$line")
            admin[$1]=$(jq -r .fields.admin <<<"$line")
        elif [[ $message == serving ]]; then
            cat <&"$log" >>"$dir/said" &
            return
        fi
    done
    fail "replica $1 does not serve"
}

cpu_ticks() { # processes, and what they have started
    local pid sum=0
    for pid in "$@" $(pgrep -P "$(IFS=,; echo "$*")" || true); do
        sum=$((sum + $(awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$pid/stat")))
    done
    echo "$sum"
}
ended_ticks=0
note_cpu_of() { ended_ticks=$((ended_ticks + $(cpu_ticks "${replica[$1]}"))); }

lookups_of() { # replica
    curl -fsS "http://${admin[$1]}/metrics" |
        awk '/^waybill_http_requests_total.*route="\/v1\/shipments\// { sum += $NF } END { print sum + 0 }'
}
# Waits until the proxy asks a replica again.
wait_for_lookups() { # replica
    local start since=$SECONDS
    start=$(lookups_of "$1")
    until (($(lookups_of "$1") >= start + back)); do
        kill -0 "$wrk" || fail "wrk has ended: $(cat "$dir/wrk.err")"
        ((SECONDS - since < 60)) || fail "replica $1 is not asked"
        sleep 0.05
    done
}

free_port() {
    local port
    for ((port = 22000 + RANDOM % 900; ; port++)); do
        if ! (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
    done
}
# A file of deploy, with the addresses of here.
configure() { # file
    sed -e "s/127\.0\.0\.1:18101/${public[1]}/" -e "s/127\.0\.0\.1:18102/${public[2]}/" \
        -e "s/127\.0\.0\.1:18103/${public[3]}/" -e "s/127\.0\.0\.1:18104/${public[4]}/" \
        -e "s/listen 8000/listen 127.0.0.1:$port/" -e "s/bind :8000/bind 127.0.0.1:$port/" \
        -e "s/127\.0\.0\.1:8404/127.0.0.1:$operators_port/" "$1"
}
start_proxy() { # nginx or haproxy
    if [[ $1 == nginx ]]; then
        configure deploy/nginx/waybill.conf >"$dir/proxy.conf"
        nginx -c "$dir/proxy.conf" -e "$dir/proxy.log" -g "daemon off; pid $dir/nginx.pid;" &
    else
        configure deploy/haproxy/replicated.cfg >"$dir/proxy.conf"
        haproxy -f "$dir/proxy.conf" 2>"$dir/proxy.log" &
    fi
    proxy=$!
    until curl -fsS -o "$dir/answer" "http://127.0.0.1:$port/readyz" 2>"$dir/why"; do
        kill -0 "$proxy" || fail "$1 does not run: $(cat "$dir/proxy.log")"
        sleep 0.05
    done
}

cat >"$dir/check.lua" <<'LUA'
local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init()
    paths, answered, wrong, example = {}, 0, 0, ""
    for path in io.lines(os.getenv("LOOKUP_DIR") .. "/paths") do
        table.insert(paths, path)
    end
end

function request()
    path = paths[math.random(#paths)]
    return wrk.format("GET", path)
end

function response(status, headers, body)
    answered = answered + 1
    if status ~= 200 and not (status == 404 and body:find("shipment_not_found", 1, true)) then
        wrong = wrong + 1
        example = status .. " " .. body
    end
end

function done(summary)
    local answered, wrong, errors = 0, 0, 0
    for _, thread in ipairs(threads) do
        answered = answered + thread:get("answered")
        wrong = wrong + thread:get("wrong")
        if thread:get("example") ~= "" then
            io.stderr:write("wrong answer: ", thread:get("example"), "\n")
        end
    end
    for _, kind in ipairs({"connect", "read", "write", "timeout"}) do
        errors = errors + summary.errors[kind]
    end
    io.stderr:write(string.format('{"answered":%d,"wrong":%d,"errors":%d,"seconds":%.1f}\n', answered, wrong,
        errors, summary.duration / 1e6))
end
LUA

reload_all() { # file
    local number versions
    serve_next "$1"
    for number in 1 2 3 4; do
        curl -fsS -X POST "http://${admin[$number]}/-/reload" >"$dir/report" || fail "replica $number refuses a reload"
        jq -e ".changed == $shipments" "$dir/report" >/dev/null || fail "reload of $number: $(cat "$dir/report")"
    done
    versions=$(for _ in {1..20}; do curl -fsS "http://127.0.0.1:$port/v1/dataset" | jq -r .version; done | sort -u)
    [[ $versions == "$(jq -r .version "$dir/report")" ]] || fail "versions after a reload of all: $versions"
}

under_load() { # proxy
    local round status report
    for ((round = 1; round <= rounds; round++)); do
        note_cpu_of 2
        kill -KILL "${replica[2]}"
        wait "${replica[2]}" 2>/dev/null || true
        # The others answer.
        wait_for_lookups 1
        start 2
        wait_for_lookups 2

        note_cpu_of 3
        kill -TERM "${replica[3]}"
        status=0
        wait "${replica[3]}" || status=$?
        [[ $status == 0 ]] || fail "replica 3 ended with status $status"
        wait_for_lookups 4
        start 3
        wait_for_lookups 3

        reload_all b
        wait_for_lookups 1
        reload_all a
        wait_for_lookups 4
    done
}

operators_port=$(free_port)
for name in ${PROXIES:-nginx haproxy}; do
    pids=()
    for number in 1 2 3 4; do start "$number"; done
    port=$(free_port)
    start_proxy "$name"
    [[ $name == nginx ]] || curl -fsS "http://127.0.0.1:$operators_port/metrics" |
        grep '^haproxy_server_status.*server="replica4".*state="UP".* 1$' >/dev/null || fail "no metrics of replica4"
    ended_ticks=0

    # wrk ends on SIGINT with its report.
    LOOKUP_DIR=$dir wrk --threads 1 --connections 32 --duration "${seconds_max}s" --script "$dir/check.lua" \
        "http://127.0.0.1:$port" >"$dir/wrk.out" 2>"$dir/wrk.err" &
    wrk=$!
    pids+=("$wrk")
    for number in 1 2 3 4; do wait_for_lookups "$number"; done
    under_load "$name"
    proxy_ticks=$(cpu_ticks "$proxy")
    replicas_ticks=$((ended_ticks + $(cpu_ticks "${replica[@]}")))
    wrk_ticks=$(cpu_ticks "$wrk")
    kill -INT "$wrk"
    wait "$wrk" || fail "wrk: $(cat "$dir/wrk.err")"
    report=$(tail -n 1 "$dir/wrk.err")
    jq -e '.answered > 1000 and .wrong == 0 and .errors == 0' <<<"$report" >/dev/null ||
        fail "$name: $(cat "$dir/wrk.err")"
    jq -r --arg name "$name" --argjson hz "$(getconf CLK_TCK)" --argjson proxy "$proxy_ticks" \
        --argjson replicas "$replicas_ticks" --argjson wrk "$wrk_ticks" '
        def share(ticks): "\(ticks * 100 / $hz / .seconds | round) %";
        "\($name): \(.answered) lookups in \(.seconds) s, \(.answered / .seconds | round)/s, "
        + "\(.wrong + .errors) failed; CPU of one core: proxy \(share($proxy)), replicas \(share($replicas)), "
        + "wrk \(share($wrk))"' <<<"$report"

    end_proxy
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
done
echo "ok: $rounds rounds, $shipments shipments"
