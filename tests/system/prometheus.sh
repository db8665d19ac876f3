#!/usr/bin/env bash
# Has a real Prometheus scrape a real server with the files of deploy/prometheus, tests their rules, and asks each
# question of the dashboard of deploy/grafana: all have an answer.
#
# Needs curl, jq, prometheus, promtool and a release build. WAYBILL_BIN is the binary.
readonly seconds_max=180
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

readonly questions_seconds_max=100

promtool check config deploy/prometheus/prometheus.yml >/dev/null || fail "prometheus.yml"
(cd deploy/prometheus && promtool test rules rules.test.yml) || fail "the rules' tests"

# An old export, watched.
cp seed_data.csv "$dir/data.csv"
touch -d '10 days ago' "$dir/data.csv"
start_server --data "$dir/data.csv" --admin-listen 127.0.0.1:0 --max-data-age 26h --watch 100ms
curl -fsS "http://$admin/metrics" | promtool check metrics || fail "promtool check metrics"

# The file as it is, but for where the replicas are and how often they are asked.
sed -e "s/targets: .*/targets: [\"$admin\"]/" -e 's/_interval: .*/_interval: 1s/' \
    deploy/prometheus/prometheus.yml >"$dir/prometheus.yml"
cp deploy/prometheus/rules.yml "$dir"
port=$((20000 + RANDOM % 10000))
prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/tsdb" --web.listen-address="127.0.0.1:$port" \
    --log.level=warn >"$dir/prometheus.log" 2>&1 &
pids+=("$!")
prometheus=http://127.0.0.1:$port/api/v1
curl -fsS --retry 40 --retry-delay 1 --retry-all-errors -o /dev/null "http://127.0.0.1:$port/-/ready" 2>/dev/null ||
    fail "prometheus: $(cat "$dir/prometheus.log")"

# Each with the variables as they are chosen first.
jq -r '.panels[].targets[].expr' deploy/grafana/dashboard.json |
    sed -e 's/\$job/waybill/g' -e 's/\$instance/.*/g' -e 's/\$__rate_interval/30s/g' \
        -e 's|\$route|/v1/shipments/{carrier}/{tracking_number}|g' >"$dir/questions"
(($(wc -l <"$dir/questions") >= 15)) || fail "the dashboard has too few questions"
answered() { # question
    curl -fsS --get --data-urlencode "query=$1" "$prometheus/query" | jq -e '.data.result | length > 0' >/dev/null
}
while read -r question; do
    until answered "$question"; do
        ((SECONDS < questions_seconds_max)) || fail "no answer: $question"
        curl -fsS -o /dev/null "http://$public/v1/shipments/dhl/tn12345678"
        sleep 0.2
    done
done <"$dir/questions"
# Their health is unknown until each was looked at for the first time.
until curl -fsS "$prometheus/rules" | jq -e '[.data.groups[].rules[]] | length > 0 and all(.health == "ok")' >/dev/null; do
    ((SECONDS < questions_seconds_max)) || fail "rules: $(curl -fsS "$prometheus/rules")"
    sleep 0.2
done
# As a cron job does: the reload finds nothing new, and the data is no younger.
[[ $(curl -fsS -X POST "http://$admin/-/reload" | jq -r .result) == unchanged ]] || fail "the reload found something new"
fires() { # alert, which may be pending still: minutes are too long for a test
    curl -fsS "$prometheus/alerts" | jq -e --arg name "$1" '[.data.alerts[].labels.alertname] | index($name)' >/dev/null
}
until fires WaybillDatasetStale; do
    ((SECONDS < questions_seconds_max)) || fail "no alert of stale data: $(curl -fsS "$prometheus/alerts")"
    sleep 0.2
done
rm "$dir/data.csv"
until (($(curl -fsS "http://$admin/metrics" |
    sed -n 's/^waybill_dataset_source_checks_total{result="failed"} //p') >= 3)); do
    ((SECONDS < questions_seconds_max)) || fail "looks at a file that is gone do not fail"
    sleep 0.2
done
# The same export, written again: as young as that.
cp seed_data.csv "$dir/data.csv"
while fires WaybillDatasetStale; do
    ((SECONDS < questions_seconds_max)) || fail "the alert stays: $(curl -fsS "$prometheus/alerts")"
    sleep 0.2
done
for alert in WaybillDown WaybillAbsent WaybillErrors WaybillDatasetOld; do
    if fires "$alert"; then fail "$alert fires: $(curl -fsS "$prometheus/alerts")"; fi
done
echo "ok: $(wc -l <"$dir/questions") questions answered"
