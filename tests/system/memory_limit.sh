#!/usr/bin/env bash
# Serves in a control group (version 1 or 2) with too little memory: reloads that do not fit are refused with the figures,
# a start that does not fit ends with status 1, and nothing is ever killed.
#
# Needs root, curl, jq and a release build. Where no control group with a memory limit can be made, it says so and ends
# with status 0. WAYBILL_BIN is the binary, SHIPMENTS how many shipments. Full form: SHIPMENTS=1000000
readonly seconds_max=300
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

shipments=${SHIPMENTS:-300000}

group=
# A group can go once no process is in it.
trap 'clean_up; [[ -z $group ]] || rmdir "$group" || true' EXIT
skip() { echo "SKIPPED: memory_limit: $*"; exit 0; }

# A group below that of this script: limits above it go on to hold.
make_group() {
    local path root=/sys/fs/cgroup
    path=$(awk -F: '$2 ~ /(^|,)memory(,|$)/ { print $3 }' /proc/self/cgroup)
    if [[ $path ]]; then
        parent=$root/memory$path
        [[ -d $parent ]] || parent=$root/memory
        limit=memory.limit_in_bytes killed=memory.oom_control
    else
        parent=$root$(awk -F: '$1 == 0 { print $3 }' /proc/self/cgroup)
        [[ -d $parent ]] || parent=$root
        limit=memory.max killed=memory.events
    fi
    mkdir "$parent/waybill-$$" 2>"$dir/why" || skip "no group can be made: $(cat "$dir/why")"
    group=$parent/waybill-$$
    if [[ ! -e $group/$limit ]]; then
        echo +memory 2>/dev/null >"$parent/cgroup.subtree_control" || true
    fi
    [[ -w $group/$limit ]] || skip "groups below $parent have no memory limit"
}
make_group
kills() { awk '$1 == "oom_kill" { print $2 }' "$group/$killed"; }

# Runs a command there, in a process of the same number.
# shellcheck disable=SC2016
in_group=(bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group")
set_limit() { # MiB
    echo $(($1 << 20)) >"$group/$limit"
}
serving_arguments=(--data "$dir/data.csv" --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --threads 2 --log-format json)

# Starts in the group and waits until it serves; sets server, public and admin.
start() {
    local line
    rm -f "$dir/log" "$dir/said"
    mkfifo "$dir/log"
    "${in_group[@]}" "$bin" serve "${serving_arguments[@]}" 2>"$dir/log" &
    server=$!
    pids=("$server")
    exec {log}<"$dir/log"
    while read -r -t 120 -u "$log" line; do
        echo "$line" >>"$dir/said"
        if [[ $line == *'"message":"listening"'* ]]; then
            public=http://$(jq -r .fields.public <<<"$line")
            admin=http://$(jq -r .fields.admin <<<"$line")
        fi
        if [[ $line == *'"message":"serving"'* ]]; then
            cat <&"$log" >/dev/null &
            return
        fi
    done
    fail "it does not serve: $(cat "$dir/said")"
}
stop() {
    kill -TERM "$server"
    wait "$server" || fail "the server ended with status $?"
    pids=()
    exec {log}<&-
}

refused() { # what, what the detail says, as a regular expression
    local code
    code=$(curl -sS -o "$dir/answer" -w '%{http_code}' -X POST "$admin/-/reload?force=true")
    jq -e --arg says "$2" \
        '.status == 507 and .code == "insufficient_memory" and (.detail | test($says) and test("[0-9]+ MiB are left"))' \
        "$dir/answer" >/dev/null || fail "$1: $code $(cat "$dir/answer")"
    curl -fsS "$public/v1/dataset" >"$dir/after" || fail "$1: it serves no more"
    cmp -s "$dir/before" "$dir/after" || fail "$1: something else is served"
    [[ $(kills) == 0 ]] || fail "$1: $(kills) killed"
    echo "$1: $(jq -r .detail "$dir/answer")"
}

reload_fits() { # what
    curl -sS -o "$dir/answer" -X POST "$admin/-/reload"
    jq -e ".changed == $shipments" "$dir/answer" >/dev/null || fail "a reload that fits $1: $(cat "$dir/answer")"
    [[ $(kills) == 0 ]] || fail "$1: $(kills) killed"
    echo "a reload fits $1"
}

"$bin" generate --shipments "$shipments" --seed 1 --output "$dir/a.csv"
awk 'NR > 1 { $0 = $0 "-b" } 1' "$dir/a.csv" >"$dir/b.csv"
file_bytes=$(stat -c %s "$dir/a.csv")
# As large a file of far more shipments, which nothing foretells.
awk -v bytes="$file_bytes" 'BEGIN {
    print "tracking_number,carrier,sender_address,receiver_address,article_name,article_quantity,article_price,SKU,status"
    for (row = 0; written < bytes; row++) { line = sprintf("%x,A,,,,0,0,,", row); written += length(line) + 1; print line }
}' >"$dir/dense.csv"

