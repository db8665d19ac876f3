#!/usr/bin/env bash
# Checks what is in deploy/ with the programs and schemas that it is for: systemd's own verification, the schemas of
# Kubernetes. nginx, HAProxy and Prometheus are run for real by their own scripts.
#
# Needs python3 with venv, systemd-analyze, and a release build. WAYBILL_BIN is the binary.
readonly seconds_max=180
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

readonly kubernetes_validate=1.37.0

# Where nothing is installed: the binary is elsewhere, and there is no manual page.
sed -e "s|^ExecStart=/usr/local/bin/waybill|ExecStart=$bin|" -e '/^Documentation=/d' deploy/systemd/waybill.service \
    >"$dir/waybill.service"
cp deploy/systemd/waybill.socket "$dir"
for unit in waybill.service waybill.socket; do
    complaints=$(systemd-analyze verify "$dir/$unit" 2>&1) || fail "$unit: $complaints"
    [[ -z $complaints ]] || fail "$unit: $complaints"
done
exposure=$(systemd-analyze security --offline=yes --threshold=30 "$dir/waybill.service" 2>&1) || fail "$exposure"
tail -n 1 <<<"$exposure"
# The unit's command line is one that the binary takes.
read -r -a command < <(sed -n 's/^ExecStart=[^ ]* //p' deploy/systemd/waybill.service)
printf 'data = "seed_data.csv"\n' >"$dir/waybill.toml"
"$bin" "${command[@]//\/etc\/waybill/$dir}" --print-config >/dev/null || fail "the service's command line"

python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check "kubernetes-validate==$kubernetes_validate"
"$dir/venv/bin/kubernetes-validate" --strict deploy/kubernetes/*.yaml 2>"$dir/kubernetes" || fail "$(cat "$dir/kubernetes")"
# Each setting there is one that the binary knows.
while read -r variable; do
    "$bin" serve --help | grep -q "\[env: $variable=" || fail "deploy/kubernetes: no setting $variable"
done < <(grep -oh 'WAYBILL_[A-Z_]*, value' deploy/kubernetes/*.yaml | cut -d, -f1)
echo ok
