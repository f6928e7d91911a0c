#!/bin/sh
# Builds the micro image: Debian's cloud kernel, busybox and dropbear, from packages that are unpacked and never installed.
#
#   build.sh OUTPUT SCRATCH        with $PACKAGES: "name=version ..." of image.yaml's packages
#
# Output: kernel, initrd (cpio, not compressed: unpacking costs an emulated machine more than reading), disk.qcow2 (ext4
# labelled `root`).
set -eu
umask 022
output=$1
scratch=$2
recipe=$(dirname "$(readlink -f "$0")")
unset TMPDIR

# apt drops to a user of its own for downloads, who cannot write into our folder.
get() { apt-get -q -o APT::Sandbox::User=root download "$@"; }

echo "stage: download packages"
mkdir "$scratch/debs"
cd "$scratch/debs"
meta=
names=
for package in $PACKAGES; do
  case $package in
    linux-image-*) meta=$package ;;
    *) names="$names $package" ;;
  esac
done
# The meta package says which kernel is current.
kernel=$(apt-cache show "$meta" | sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' | head -n 1)
[ -n "$kernel" ] || { echo "no kernel behind $meta" >&2; exit 1; }
# Package lists that are older than the mirror name files that are gone: refresh once, then take what is current.
# shellcheck disable=SC2086
get $kernel $names || {
  apt-get -q update
  get $kernel $(for name in $names; do echo "${name%%=*}"; done)
}

echo "stage: unpack"
mkdir "$scratch/unpacked"
for deb in *.deb; do dpkg-deb -x "$deb" "$scratch/unpacked"; done
cd "$scratch/unpacked"
modules=$(echo lib/modules/*/kernel)

echo "stage: kernel"
# A compressed kernel spends a tenth of an emulated boot unpacking itself. QEMU starts an uncompressed one as it is
# (https://xenbits.xen.org/docs/unstable/misc/pvh.html). Debian's is LZ4 inside, whose frame begins with this magic
# (legacy format); at what follows the frame lz4 complains, after it has written everything.
bzimage=$(echo boot/vmlinuz-*)
offset=$(LC_ALL=C grep -abo "$(printf '\002\041\114\030')" "$bzimage" | head -n 1 | cut -d: -f1)
[ -n "$offset" ] || { echo "$bzimage is not LZ4 inside" >&2; exit 1; }
tail -c "+$((offset + 1))" "$bzimage" | lz4 -dc > "$output/kernel" 2> /dev/null || :
[ "$(head -c 4 "$output/kernel" | tail -c 3)" = ELF ] || { echo "the unpacked kernel is no ELF file" >&2; exit 1; }

echo "stage: initrd"
sh "$recipe/pack-initrd.sh" "$recipe" . "$modules" "$scratch/initrd" ip > "$output/initrd"

echo "stage: root disk"
root=$scratch/root
mkdir "$root"
(cd "$root" && mkdir -p bin sbin usr/bin usr/sbin usr/lib lib lib64 etc proc sys dev run mnt root var/log var/tmp home opt srv)
ln -s /run "$root/var/run"
mkdir "$root/tmp"
chmod 0700 "$root/root"
cp bin/busybox "$root/bin/busybox"
./bin/busybox --list-full | while read -r applet; do
  # Applets of other names' programs that would only confuse: a Debian machine has none of them half working.
  case ${applet##*/} in busybox | dpkg | dpkg-deb | rpm | rpm2cpio | linuxrc) continue ;; esac
  ln -s /bin/busybox "$root/$applet"
done
cp usr/sbin/dropbear "$root/usr/sbin/"
cp usr/bin/dropbearkey usr/bin/dropbearconvert usr/bin/dbclient "$root/usr/bin/"
cp sbin/resize2fs "$root/sbin/"
for folder in lib usr/lib; do
  for library in "$folder"/x86_64-linux-gnu/*.so.*; do
    case ${library##*/} in
      ld-linux-* | libc.so.* | libcrypt.* | libz.* | libtom* | libgmp.* | libext2fs.* | libcom_err.* | libe2p.* | \
        libblkid.* | libuuid.* | libresolv.* | libnss_dns.* | libpthread.* | libdl.* | libm.*) ;;
      *) continue ;;
    esac
    # Only the names that programs ask for (`libz.so.1`), each with its content.
    case ${library##*.so.} in *.*) continue ;; esac
    cp -L "$library" "$root/lib/"
  done
done
for program in usr/sbin/dropbear usr/bin/dropbearconvert sbin/resize2fs; do
  if "$root/lib/ld-linux-x86-64.so.2" --library-path "$root/lib" --list "$root/$program" | grep -v "$root/lib/\|linux-vdso"; then
    echo "$program needs libraries that are not in the image" >&2
    exit 1
  fi
done
ln -s ../lib/ld-linux-x86-64.so.2 "$root/lib64/ld-linux-x86-64.so.2"
mkdir "$root/lib/modules" "$root/lib/dev"
# What udev makes elsewhere: without them a script that writes to /dev/stderr makes a file there, and its words are lost.
ln -s /proc/self/fd "$root/lib/dev/fd"
ln -s fd/0 "$root/lib/dev/stdin"
ln -s fd/1 "$root/lib/dev/stdout"
ln -s fd/2 "$root/lib/dev/stderr"
while read -r module; do cp "$modules/$module.ko" "$root/lib/modules/"; done < "$recipe/modules-later"
cp -a "$recipe/root/." "$root/"
# A checkout's umask is nobody's business in a machine; dropbear refuses keys below folders that others may write to.
chmod -R go-w "$root"
chmod 1777 "$root/tmp" "$root/var/tmp"
chown -R 0:0 "$root"

truncate -s 512M "$scratch/disk.raw"
# The journal keeps a machine that resets itself mountable; 4 MiB is its least. Inode tables are written here so that the
# guest's kernel does not do it in the background during every boot.
mke2fs -q -t ext4 -L root -m 0 -b 4096 -J size=4 -E lazy_itable_init=0,lazy_journal_init=0 -d "$root" "$scratch/disk.raw"
qemu-img convert -q -f raw -O qcow2 "$scratch/disk.raw" "$output/disk.qcow2"
