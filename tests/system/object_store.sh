#!/usr/bin/env bash
# Loads from a server that speaks S3 (moto): an object changes, is looked at, is written again with the same bytes,
# vanishes, and cannot be had.
#
# Needs curl, gzip, jq, python3 with venv, and a build with `--features object-store`, for which WAYBILL_BIN is the
# binary; a debug build will do. SHIPMENTS is how many the largest object has.
readonly seconds_max=300
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

shipments=${SHIPMENTS:-100000}

python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check 'moto[server]==5.2.5'
# On a port of the system's choice, which its first line names.
mkfifo "$dir/storage.start"
PYTHONUNBUFFERED=1 "$dir/venv/bin/python" - >"$dir/storage.start" 2>"$dir/storage.log" <<'PY' &
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(server.port)
server.serve_forever()
PY
pids+=("$!")
exec {start}<"$dir/storage.start"
read -r -t 60 -u "$start" port || fail "storage does not start: $(cat "$dir/storage.log")"
storage=http://127.0.0.1:$port
key=exports/shipments.csv
url=s3://waybill/$key
export AWS_ENDPOINT=$storage AWS_ALLOW_HTTP=true AWS_REGION=us-east-1
export AWS_ACCESS_KEY_ID=waybill AWS_SECRET_ACCESS_KEY=secret

# Asks storage as an exporter does: a call of boto3, and the file that it sends.
s3() {
    "$dir/venv/bin/python" - "$storage" "$key" "$@" <<'PY'
import sys
import boto3

storage, key, call, *body = sys.argv[1:]
arguments = {} if call == "create_bucket" else {"Key": key}
if body:
    arguments["Body"] = open(body[0], "rb")
answer = getattr(boto3.client("s3", endpoint_url=storage), call)(Bucket="waybill", **arguments)
if call == "head_object":
    print(answer["LastModified"].strftime("%Y-%m-%dT%H:%M:%S.000Z"))
PY
}
put() { s3 put_object "$1"; }
# When storage says that the object was last written, as /-/dataset tells times.
modified_at() { s3 head_object; }
# Method, path and status of each request for the object.
asked() {
    sed 's/\x1b\[[0-9;]*m//g' "$dir/storage.log" |
        sed -n "s|.*\"\([A-Z]* /waybill/$key\) HTTP[^ ]* \([0-9]*\) .*|\1 \2|p"
}
generate() { "$bin" generate --shipments "$1" --seed "$2" --output "$dir/$2.csv"; }
for seed in 1 2; do generate 1000 "$seed"; done
generate "$shipments" 3
gzip "$dir/3.csv"
s3 create_bucket

# Refusals end a start, and say of what and why.
refused() { # reason, VARIABLE=VALUE…
    local reason=$1 status=0 said
    shift
    said=$(env "$@" "$bin" serve --data "$url" --listen 127.0.0.1:0 --admin-listen off 2>&1) || status=$?
    [[ $status == 1 && $said == *"error: cannot open $url: $reason"* ]] || fail "$reason expected, status $status: $said"
}
refused "there is no such object"
put "$dir/1.csv"
refused "storage cannot be reached" AWS_ENDPOINT=http://127.0.0.1:1
refused "the environment names an http:// address" AWS_ALLOW_HTTP=false
refused "the environment has no credentials" -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY \
    AWS_METADATA_ENDPOINT=http://127.0.0.1:1
url=s3://nobodys/$key refused "there is no such object"

version() { "$bin" check --format json "$1" | jq -er .version; }
[[ $(version "$url") == $(version "$dir/1.csv") ]] || fail "the object has another version than the file"

# As start_server, with a log that is kept.
mkfifo "$dir/server.log"
RUST_LOG=waybill=debug "$bin" serve --data "$url" --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --log-format json \
    --watch 100ms --max-removed-percent 100 2>"$dir/server.log" &
server=$!
pids+=("$server")
exec {log}<"$dir/server.log"
listening=$(wait_for listening)
wait_for serving | jq -e --arg url "$url" '.source == $url and .shipments == 1000' >/dev/null || fail "not the object"
admin=http://$(jq -r .admin <<<"$listening")
public=http://$(jq -r .public <<<"$listening")
reload() { curl -sS -X POST "$admin/-/reload"; }
served() { curl -fsS "$admin/-/dataset" | jq -er "$1"; }

[[ $(reload | jq -r .result) == unchanged ]] || fail "another reload"
put "$dir/2.csv"
[[ $(wait_for reloaded | jq .generation) == 2 ]] || fail "not reloaded"
[[ $(served .version) == $(version "$dir/2.csv") && $(served .source) == "$url" ]] || fail "$(served .)"
loads=$(asked | grep -c '^GET .* 200$')
put "$dir/3.csv.gz"
wait_for reloaded | jq -e ".shipments == $shipments" >/dev/null || fail "not reloaded"
[[ $(served .version) == $(version "$dir/3.csv.gz") ]] || fail "$(served .)"

# Written again with the same bytes: as old as that, and not loaded again. Times of objects are whole seconds.
before=$(modified_at)
[[ $(served .modified_at) == "$before" ]] || fail "$(served .) but $before"
until [[ $(modified_at) != "$before" ]]; do put "$dir/3.csv.gz"; done
after=$(modified_at)
until [[ $(served .modified_at) == "$after" ]]; do wait_for "checked the source" >/dev/null; done
served '.generation == 3' >/dev/null || fail "$(served .)"

# Gone, and back: told of, and nothing else.
s3 delete_object
wait_for "object unavailable; what was served is still served" >/dev/null
reload | jq -e --arg says "cannot open $url: there is no such object" \
    '.status == 422 and .code == "dataset_unreadable" and (.detail | startswith($says))' >/dev/null || fail "$(reload)"
number=$(gzip -dc "$dir/3.csv.gz" | awk -F, 'NR == 2 { print $1 }')
curl -fsS "$public/v1/shipments/$number" >/dev/null || fail "not served any more"
put "$dir/3.csv.gz"
[[ $(reload | jq -r .result) == unchanged ]] || fail "another reload"

kill -TERM "$server"
wait "$server" || fail "the server ended with status $?"
# Each change was loaded once, by one request, and looks that saw nothing new transferred nothing.
now=$(asked | grep -c '^GET .* 200$')
((now == loads + 2)) || fail "$((now - loads)) loads where 2 were expected: $(asked)"
echo "ok: $(asked | grep -c '^HEAD .* 200$') looks, $now loads"
