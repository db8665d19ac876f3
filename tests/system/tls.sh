#!/usr/bin/env bash
# Asks the server over TLS with curl, with HTTP/2 and HTTP/1.1, and loads it with h2load while its certificates are
# renewed and its data reloaded: nothing fails, and new connections see the new certificate.
#
# Needs curl, jq, h2load (nghttp2-client), openssl and a release build. WAYBILL_BIN is the binary, REQUESTS how many
# h2load makes of each kind. Full form: REQUESTS=1000000
readonly seconds_max=300
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

requests=${REQUESTS:-50000}

renew() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$dir/key.new" -out "$dir/certificate.new" 2>"$dir/openssl"
    mv "$dir/certificate.new" "$dir/certificate.pem"
    mv "$dir/key.new" "$dir/key.pem"
}
renew first

"$bin" generate --shipments 20000 --seed 1 --output "$dir/a.csv"
cp "$dir/a.csv" "$dir/data.csv"
start_server --data "$dir/data.csv" --admin-listen 127.0.0.1:0 \
    --tls-cert "$dir/certificate.pem" --tls-key "$dir/key.pem"

read -r number carrier < <(awk -F, 'NR == 2 { print $1, $2 }' "$dir/a.csv")
path=/v1/shipments/$(jq -rn --arg text "$carrier" '$text | @uri')/$number
ask() { curl -fsS --cacert "$dir/certificate.pem" "$@"; }
for version in 1.1 2; do
    for tls in 1.2 1.3; do
        got=$(ask "--http$version" "--tlsv$tls" --tls-max "$tls" -o "$dir/answer.$version.$tls" -w '%{http_version}' \
            "https://$public$path")
        [[ $got == "$version" ]] || fail "HTTP/$version over TLS $tls: $got"
        cmp "$dir/answer.1.1.1.2" "$dir/answer.$version.$tls" || fail "another answer with HTTP/$version"
    done
done
jq -e ".tracking_number == \"$number\"" "$dir/answer.2.1.3" >/dev/null || fail "not the shipment"
printf '{"lookups":[{"tracking_number":"%s"}]}' "$number" >"$dir/batch"
ask --http2 -H 'Content-Type: application/json' -d @"$dir/batch" "https://$public/v1/lookup" |
    jq -e '.results[0].shipments | length >= 1' >/dev/null || fail "batch"

# As many as asked for, each answered 200.
load() { # name, arguments of h2load
    local name=$1 report
    shift
    report=$(h2load --requests="$requests" "$@" "https://$public$path") || fail "$name: $report"
    grep -q " $requests succeeded, 0 failed, 0 errored, 0 timeout" <<<"$report" || fail "$name: $report"
    grep -q "status codes: $requests 2xx, 0 3xx, 0 4xx, 0 5xx" <<<"$report" || fail "$name: $report"
    echo "$name:" "$(sed -n 's/^finished in .*, \(.* req\/s\).*/\1/p' <<<"$report")"
}
load "HTTP/2, 8 connections, 32 streams" --clients=8 --max-concurrent-streams=32
load "HTTP/1.1, 32 connections" --h1 --clients=32

renewals=0
served() { openssl s_client -connect "$public" </dev/null 2>/dev/null | sed -n 's/^subject=.*CN *= *//p'; }
[[ $(served) == first ]] || fail "served: $(served)"
load "HTTP/2, renewed and reloaded meanwhile" --clients=8 --max-concurrent-streams=32 &
loading=$!
pids+=("$loading")
while kill -0 "$loading" 2>/dev/null || ((renewals == 0)); do
    renew "renewed-$((++renewals))"
    awk -v mark="$renewals" 'NR > 1 { $0 = $0 "-" mark } 1' "$dir/a.csv" >"$dir/next.csv"
    mv "$dir/next.csv" "$dir/data.csv"
    curl -fsS -X POST "http://$admin/-/reload" >/dev/null || fail "reload"
    [[ $(served) == "renewed-$renewals" ]] || fail "renewed-$renewals expected, served: $(served)"
done
wait "$loading" || fail "under renewals"

kill -TERM "$server"
wait "$server" || fail "the server ended with status $?"
pids=()
echo "ok: $renewals renewals"
