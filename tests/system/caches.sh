#!/usr/bin/env bash
# A real cache between callers and the server (nginx, proxy_cache): with the limited view, nobody is given what another
# caller's key or postcode has shown. Once as the responses ask for, and once with a cache that stores whatever it can
# and goes by `Vary` alone.
#
# Needs curl, jq (to start the server), nginx and a release build. WAYBILL_BIN is the binary, ROUNDS how often each caller asks.
readonly seconds_max=300
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

readonly rounds=${ROUNDS:-20} key=0123456789abcdef-of-the-shop
(umask 077; echo "shop:$key" >"$dir/keys")
start_server --data seed_data.csv --admin-listen off --threads 2 --api-keys-file "$dir/keys" --anonymous lookup \
    --public-view limited --trusted-proxy 127.0.0.1

# nginx on a socket in the file system; `$1` is added to what caches.
start_nginx() {
    cat >"$dir/nginx.conf" <<CONF
daemon off;
master_process off;
pid $dir/nginx.pid;
error_log $dir/nginx-errors;
events {}
http {
    access_log off;
    proxy_cache_path $dir/cache keys_zone=shipments:1m use_temp_path=off;
    proxy_temp_path $dir/temporary;
    client_body_temp_path $dir/temporary;
    fastcgi_temp_path $dir/temporary;
    uwsgi_temp_path $dir/temporary;
    scgi_temp_path $dir/temporary;
    server {
        listen unix:$dir/cache.sock;
        location / {
            proxy_pass http://$public;
            proxy_set_header Host \$host;
            proxy_set_header X-Forwarded-For 192.0.2.1;
            proxy_cache shipments;
            add_header X-Cache \$upstream_cache_status always;
            $1
        }
    }
}
CONF
    rm -rf "$dir/cache" "$dir/cache.sock" && mkdir -p "$dir/cache" "$dir/temporary"
    nginx -c "$dir/nginx.conf" 2>"$dir/nginx-said" &
    nginx=$!
    pids+=("$nginx")
    until curl -fsS --unix-socket "$dir/cache.sock" http://cache/livez >/dev/null 2>&1; do
        kill -0 "$nginx" 2>/dev/null || fail "nginx: $(cat "$dir/nginx-said")"
    done
}

# Asks as caller $1 for $2, with the field $3; the status or, of 200, the view must be $4: `limited`, `unverified` or
# `full`.
ask() {
    local shown
    shown=$(curl -sS -D "$dir/head" -o "$dir/answer" -w '%{http_code}' --unix-socket "$dir/cache.sock" "http://cache$2" \
        ${3:+-H "$3"}) || fail "$1: $?"
    if [[ $shown == 200 ]]; then
        shown=full
        grep -q '"limited":true' "$dir/answer" && shown=limited
        grep -q '"verified":false' "$dir/answer" && shown=unverified
    fi
    [[ $shown == "$4" ]] || fail "$1 is shown $shown at $2, from the cache: $(tr -d '\r' <"$dir/head")"
    caches+=("$(awk 'tolower($1) == "x-cache:" { print $2 }' "$dir/head" | tr -d '\r')")
}

readonly lookup=/v1/shipments/DHL/TN12345678 with_key="X-API-Key: $key" as_bearer="Authorization: Bearer $key"
all_ask() {
    caches=()
    for ((round = 0; round < rounds; round++)); do
        ask "the receiver" $lookup "Waybill-Postcode: 75001" full
        ask "anybody" $lookup "" limited
        ask "the shop" $lookup "$with_key" full
        ask "anybody" $lookup "" limited
        ask "the shop" $lookup "$as_bearer" full
        ((round > 1)) || ask "somebody who guesses" $lookup "Waybill-Postcode: 7500$((round + 2))" unverified
        ask "anybody" $lookup "" limited
        ask "the receiver" $lookup "Waybill-Postcode: 75 001" full
        for list in /v1/shipments '/v1/facets?carrier=DHL' /v1/shipments.csv '/shipment/list/?limit=1'; do
            ask "the shop" "$list" "$with_key" full
            ask "anybody" "$list" "" 401
        done
    done
}

start_nginx ""
all_ask
grep -q HIT <<<"${caches[*]}" && fail "something came from the cache that says it must not"
echo "as asked for: ${#caches[@]} responses"
kill "$nginx" && wait "$nginx"
# What no header says to store is stored all the same, and kept apart by Vary.
start_nginx "proxy_ignore_headers Cache-Control; proxy_cache_valid 200 1h;"
all_ask
hits=$(tr ' ' '\n' <<<"${caches[*]}" | grep -c HIT || true)
((hits > rounds * 4)) || fail "the cache was hardly used: $hits of ${#caches[@]}"
echo "whatever can be stored: ${#caches[@]} responses, $hits from the cache"
echo ok
