#!/usr/bin/env bash
# Reloads a server a hundred times, by SIGHUP and by POST, while wrk looks shipments up, and checks that every answer
# is that of one of the two files. Every third file is broken and must change nothing.
#
# Needs wrk, curl, jq and a release build. WAYBILL_BIN is the binary, RELOADS how many reloads, SHIPMENTS how many
# shipments.
readonly seconds_max=300
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

reloads=${RELOADS:-100}
shipments=${SHIPMENTS:-20000}
keys=200

# Two files of the same shipments: in the second each status ends in -b.
"$bin" generate --shipments "$shipments" --seed 1 --output "$dir/a.csv"
awk 'NR > 1 { $0 = $0 "-b" } 1' "$dir/a.csv" >"$dir/b.csv"
{ cat "$dir/a.csv"; echo "TN1,DHL,from,to,Laptop,none,800,LP1,broken"; } >"$dir/broken.csv"
serve_next() { cp "$dir/$1.csv" "$dir/next.csv" && mv "$dir/next.csv" "$dir/data.csv"; }

# The log tells of each reload; it is read from here on.
mkfifo "$dir/log"
serve_next a
"$bin" serve --data "$dir/data.csv" --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --log-format json 2>"$dir/log" &
server=$!
pids+=("$server")
exec {log}<"$dir/log"

# The fields of the next log line whose message is one of those given.
wait_for() {
    local line message wanted
    while read -r -t 60 -u "$log" line; do
        message=$(jq -r '.fields.message' <<<"$line")
        for wanted in "$@"; do
            if [[ $message == "$wanted" ]]; then jq -c '.fields' <<<"$line"; return; fi
        done
    done
    fail "the log ends, or waits, before: $*"
}

listening=$(wait_for listening)
public=http://$(jq -r .public <<<"$listening")
admin=http://$(jq -r .admin <<<"$listening")
wait_for serving >/dev/null

# Both forms of lookup for some of the shipments, and what each answers from either file.
lookup_paths() {
    awk -F, -v every=$((shipments * 2 / keys)) 'NR > 1 && NR % every == 0 { print $2 "\t" $1 }' "$dir/a.csv" |
        jq -rR 'split("\t") | map(@uri) | "/v1/shipments/\(.[0])/\(.[1])", "/v1/shipments/\(.[1])"'
}
lookup_paths >"$dir/paths"
answers() { while read -r path; do curl -fsS "$public$path"; echo; done <"$dir/paths"; }
answers >"$dir/answers.a"
serve_next b
curl -fsS -X POST "$admin/-/reload" | jq -e ".result == \"ok\" and .changed == $shipments" >/dev/null || fail "first reload"
wait_for reloaded >/dev/null
answers >"$dir/answers.b"
[[ $(wc -l <"$dir/paths") -ge $keys ]] || fail "too few paths"
cmp -s "$dir/answers.a" "$dir/answers.b" && fail "both files give the same answers"

cat >"$dir/check.lua" <<'LUA'
local dir = os.getenv("LOOKUP_DIR")
local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init()
    paths, known, answered, wrong, example = {}, {}, 0, 0, ""
    math.randomseed(os.time())
    for path in io.lines(dir .. "/paths") do
        table.insert(paths, path)
    end
    for _, file in ipairs({"a", "b"}) do
        for answer in io.lines(dir .. "/answers." .. file) do
            known[answer] = true
        end
    end
end

function request()
    return wrk.format("GET", paths[math.random(#paths)])
end

function response(status, headers, body)
    answered = answered + 1
    if status ~= 200 or not known[body] then
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
    for _, kind in ipairs({"connect", "read", "write", "status", "timeout"}) do
        errors = errors + summary.errors[kind]
    end
    io.stderr:write(string.format('{"answered":%d,"wrong":%d,"errors":%d}\n', answered, wrong, errors))
end
LUA

# wrk ends on SIGINT with its report.
LOOKUP_DIR=$dir wrk --threads 1 --connections 16 --duration "${seconds_max}s" --script "$dir/check.lua" "$public" \
    >"$dir/wrk.out" 2>"$dir/wrk.err" &
wrk=$!
pids+=("$wrk")

generation=2
files=(a b)
for ((number = 1; number <= reloads; number++)); do
    if ((number % 3 == 0)); then
        file=broken
        outcome="not reloaded; what was served is still served"
        status=422
        last=failed
    else
        file=${files[generation % 2]}
        outcome=reloaded
        status=200
        last=ok
        ((++generation))
    fi
    serve_next "$file"
    if ((number % 2 == 0)); then
        kill -HUP "$server"
    else
        got=$(curl -sS -o "$dir/report" -w '%{http_code}' -X POST "$admin/-/reload")
        [[ $got == "$status" ]] || fail "reload $number of $file: $got $(cat "$dir/report")"
    fi
    wait_for "$outcome" >/dev/null
    state=$(curl -fsS "$admin/-/dataset")
    jq -e ".generation == $generation and .last_reload.result == \"$last\" and .shipments == $shipments" \
        <<<"$state" >/dev/null || fail "after reload $number of $file, generation $generation expected: $state"
done

kill -INT "$wrk"
wait "$wrk" || fail "wrk: $(cat "$dir/wrk.err")"
report=$(tail -n 1 "$dir/wrk.err")
jq -e ".answered > $reloads and .wrong == 0 and .errors == 0" <<<"$report" >/dev/null || fail "$(cat "$dir/wrk.err")"

kill -TERM "$server"
wait "$server" || fail "the server ended with status $?"
pids=()
echo "ok: $reloads reloads, generation $generation, $report"