# What is foretold, not what one process happens to hold: an allocator keeps more of a load on one machine than on another.
"$bin" check "$dir/a.csv" --format json >"$dir/foretold"
serving_mib=$(jq '.memory_bytes / 1048576 | floor' "$dir/foretold")
peak_mib=$(jq '.reload_peak_bytes / 1048576 | floor' "$dir/foretold")
# Enough to start, but not to load a second dataset beside the first.
tight_mib=$(((2 * serving_mib + 3 * peak_mib) / 5))
# Enough for another dataset like it, but not for one of far more shipments.
roomy_mib=$((peak_mib * 7 / 5))

# With too little for a second dataset it is refused.
cp "$dir/a.csv" "$dir/data.csv"
set_limit "$tight_mib"
start
curl -fsS "$public/v1/dataset" >"$dir/before"
cp "$dir/b.csv" "$dir/next.csv" && mv "$dir/next.csv" "$dir/data.csv"
refused "reload in $tight_mib MiB" "(memory runs out:|loading a file of)"
stop

# With what `waybill check` foretells, and a fifth more, it does, time after time.
cp "$dir/a.csv" "$dir/data.csv"
set_limit $(($("$bin" check "$dir/a.csv" --format json | jq .reload_peak_bytes) * 12 / 10 >> 20))
start
for file in b a b; do
    cp "$dir/$file.csv" "$dir/next.csv" && mv "$dir/next.csv" "$dir/data.csv"
    reload_fits "in what is foretold"
done
stop

# So it is with compressed files, by the size of their content.
gzip -1 -k "$dir/a.csv" "$dir/b.csv" "$dir/dense.csv"
cp "$dir/a.csv.gz" "$dir/data.csv"
set_limit $(($("$bin" check "$dir/a.csv.gz" --format json | jq .reload_peak_bytes) * 12 / 10 >> 20))
start
for file in b a b; do
    cp "$dir/$file.csv.gz" "$dir/next.csv" && mv "$dir/next.csv" "$dir/data.csv"
    reload_fits "in what is foretold of a compressed file"
done
curl -fsS "$public/v1/dataset" >"$dir/before"
cp "$dir/dense.csv.gz" "$dir/next.csv" && mv "$dir/next.csv" "$dir/data.csv"
refused "reload of a compressed file of unlike data" "(memory runs out:|loading a file of)"
stop
set_limit "$tight_mib"
cp "$dir/a.csv.gz" "$dir/data.csv"
start
curl -fsS "$public/v1/dataset" >"$dir/before"
cp "$dir/b.csv.gz" "$dir/next.csv" && mv "$dir/next.csv" "$dir/data.csv"
# Told before it starts or while it runs: what is left is within a few MiB of what is needed.
refused "reload of a compressed file in $tight_mib MiB" "(memory runs out:|loading a file of)"
# A bomb: most of its content is in the last part of the file, far more than the first part lets expect.
{
    head -n 20000 "$dir/a.csv"
    awk -v bytes=$((serving_mib << 22)) 'BEGIN {
        for (; written < bytes; number++) {
            rows = number ",A,,,,0,0,,\n"
            while (length(rows) < 300000) rows = rows rows
            printf "%s", rows
            written += length(rows)
        }
    }'
} | gzip -1 >"$dir/next.csv"
mv "$dir/next.csv" "$dir/data.csv"
refused "reload of a bomb in $tight_mib MiB" "(memory runs out:|loading a file of)"
stop

cp "$dir/a.csv" "$dir/data.csv"
set_limit "$roomy_mib"
start
curl -fsS "$public/v1/dataset" >"$dir/before"
cp "$dir/dense.csv" "$dir/next.csv" && mv "$dir/next.csv" "$dir/data.csv"
refused "reload of unlike data in $roomy_mib MiB" "(memory runs out:|loading a file of)"
cp "$dir/b.csv" "$dir/next.csv" && mv "$dir/next.csv" "$dir/data.csv"
reload_fits "after one that did not"
# The same, but what is unlike comes late.
{ head -n $((shipments / 2)) "$dir/a.csv"; tail -n +2 "$dir/dense.csv"; } | head -c "$file_bytes" >"$dir/next.csv" || true
mv "$dir/next.csv" "$dir/data.csv"
curl -fsS "$public/v1/dataset" >"$dir/before"
refused "reload of data that become unlike in $roomy_mib MiB" "memory runs out:"
stop

start_is_refused() { # what, what it says
    local status=0
    timeout 120 "${in_group[@]}" "$bin" serve "${serving_arguments[@]}" >"$dir/said" 2>&1 || status=$?
    [[ $status == 1 ]] || fail "$1: status $status: $(cat "$dir/said")"
    grep -Eq "^error: $2.*MiB are left" "$dir/said" || fail "$1: $(cat "$dir/said")"
    [[ $(kills) == 0 ]] || fail "$1: $(kills) killed"
    echo "$1: $(grep '^error: ' "$dir/said")"
}
set_limit "$tight_mib"
mv "$dir/dense.csv" "$dir/data.csv"
start_is_refused "start with unlike data in $tight_mib MiB" "(memory runs out:|loading a file of)"
# A file with holes, of which not even the least fits.
truncate -s $((serving_mib << 26)) "$dir/data.csv"
start_is_refused "start with a huge file" "loading a file of"
echo ok
