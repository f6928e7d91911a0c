#!/bin/sh
# Makes the root of a Debian 12 from this host's own package sources, without mounts or loop devices. Recipes have a link to
# this file beside their build.sh, so that their hash follows its content.
#
#   debian-root.sh SCRATCH PACKAGE,PACKAGE...
#
# Leaves SCRATCH/root and SCRATCH/sources.list. Only what belongs to one machine is taken out again: host keys, machine id, host
# name, and the sources of the host that it was built on are written as one list.
set -eu
scratch=$1
packages=$2

echo "stage: package sources"
# The sources of this host that are Debian's own, mirrors included (apt-get(8), indextargets).
sources() {
  apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    sed -n 's/^Debian \([^ ]* bookworm\(-updates\|-security\)\? [^ ]*\)$/deb \1/p' | sort -u
}
sources > "$scratch/sources.list"
if [ ! -s "$scratch/sources.list" ]; then
  apt-get -q update
  sources > "$scratch/sources.list"
fi
[ -s "$scratch/sources.list" ] || { echo "this host has no package sources of Debian 12" >&2; exit 1; }

echo "stage: install packages"
root=$scratch/root
# Manuals and translations only make the image larger. Nothing here has to survive a crash of this host, so no fsyncs.
mmdebstrap --quiet --variant=minbase --include="$packages" \
  --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \
  --dpkgopt=force-unsafe-io \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  bookworm "$root" "$scratch/sources.list"

# The mirror is this host's; the keys are those that Debian's own package brings.
cp "$scratch/sources.list" "$root/etc/apt/sources.list"
rm -f "$root"/etc/apt/sources.list.d/* "$root"/etc/ssh/ssh_host_* "$root/etc/hostname" "$root/etc/resolv.conf"
ln -s /run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
# Empty, not missing: every machine makes its own id, and none thinks that it is a first boot to be asked about
# (machine-id(5)).
: > "$root/etc/machine-id"
