#!/usr/bin/env bash
# Builds the Debian package, installs it in a Debian that runs systemd as its process 1, and has the service read secrets
# of root's, write where it may, reload, restart, wait in its socket, and go.
#
# Needs root, cargo-deb, curl, debootstrap, dpkg-dev, jq and openssl, and a release build. WAYBILL_BIN is the binary, RESTARTS
# how often it is restarted under load, with SHIPMENTS shipments. Full form, some minutes: RESTARTS=20 SHIPMENTS=1000000. The
# Debian is made once and kept in WAYBILL_IMAGE_CACHE (default /var/tmp/waybill-image), as tests/image.sh keeps its images.
readonly seconds_max=900
# shellcheck source-path=SCRIPTDIR source=prelude.sh
. "$(dirname "$0")/prelude.sh"

readonly suite=bookworm
cache=$(realpath -m "${WAYBILL_IMAGE_CACHE:-/var/tmp/waybill-image}")
init=
group=
# Everything in there ends with its process 1, and its mounts with it.
stop_debian() {
    [[ -z $init ]] || kill -KILL "$init"
    [[ -z $unshare ]] || wait "$unshare" 2>/dev/null || true
    init=
    [[ -z $group ]] || find "$group" -depth -type d -exec rmdir {} +
    umount --recursive "$dir" 2>/dev/null || true
    clean_up
}
unshare=
trap stop_debian EXIT

make_debian() {
    local uri
    [[ ! -e $cache/systemd ]] || return 0
    # shellcheck disable=SC2016  # apt expands these names, not the shell
    uri=$(apt-get indextargets --format '$(CODENAME) $(ORIGIN) $(REPO_URI)' 'Identifier: Packages' |
        awk -v suite="$suite" '$1 == suite && $2 == "Debian" { uri = $3 } END { print uri }')
    [[ $uri ]] || fail "apt knows no mirror for $suite: run apt-get update"
    mkdir -p "$cache/debs"
    rm -rf --one-file-system "$cache/systemd.part"
    debootstrap --variant=minbase --include=systemd --cache-dir="$cache/debs" "$suite" "$cache/systemd.part" "$uri" \
        >"$cache/debootstrap.log" || fail "debootstrap failed: see $cache/debootstrap.log"
    mv "$cache/systemd.part" "$cache/systemd"
}

boot_debian() {
    mount -t tmpfs tmpfs "$dir"
    mkdir "$dir"/{upper,work,root}
    mount -t overlay -o "lowerdir=$cache/systemd,upperdir=$dir/upper,workdir=$dir/work" overlay "$dir/root"
    group=$hierarchy/waybill-package.$$
    mkdir "$group"
    (echo "$BASHPID" >"$group/cgroup.procs" && exec unshare --kill-child --mount --pid --fork --uts --ipc --cgroup --net \
        tests/system/package/boot.sh "$dir/root") 2>"$dir/boot" &
    unshare=$!
    # systemd says on which path it listens once it is up.
    timeout 60 bash -c "until [[ -S /proc/\$(pgrep -P $unshare)/root/run/systemd/private ]]; do :; done" || fail "no boot: $(cat "$dir/boot")"
    init=$(pgrep -P "$unshare")
    inside timeout 60 systemctl is-system-running --wait >/dev/null || fail "boot: $(inside systemctl --failed)"
    inside systemctl --version | head -n 1
}

# Runs a command in there, or with `reach` a program of this machine's that talks to what listens there.
inside() { nsenter --target "$init" --mount --uts --ipc --net --pid --cgroup "$@"; }
reach() { nsenter --target "$init" --net "$@"; }

