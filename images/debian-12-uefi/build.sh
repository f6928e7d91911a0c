#!/bin/sh
# Builds the debian-12-uefi image, which is to testbed what a distribution's cloud image is: one disk with a partition table, a boot
# loader for UEFI, a kernel and cloud-init as their packages bring them, and nothing in it that knows of testbed.
#
#   build.sh OUTPUT SCRATCH        with $PACKAGES: "name=version ..." of image.yaml's packages
#
# Output: disk.qcow2 (GPT: an EFI system partition with systemd-boot, an ext4 root labelled `root`, which is last so that it can grow).
set -eu
umask 022
output=$1
scratch=$2
recipe=$(dirname "$(readlink -f "$0")")
export TMPDIR="$scratch"

disk_mib=2048
esp_at_mib=1
esp_mib=127
root_at_mib=$((esp_at_mib + esp_mib))
# The second table of partitions takes the end of the disk.
root_mib=$((disk_mib - root_at_mib - 1))

installed=
for package in $PACKAGES; do installed=$installed,${package%%=*}; done
sh "$recipe/debian-root.sh" "$scratch" "${installed#,}"
root=$scratch/root

echo "stage: settings"
cp -R "$recipe/root/." "$root/"
# The network is cloud-init's to configure, for what it finds here.
chroot "$root" systemctl -q enable systemd-networkd systemd-resolved
# Looks for snapshots of LVM, which a cloud's machine has not: nearly a minute of an emulated boot.
chroot "$root" systemctl -q disable e2scrub_reap.service

echo "stage: boot loader"
disk=$scratch/disk.raw
truncate -s "${disk_mib}M" "$disk"
sfdisk -q "$disk" << END
label: gpt
start=${esp_at_mib}MiB, size=${esp_mib}MiB, type=uefi, name=ESP
start=${root_at_mib}MiB, size=${root_mib}MiB, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, name=root
END
esp=$disk@@${esp_at_mib}M
# mtools would ask about names that it thinks are there already.
export MTOOLS_SKIP_CHECK=1
mformat -i "$esp" -T "$((esp_mib * 2048))" -h 64 -s 32 -F -v ESP ::
mmd -i "$esp" ::/EFI ::/EFI/BOOT ::/debian
# The name that firmware starts when its variables name no other (UEFI specification, 3.5.1.1).
mcopy -i "$esp" "$root/usr/lib/systemd/boot/efi/systemd-bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI
mcopy -i "$esp" "$root"/boot/vmlinuz-* ::/debian/vmlinuz
mcopy -i "$esp" "$root"/boot/initrd.img-* ::/debian/initrd.img
mcopy -s -i "$esp" "$recipe/esp/loader" ::/

echo "stage: root disk"
mke2fs -q -F -t ext4 -L root -m 0 -b 4096 -J size=16 -E "lazy_itable_init=0,lazy_journal_init=0,offset=$((root_at_mib * 1048576))" \
  -d "$root" "$disk" "${root_mib}M"
qemu-img convert -q -f raw -O qcow2 "$disk" "$output/disk.qcow2"
