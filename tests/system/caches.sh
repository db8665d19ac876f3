#!/usr/bin/env bash
# A real cache between callers and the server (nginx, proxy_cache): with the limited view, nobody is given what another
# caller's key or postcode has shown. Once as the responses ask for, and once with a cache that stores whatever it can
# and goes by `Vary` alone.
#
# Needs curl, jq, nginx and a release build. WAYBILL_BIN is the binary, ROUNDS how often each caller asks.
readonly seconds_max=60
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

readonly rounds=${ROUNDS:-20} key=0123456789abcdef-of-the-shop
(umask 077; echo "shop:$key" >"$dir/keys")
start_server --data seed_data.csv --admin-listen off --threads 2 --api-keys-file "$dir/keys" --anonymous lookup \
    --public-view limited --trusted-proxy 127.0.0.1

# nginx on a free port; `$1` is added to what caches.
start_nginx() {
    local port
    for ((port = 20000 + RANDOM % 20000; ; port++)); do
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
        listen 127.0.0.1:$port;
        location / {
            proxy_pass http://$public;
            proxy_set_header Host \$host;
            proxy_set_header X-Forwarded-For \$remote_addr;
            proxy_cache shipments;
            proxy_cache_revalidate on;
            add_header X-Cache \$upstream_cache_status always;
            $1
        }
    }
}
CONF
        rm -rf "$dir/cache" && mkdir -p "$dir/cache" "$dir/temporary"
        nginx -c "$dir/nginx.conf" 2>"$dir/nginx-said" &
        nginx=$!
        pids+=("$nginx")
        proxy=http://127.0.0.1:$port
        while kill -0 "$nginx" 2>/dev/null; do
            curl -fsS "$proxy/livez" >/dev/null 2>&1 && return
        done
        grep -q 'Address already in use' "$dir/nginx-said" "$dir/nginx-errors" || fail "nginx: $(cat "$dir/nginx-said")"
    done
}

# Asks as caller $1, with the field $2; what is shown must be $3: `limited`, `unverified` or `full`.
ask() {
    local shown
    curl -fsS -D "$dir/head" "$proxy/v1/shipments/DHL/TN12345678" ${2:+-H "$2"} >"$dir/answer" || fail "$1: $?"
    shown=$(jq -r 'if .verified == false then "unverified" elif .limited then "limited" else "full" end' "$dir/answer")
    [[ $shown == "$3" ]] || fail "$1 is shown the $shown view, from the cache: $(tr -d '\r' <"$dir/head")"
    caches+=("$(awk 'tolower($1) == "x-cache:" { print $2 }' "$dir/head" | tr -d '\r')")
}

all_ask() {
    caches=()
    for ((round = 0; round < rounds; round++)); do
        ask "the receiver" "Waybill-Postcode: 75001" full
        ask "anybody" "" limited
        ask "the shop" "X-API-Key: $key" full
        ask "anybody" "" limited
        ask "the shop" "Authorization: Bearer $key" full
        ((round > 1)) || ask "somebody who guesses" "Waybill-Postcode: 7500$((round + 2))" unverified
        ask "anybody" "" limited
        ask "the receiver" "Waybill-Postcode: 75 001" full
    done
}

start_nginx ""
all_ask
grep -q HIT <<<"${caches[*]}" && fail "what must be revalidated came from the cache"
echo "as asked for: ${#caches[@]} responses"
kill "$nginx" && wait "$nginx"
# What no header says to store is stored all the same, and kept apart by Vary.
start_nginx "proxy_ignore_headers Cache-Control; proxy_cache_valid 200 1h;"
all_ask
hits=$(tr ' ' '\n' <<<"${caches[*]}" | grep -c HIT || true)
((hits > rounds * 4)) || fail "the cache was hardly used: $hits of ${#caches[@]}"
echo "whatever can be stored: ${#caches[@]} responses, $hits from the cache"
echo ok
