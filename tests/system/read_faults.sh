#!/usr/bin/env bash
# Makes each call by which a load opens, looks at and reads its file fail, one after the other, at the start and during
# reloads: the start ends with status 1, a reload changes nothing, and either says which operation failed on which file.
#
# Needs strace, curl, jq and a build. WAYBILL_BIN is the binary. Where the system lets nobody trace, it says so and ends
# with status 0.
readonly seconds_max=300
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

# More calls of a kind than a load makes.
readonly calls_max=20

if ! strace -f -o /dev/null true 2>"$dir/why"; then
    echo "SKIPPED: read_faults: this system does not let strace trace: $(tail -n 1 "$dir/why")"
    exit 0
fi

data=$dir/data.csv
"$bin" generate --shipments 20 --seed 1 --output "$data"
# Not just now: what was written just now is looked at a little later.
touch -d '1 hour ago' "$data"

# Call, error, and the operation that the message names; `-` for what must not matter. The first looks at the file, for
# its stamp and to estimate what it will take, decide nothing that cannot be decided later.
faults() {
    local error
    for error in EACCES ELOOP EMFILE ENOENT ENOSPC EIO; do echo "openat $error open"; done
    for error in EIO EACCES; do echo "statx $error stat"; done
    for error in EIO EISDIR ENOSPC ESTALE; do echo "read $error read"; done
    for error in EIO ESTALE; do echo "pread64 $error read"; done
    echo "read EINTR -"
    echo "pread64 EINTR -"
}
declare -rA harmless_looks=([statx]=2 [openat]=1 [pread64]=1 [read]=0)
# Before all that, a start looks whether there is a file that it can open. (Calls are counted by thread, and the load has
# its own.)
declare -rA looks_of_start=([statx]=1 [openat]=1 [pread64]=0 [read]=0)
is_harmless() { # call number operation
    [[ $3 == - || $2 -le ${harmless_looks[$1]} ]]
}
inject() { # call error number: options of strace
    echo -f -o "$dir/calls" -P "$data" -e "trace=$1" -e "inject=$1:error=$2:when=$3"
}
was_injected() { grep -q '(INJECTED)' "$dir/calls"; }
serve=("$bin" serve --data "$data" --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --threads 1 --log-format json)

# Starts with a fault; sets `status` to how that ended, 0 if it served.
start_with() { # call error number
    local line
    : >"$dir/calls"
    rm -f "$dir/log"
    mkfifo "$dir/log"
    # With -D the child is the server, not strace.
    # shellcheck disable=SC2046
    strace -D $(inject "$@") "${serve[@]}" 2>"$dir/log" &
    local server=$!
    pids=("$server")
    while read -r -t 60 line; do
        echo "$line"
        [[ $line != *'"message":"serving"'* ]] || kill -TERM "$server"
    done <"$dir/log" >"$dir/said"
    status=0
    wait "$server" || status=$?
    pids=()
}

starts=0
while read -r call error operation; do
    for ((number = 1; ; number++)); do
        start_with "$call" "$error" "$number"
        was_injected || break
        ((++starts))
        what="start with $error of $call $number"
        if ((number > looks_of_start[$call])) && is_harmless "$call" "$number" "$operation"; then
            [[ $status == 0 ]] || fail "$what: status $status: $(cat "$dir/said")"
        else
            [[ $status == 1 ]] || fail "$what: status $status: $(cat "$dir/said")"
            grep -q "^error: cannot $operation $data: " "$dir/said" || fail "$what: $(cat "$dir/said")"
        fi
        ((number < calls_max)) || fail "$call was made over $calls_max times"
    done
    ((number > 1)) || fail "$call is not called: this script looks for another"
    [[ $status == 0 ]] || fail "start without a fault: $(cat "$dir/said")"
done < <(faults)

# The same during reloads, each of another file than the one that is served.
"$bin" generate --shipments 21000 --seed 1 --output "$dir/large.csv"
cp "$data" "$dir/small.csv"
touch -d '1 hour ago' "$dir/large.csv" "$dir/small.csv"
files=(small large)
next_file() {
    files=("${files[1]}" "${files[0]}")
    cp --preserve=timestamps "$dir/${files[0]}.csv" "$dir/next.csv"
    mv "$dir/next.csv" "$data"
}
mkfifo "$dir/server.log"
"${serve[@]}" --max-removed-percent 100 2>"$dir/server.log" &
server=$!
pids=("$server")
exec {log}<"$dir/server.log"
listening=$(wait_for listening)
wait_for serving >/dev/null
public=http://$(jq -r .public <<<"$listening")
admin=http://$(jq -r .admin <<<"$listening")
number=$(awk -F, 'NR == 2 { print $1 }' "$data")
served() {
    curl -fsS "$public/v1/dataset" "$public/v1/shipments/$number"
    curl -fsS "$admin/-/dataset" | jq -c 'del(.last_reload)'
}
served >"$dir/before"
next_file

# Reloads with a fault; sets `code` to the answer's status.
reload_with() { # call error number dry_run
    local line tracer
    : >"$dir/calls"
    rm -f "$dir/strace"
    mkfifo "$dir/strace"
    # shellcheck disable=SC2046
    strace $(inject "$@") -p "$server" 2>"$dir/strace" &
    tracer=$!
    pids+=("$tracer")
    exec {attached}<"$dir/strace"
    read -r -t 60 -u "$attached" line
    [[ $line == *attached* ]] || fail "$line"
    code=$(curl -sS -o "$dir/answer" -w '%{http_code}' -X POST "$admin/-/reload?dry_run=$4")
    kill -INT "$tracer"
    wait "$tracer" || true
    exec {attached}<&-
    pids=("$server")
}

reloads=0
while read -r call error operation; do
    for ((calls = 1; ; calls++)); do
        # What does not fail must not be served either: the next fault needs the other file.
        dry_run=false
        if is_harmless "$call" "$calls" "$operation"; then dry_run=true; fi
        reload_with "$call" "$error" "$calls" "$dry_run"
        what="reload with $error of $call $calls"
        if [[ $dry_run == true ]] || ! was_injected; then
            [[ $code == 200 ]] || fail "$what: $code $(cat "$dir/answer")"
        else
            jq -e --arg says "cannot $operation $data: " \
                '.status == 422 and .code == "dataset_unreadable" and (.detail | startswith($says))' "$dir/answer" \
                >/dev/null || fail "$what: $code $(cat "$dir/answer")"
        fi
        was_injected || break
        ((++reloads))
        served >"$dir/after"
        cmp -s "$dir/before" "$dir/after" || fail "$what changed what is served: $(cat "$dir/after")"
        ((calls < calls_max)) || fail "$call was made over $calls_max times"
    done
    if [[ $dry_run == false ]]; then
        served >"$dir/before"
        next_file
    fi
done < <(faults)

kill -TERM "$server"
wait "$server" || fail "the server ended with status $?"
pids=()
((starts > 20 && reloads > 20)) || fail "only $starts and $reloads faults"
echo "ok: $starts faults at the start, $reloads during reloads"
