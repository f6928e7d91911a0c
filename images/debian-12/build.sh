#!/bin/sh
# Builds the debian-12 image: a root made by mmdebstrap, and beside the disk a kernel with a small initial RAM disk.
#
#   build.sh OUTPUT SCRATCH        with $PACKAGES: "name=version ..." of image.yaml's packages
#
# Output: kernel, initrd, disk.qcow2 (ext4 labelled `root`).
set -eu
umask 022
output=$1
scratch=$2
recipe=$(dirname "$(readlink -f "$0")")
export TMPDIR="$scratch"

# The packages that become the kernel and the initial RAM disk; all others are installed in the root.
meta=
busybox=
installed=
for package in $PACKAGES; do
  case $package in
    linux-image-*) meta=$package ;;
    busybox-static=*) busybox=$package ;;
    *) installed=$installed,${package%%=*} ;;
  esac
done

sh "$recipe/debian-root.sh" "$scratch" "${installed#,}"
root=$scratch/root

echo "stage: kernel"
mkdir "$scratch/debs" "$scratch/unpacked"
cd "$scratch/debs"
# The meta package says which kernel is current. It is unpacked and not installed: this machine's kernel lies outside its
# disk, so nothing in the machine should try to replace it.
get() { apt-get -q -o APT::Sandbox::User=root download "$@"; }
kernel=$(apt-cache show "$meta" | sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' | head -n 1)
[ -n "$kernel" ] || { echo "no kernel behind $meta" >&2; exit 1; }
get "$kernel" "$busybox" || { apt-get -q update && get "$kernel" "${busybox%%=*}"; }
for deb in *.deb; do dpkg-deb -x "$deb" "$scratch/unpacked"; done
cd "$scratch/unpacked"
cp boot/vmlinuz-* "$output/kernel"
version=$(basename lib/modules/*)
mkdir -p "$root/usr/lib/modules"
cp -a "lib/modules/$version" "$root/usr/lib/modules/"
chroot "$root" depmod "$version"

echo "stage: initrd"
sh "$recipe/pack-initrd.sh" "$recipe" . "lib/modules/$version/kernel" "$scratch/initrd" > "$output/initrd"

echo "stage: settings"
cp -R "$recipe/root/." "$root/"
chroot "$root" systemctl -q enable systemd-networkd systemd-resolved testbed-settled.service
# What a machine that lives for minutes has no use for.
chroot "$root" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
  e2scrub_reap.service fstrim.timer getty@tty1.service serial-getty@ttyS0.service systemd-networkd-wait-online.service \
  systemd-pstore.service systemd-ask-password-wall.path cloud-config.service cloud-init-hotplugd.socket
# Newer than /usr: else the first boot rebuilds caches that dpkg has just made (systemd-update-done.service(8)).
touch "$root/etc/.updated" "$root/var/.updated"

echo "stage: root disk"
truncate -s 4G "$scratch/disk.raw"
mke2fs -q -t ext4 -L root -m 0 -b 4096 -J size=16 -E lazy_itable_init=0,lazy_journal_init=0 -d "$root" "$scratch/disk.raw"
qemu-img convert -q -f raw -O qcow2 "$scratch/disk.raw" "$output/disk.qcow2"