# Asks the service there for a shipment with this key, and expects this status.
ask() { # KEY STATUS
    local status
    status=$(reach curl -s -o "$dir/answer" -w '%{http_code}' --max-time 20 --cacert "$dir/cert.pem" -H "X-API-Key: $1" \
        https://localhost:8080/v1/shipments/dhl/tn12345678) || true
    [[ $status == "$2" ]] || fail "a lookup with the key $1: $status instead of $2; $(inside journalctl -n 20 --no-pager -u waybill)"
}
process() { inside systemctl show --value -p MainPID waybill.service; }
is() { # UNIT STATE
    [[ $(inside systemctl is-active "$1" || true) == "$2" ]] || fail "$1 is not $2: $(inside journalctl -n 20 --no-pager)"
}
restart() { inside systemctl restart waybill.service || fail "restart: $(inside journalctl -n 20 --no-pager -u waybill)"; }
# A certificate and its key, and an API key, in the folder $1 of there; all of root's.
secrets() { # FOLDER PREFIX KEY
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null
    install -d -m 755 "$dir/root/$1"
    install -m 600 "$dir/key.pem" "$dir/root/$1/$2tls-key"
    install -m 600 "$dir/cert.pem" "$dir/root/$1/$2tls-cert"
    install -m 600 <(echo "shop:$3") "$dir/root/$1/$2api-keys"
}

[[ $EUID -eq 0 ]] || fail "needs root"
# systemd wants control groups of its own, and namespaces.
hierarchy=$(findmnt --noheadings --types cgroup2 --output TARGET --first-only || true)
if [[ ! $hierarchy ]] || ! unshare --mount --pid --fork --uts --ipc --cgroup --net true; then
    echo "SKIPPED: package: systemd cannot run here"
    exit 0
fi
make_debian
boot_debian
FAST=1 WAYBILL_BIN=$bin deploy/debian/build "$dir/root/tmp/package"

inside sh -c 'dpkg -i /tmp/package/waybill_*.deb' >"$dir/dpkg" 2>&1 || fail "$(cat "$dir/dpkg")"
is waybill.service inactive
[[ $(inside systemctl is-enabled waybill.socket waybill.service || true) == disabled$'\n'disabled ]] || fail "something is enabled"
inside waybill --version
# shellcheck disable=SC2016  # dpkg expands the name, not the shell
[[ $(inside dpkg-query -W -f '${Conffiles}' waybill) == *" /etc/waybill/waybill.toml "* ]] || fail "no settings"
inside zcat /usr/share/man/man1/waybill.1.gz | grep -q '^\.TH waybill 1' || fail "no manual page"
inside bash -c '. /usr/share/bash-completion/completions/waybill && complete -p waybill' >/dev/null || fail "no completions"
inside dpkg --verify waybill || fail "dpkg --verify"

# An operator's settings: all that the example has, and the sample data in place of an export.
install -D -m 644 seed_data.csv "$dir/root/srv/waybill/shipments.csv"
sed -i 's/^#\([a-z]\)/\1/; /^listen = /d' "$dir/root/etc/waybill/waybill.toml"
secrets etc/credstore waybill. key-of-the-shop-1
install -m 600 <(echo token-of-the-operator) "$dir/root/etc/credstore/waybill.admin-token"
inside systemctl enable --quiet --now waybill.service || fail "$(inside journalctl -n 20 --no-pager -u waybill)"
user=$(awk '$1 == "Uid:" { print $2 }' < <(inside cat "/proc/$(process)/status"))
((user > 0)) || fail "runs as root"
inside setpriv --reuid "$user" --clear-groups cat /etc/credstore/waybill.admin-token 2>/dev/null && fail "a secret is open"
echo "runs as $user with root's secrets: $(inside stat -c '%n, mode %a, of user %u' /run/credentials/waybill.service/waybill.tls-key)"
ask key-of-the-shop-1 200
ask key-of-nobody 401
token() { reach curl -s -o /dev/null -w '%{http_code}' -X POST -H "Authorization: Bearer $1" http://localhost:8081/-/reload; }
[[ $(token token-of-the-operator)$(token another) == 200401 ]] || fail "the token"
grep -q '/v1/shipments/dhl/tn12345678' "$dir/root/var/log/private/waybill/access.log" || fail "no access log"
# As logrotate does it: the service may write a new file there.
mv "$dir/root/var/log/private/waybill/access.log" "$dir/root/var/log/private/waybill/access.log.1"
inside sh -ec "$(sed -n '/^ *systemctl kill /p' "$dir/root/etc/logrotate.d/waybill")" || fail "no signal"
until [[ -e $dir/root/var/log/private/waybill/access.log ]]; do :; done

# Credentials are copied at each start: a rotated key is there after a restart.
before=$(process)
secrets etc/credstore waybill. key-of-the-shop-2
restart
ask key-of-the-shop-2 200
ask key-of-the-shop-1 401
# What the service's group may read is read again at a reload, by the same process.
inside groupadd --system waybill-secrets
secrets etc/waybill/secrets '' key-of-the-shop-3
share() { inside sh -c 'chgrp waybill-secrets /etc/waybill/secrets/* && chmod 640 /etc/waybill/secrets/*'; }
share
install -D -m 644 <(printf '[Service]\nSupplementaryGroups=waybill-secrets\n') \
    "$dir/root/etc/systemd/system/waybill.service.d/secrets.conf"
sed -i -E 's,/run/credentials/waybill.service/waybill\.(tls|api),/etc/waybill/secrets/\1,' "$dir/root/etc/waybill/waybill.toml"
inside systemctl daemon-reload
restart
before=$(process)
ask key-of-the-shop-3 200
secrets etc/waybill/secrets '' key-of-the-shop-4
share
inside systemctl reload waybill.service || fail "reload: $(inside journalctl -n 20 --no-pager -u waybill)"
until inside journalctl -o cat -u waybill | grep -q 'keys read again'; do :; done
ask key-of-the-shop-4 200
ask key-of-the-shop-3 401
[[ $(process) == "$before" ]] || fail "a reload has restarted it"
echo "rotates certificate and key: by a restart from /etc/credstore, by a reload from a group's folder"

# A Unix socket in the service's own folder.
printf 'data = "/srv/waybill/shipments.csv"\nlisten = "unix:/run/waybill/public.sock,mode=666"\n' \
    >"$dir/root/etc/waybill/waybill.toml"
restart
curl -fsS -o /dev/null --unix-socket "/proc/$init/root/run/waybill/public.sock" http://localhost/v1/dataset || fail "the Unix socket"

# The socket takes who comes while nothing runs.
printf 'data = "/srv/waybill/shipments.csv"\n' >"$dir/root/etc/waybill/waybill.toml"
inside systemctl stop waybill.service
inside systemctl enable --quiet --now waybill.socket
is waybill.service inactive
reach curl -fsS -o /dev/null --max-time 20 http://localhost:8080/livez || fail "the socket"
# It was the client that started it: this waits for the end of that start.
inside systemctl start waybill.service || fail "start: $(inside journalctl -n 20 --no-pager -u waybill)"

# Restarts under load, by clients that keep their connections and by new ones: nothing fails.
cp "$dir/root/srv/waybill/shipments.csv" "$dir/sample.csv"
"$bin" generate --shipments "${SHIPMENTS:-20000}" --output "$dir/root/srv/waybill/shipments.csv"
printf 'data = "/srv/waybill/shipments.csv"\ndrain-delay = "1s"\n' >"$dir/root/etc/waybill/waybill.toml"
restart
# More than a second between two, since systemd gives up after five starts in ten seconds.
RESTARTS_IN_NAMESPACE=1 SYSTEMD=$init KINDS=systemd RESTARTS=${RESTARTS:-3} REST_SECONDS=1.5 WAYBILL_BIN=$bin \
    DATA=$dir/root/srv/waybill/shipments.csv reach tests/system/restarts.py || fail "restarts"
cp "$dir/sample.csv" "$dir/root/srv/waybill/shipments.csv"
printf 'data = "/srv/waybill/shipments.csv"\n' >"$dir/root/etc/waybill/waybill.toml"
restart

# An upgrade runs the new program, with the settings as they are; the socket stays.
before=$(process)
entered=$(inside systemctl show --value -p ActiveEnterTimestampMonotonic waybill.socket)
inside sh -c 'dpkg -i /tmp/package/waybill_*.deb' >"$dir/dpkg" 2>&1 || fail "$(cat "$dir/dpkg")"
[[ $(process) != "$before" ]] || fail "an upgrade leaves the old program"
[[ $(inside systemctl show --value -p ActiveEnterTimestampMonotonic waybill.socket) == "$entered" ]] || fail "the socket was stopped"
reach curl -fsS -o /dev/null --max-time 20 http://localhost:8080/readyz || fail "no answer after an upgrade"
[[ $(cat "$dir/root/etc/waybill/waybill.toml") == 'data = "/srv/waybill/shipments.csv"' ]] || fail "an upgrade changes settings"

inside dpkg --remove waybill >"$dir/dpkg" 2>&1 || fail "$(cat "$dir/dpkg")"
is waybill.service inactive
is waybill.socket inactive
[[ ! -e $dir/root/usr/bin/waybill && -e $dir/root/etc/waybill/waybill.toml ]] || fail "removed too much or too little"
inside dpkg --purge waybill >"$dir/dpkg" 2>&1 || fail "$(cat "$dir/dpkg")"
left=$(cd "$dir/root" && find etc usr var/log run -path etc/waybill/secrets -prune -o -path etc/credstore -prune -o -name '*waybill*' -print | sort)
# Secrets and drop-ins are the operator's own.
[[ $left == "etc/systemd/system/waybill.service.d"$'\n'"etc/waybill" ]] || fail "left after a purge: $left"
echo ok
