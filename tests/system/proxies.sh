#!/usr/bin/env bash
# Sends requests at the edge of RFC 9112 and beyond, and mutations of them, directly and through nginx and HAProxy, each
# as it is by default and as lenient as it can be made, and checks that proxy and server always count the same requests
# and that every answer comes to the client that asked.
#
# Needs nginx, HAProxy, jq, Python 3.11 and a release build. WAYBILL_BIN is the binary, MUTATIONS how many mutations,
# SEED what they are made from. Full form: MUTATIONS=50000 SEED=$RANDOM
readonly seconds_max=${SECONDS_MAX:-3600}
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

ways=(direct nginx nginx-lenient haproxy haproxy-lenient)

cat >"$dir/nginx.conf" <<CONF
daemon off;
master_process off;
pid $dir/nginx.pid;
error_log $dir/nginx.error;
events { worker_connections 1024; }
http {
    log_format upstream '\$upstream_status|\$upstream_bytes_sent';
    access_log off;
    client_body_temp_path $dir/nginx.body;
    proxy_temp_path $dir/nginx.proxy;
    fastcgi_temp_path $dir/nginx.fastcgi;
    uwsgi_temp_path $dir/nginx.uwsgi;
    scgi_temp_path $dir/nginx.scgi;
    client_max_body_size 8m;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host \$http_host;
    # Clients here end their side before they have their answers.
    proxy_ignore_client_abort on;
    upstream plain { server unix:$dir/nginx.up; keepalive 16; }
    upstream lenient { server unix:$dir/nginx-lenient.up; keepalive 16; }
    server {
        listen unix:$dir/nginx.sock;
        access_log $dir/nginx.log upstream;
        location / { proxy_pass http://plain; }
    }
    server {
        listen unix:$dir/nginx-lenient.sock;
        access_log $dir/nginx-lenient.log upstream;
        ignore_invalid_headers off;
        underscores_in_headers on;
        merge_slashes off;
        proxy_request_buffering off;
        location / { proxy_pass http://lenient; }
    }
}
CONF

# One process each: their logs have no name of a proxy in them.
haproxy_conf() { # name, option
    cat <<CONF
global
    log stdout format raw local0
    maxconn 1000
    nbthread 1
defaults
    mode http
    log global
    log-format "%s %ts %ST"
    http-reuse always
    retries 0
    timeout connect 10s
    timeout client 30s
    timeout server 30s
    timeout http-request 10s
frontend clients
    bind unix@$dir/$1.sock
    $2
    default_backend waybill
backend waybill
    server waybill unix@$dir/$1.up pool-max-conn 16
CONF
}

servers=()
for way in "${ways[@]}"; do
    mkfifo "$dir/$way.events"
    "$bin" serve --data seed_data.csv --threads 1 --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --log-format json \
        2>"$dir/$way.events" &
    pids+=($!)
    exec {events}<"$dir/$way.events"
    while read -r -t 30 -u "$events" line; do
        message=$(jq -r .fields.message <<<"$line")
        if [[ $message == listening ]]; then
            servers+=("$way" "$(jq -r .fields.public <<<"$line")" "$(jq -r .fields.admin <<<"$line")")
        elif [[ $message == serving ]]; then
            continue 2
        fi
    done
    fail "the server does not serve"
done

# A proxy listens once its socket is there.
wait_for_socket() { # path, pid
    until [[ -S $1 ]]; do
        kill -0 "$2" || fail "no proxy: $(cat "$dir"/*.error)"
        sleep 0.02
    done
}
touch "$dir/nginx.log" "$dir/nginx-lenient.log"
nginx -c "$dir/nginx.conf" -e "$dir/nginx.error" &
pids+=($!)
wait_for_socket "$dir/nginx-lenient.sock" $!
for name in haproxy haproxy-lenient; do
    option=
    [[ $name == haproxy ]] || option="option accept-invalid-http-request"
    haproxy_conf "$name" "$option" >"$dir/$name.conf"
    haproxy -f "$dir/$name.conf" >"$dir/$name.log" 2>"$dir/$name.error" &
    pids+=($!)
    wait_for_socket "$dir/$name.sock" $!
done

python3 -B tests/system/proxies/compare.py "$dir" "${SEED:-1}" "${MUTATIONS:-3000}" "${servers[@]}" || exit 1
for pid in "${pids[@]}"; do kill -0 "$pid" || fail "a server or proxy has ended"; done
echo ok
