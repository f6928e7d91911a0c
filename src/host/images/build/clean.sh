# The last step of a derived image: makes a machine that has lived an image again, from which any number of machines are made. What
# tells machines apart goes, and so does what this one left behind. Runs as root, or as somebody whom sudo asks nothing, with the
# commands of busybox and more where there is more.
#
# It empties half a system, so it runs as a step of testbed's runner and nowhere else.
case $0 in
/run/testbed/*) ;;
*)
	echo "this is for a machine of testbed's" >&2
	exit 1
	;;
esac
[ "$(id -u)" = 0 ] || exec sudo -n /bin/sh "$0"
set -eu
PATH=$PATH:/usr/sbin:/sbin

has() { command -v "$1" >/dev/null 2>&1; }

# What services write as they stop is written now, and not at power-off, when it would be in the image.
if [ -d /run/systemd/system ]; then
	systemctl stop systemd-random-seed.service systemd-update-utmp.service || true
	journalctl --relinquish-var || true
fi

# cloud-init takes the next machine for this one's next boot, otherwise.
if has cloud-init; then cloud-init clean --logs; else rm -rf /var/lib/cloud/*; fi

# Empty, not missing: see machine-id(5). D-Bus has a copy of it where it has no link to it.
[ ! -e /etc/machine-id ] || : >/etc/machine-id
[ -h /var/lib/dbus/machine-id ] || rm -f /var/lib/dbus/machine-id
rm -f /etc/hostname /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/urandom/random-seed
rm -f /boot/efi/loader/random-seed /efi/loader/random-seed

# The seed of each machine brings keys of its own.
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /etc/dropbear/*host_key
rm -f /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys

rm -f /root/.*_history /home/*/.*_history /root/.lesshst /home/*/.lesshst
rm -rf /var/lib/dhcp/*.leases* /var/lib/dhclient/* /var/lib/NetworkManager/*lease* /var/lib/NetworkManager/secret_key

if has apt-get; then apt-get clean; fi
rm -rf /var/lib/apt/lists/*

mkdir -p /var/log /tmp /var/tmp
# Logs are emptied where they are, since some programs want theirs to be there, and what was rotated goes.
rm -rf /var/log/journal/*
find /var/log -xdev -type f \( -name '*.gz' -o -name '*.xz' -o -name '*.[0-9]' -o -name '*.old' \) -exec rm -f {} +
find /var/log -xdev -type f -exec sh -c 'for log; do : >"$log"; done' sh {} +

# What is mounted below them is not of this disk, and stays.
find /tmp /var/tmp -xdev -mindepth 1 ! -type d -exec rm -f {} +
find /tmp /var/tmp -xdev -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null || true
rm -rf /var/tmp/testbed /var/tmp/testbed-debs

# Packages have made their caches: the next boot need not do it again (systemd-update-done.service(8)).
for stamp in /etc/.updated /var/.updated; do [ ! -e "$stamp" ] || touch "$stamp"; done

# A file that is gone is still in the image, until its blocks are given back.
sync
if has fstrim; then fstrim -a 2>/dev/null || fstrim / || true; fi
