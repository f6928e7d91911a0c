#!/bin/sh
# Prints an image's initial RAM disk: busybox, the recipe's `init`, and the kernel modules that its list `modules` names, in
# the order of the list. Recipes have a link to this file beside their build.sh, so that their hash follows its content.
#
#   pack-initrd.sh RECIPE UNPACKED MODULES SCRATCH [APPLET...]
#
# UNPACKED has bin/busybox, MODULES is the kernel's folder of modules, SCRATCH is a folder that is not there yet; applets
# are more names for busybox than every `init` needs.
set -eu
recipe=$1
unpacked=$2
modules=$3
scratch=$4
shift 4

mkdir "$scratch"
(cd "$scratch" && mkdir bin modules dev proc sys disk)
cp "$unpacked/bin/busybox" "$scratch/bin/busybox"
for applet in sh mount insmod cat findfs usleep switch_root "$@"; do
  ln -s busybox "$scratch/bin/$applet"
done
cp "$recipe/init" "$scratch/init"
chmod 0755 "$scratch/init"
number=10
while read -r module; do
  cp "$modules/$module.ko" "$scratch/modules/$number-${module##*/}.ko"
  number=$((number + 1))
done < "$recipe/modules"
cd "$scratch"
find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0
