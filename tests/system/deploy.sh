#!/usr/bin/env bash
# Checks what is in deploy/ with the programs and schemas that it is for: systemd's own verification, the schemas of
# Kubernetes and of compose files. nginx, HAProxy and Prometheus are run for real by their own scripts.
#
# Needs nginx, python3 with venv, systemd-analyze, and a release build. WAYBILL_BIN is the binary.
readonly seconds_max=180
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

readonly kubernetes_validate=1.37.0 check_jsonschema=0.37.4 jsonpatch=1.33

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
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check "kubernetes-validate==$kubernetes_validate" \
    "check-jsonschema==$check_jsonschema" "jsonpatch==$jsonpatch" pyyaml
# As kubectl puts them together, with a volume and with object storage.
"$dir/venv/bin/python" tests/system/deploy/kustomize.py deploy/kubernetes/object-storage >"$dir/object-storage.yaml"
grep -q s3:// "$dir/object-storage.yaml" || fail "deploy/kubernetes/object-storage: no URL"
! grep -q PersistentVolumeClaim "$dir/object-storage.yaml" || fail "deploy/kubernetes/object-storage: a volume is left"
for manifests in deploy/kubernetes/waybill.yaml "$dir/object-storage.yaml"; do
    "$dir/venv/bin/kubernetes-validate" --strict "$manifests" 2>"$dir/kubernetes" || fail "$(cat "$dir/kubernetes")"
done
# Each setting there is one that the binary knows.
while read -r variable; do
    "$bin" serve --help | grep -q "\[env: $variable=" || fail "deploy: no setting $variable"
done < <(grep -oh 'WAYBILL_[A-Z_]*\(, value\|: \)' deploy/kubernetes/*.yaml deploy/compose.yaml | grep -o 'WAYBILL_[A-Z_]*')

"$dir/venv/bin/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose*.yaml >"$dir/compose" ||
    fail "$(cat "$dir/compose")"
# nginx's file as its container makes it, but for names that only that network knows.
"$dir/venv/bin/python" - >"$dir/sed" <<'PYTHON'
import re, yaml
command = yaml.safe_load(open("deploy/compose.yaml"))["services"]["nginx"]["command"][-1]
print(re.search(r"sed '([^']*)'", command)[1])
PYTHON
sed -f "$dir/sed" deploy/nginx/waybill.conf >"$dir/nginx.conf"
(($(grep -c 'server waybill-[1-4]:8080 ' "$dir/nginx.conf") == 4)) || fail "deploy/compose.yaml: nginx does not know the replicas"
sed -i 's/waybill-[1-4]:8080/127.0.0.1:8080/' "$dir/nginx.conf"
nginx -t -q -c "$dir/nginx.conf" -e stderr -g "pid $dir/nginx.pid;" 2>"$dir/nginx" || fail "$(cat "$dir/nginx")"
echo ok
