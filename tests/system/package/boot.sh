#!/usr/bin/env bash
# Boots systemd in the folder ROOT, in namespaces of its own, as a container's manager does: boot.sh ROOT
# Called by unshare, which has made the namespaces.
set -euo pipefail
root=$1
# A pivot_root needs a mount that is not shared; services have none of this machine's mounts.
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount --bind -o ro "$root/proc/sys" "$root/proc/sys" && mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir -p "$root/mnt/old"
cd "$root"
pivot_root . mnt/old
umount --lazy /mnt/old
# As systemd expects it: what it mounts for a service, credentials for one, comes back from there.
mount --make-rshared /
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=basic.target --log-target=journal
