#!/usr/bin/env bash
# The real logrotate, with the file of deploy/, rotates the access log of a server that responds all the while: every
# response has its line, in order, in one of the files, and nothing is loaded again.
#
# Needs curl, jq, logrotate, and a release build. WAYBILL_BIN is the binary, ROTATIONS how often it rotates.
readonly seconds_max=60
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

readonly rotations=${ROTATIONS:-5}
mkdir -m 700 "$dir/logs"
start_server --data seed_data.csv --admin-listen 127.0.0.1:0 --threads 1 --access-log "$dir/logs/access.log"

# As it is shipped, but for what the host has: the folder, and a service manager.
sed -e "s|/var/log/waybill/|$dir/logs/|" -e "s|systemctl kill .*|kill -USR1 $server|" deploy/logrotate/waybill \
    >"$dir/logrotate"
(($(grep -c "kill -USR1 $server" "$dir/logrotate") == 1)) || fail "no signal in deploy/logrotate/waybill"

# Numbered requests, one after the other, until told to stop.
: >"$dir/go"
(
    number=0
    while [[ -e $dir/go ]]; do
        for _ in {1..50}; do echo "url = http://$public/v1/shipments/$((++number))"; done >"$dir/urls"
        curl -s -K "$dir/urls" >/dev/null || exit 1
    done
    echo "$number" >"$dir/requests"
) &
requests=$!
pids+=("$requests")

lines() { cat "$dir"/logs/access.log* 2>/dev/null | wc -l; }
for ((rotation = 1; rotation <= rotations; rotation++)); do
    before=$(lines)
    until (($(lines) > before + 50)); do :; done
    # A date of its own for each, as days would have.
    sed -i "s|dateformat .*|dateformat -$rotation-%Y%m%d|" "$dir/logrotate"
    logrotate --force --state "$dir/state" "$dir/logrotate" || fail "logrotate: $?"
    until [[ -s $dir/logs/access.log ]]; do :; done
done
rm "$dir/go"
wait "$requests" || fail "a request was not answered"
state=$(curl -s "http://$admin/-/dataset")
[[ $(jq .last_reload,.generation <<<"$state") == $'null\n1' ]] || fail "a reload: $state"
kill -TERM "$server"
wait "$server" || fail "the server ended with $?"

files=("$dir"/logs/access.log-*)
((${#files[@]} == rotations)) || fail "${#files[@]} rotated files: ${files[*]}"
for file in "${files[@]}"; do
    case $file in *.gz) zcat "$file" ;; *) cat "$file" ;; esac
done | cat - "$dir/logs/access.log" | jq -r 'select(.route == "/v1/shipments/{tracking_number}").path | split("/")[3]' >"$dir/seen"
seq "$(cat "$dir/requests")" | cmp - "$dir/seen" || fail "lines are lost, doubled or out of order"
[[ $(stat -c %a "$dir/logs/access.log") == "$(stat -c %a "${files[-1]}")" ]] || fail "the new file has another mode"
echo "ok: $(cat "$dir/requests") requests, $rotations rotations"
