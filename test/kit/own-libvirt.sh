#!/bin/sh
# own-libvirt.sh FOLDER PROGRAM ARG...: runs a program that sees folders below FOLDER where libvirt keeps its state, in a mount
# namespace of its own (see unshare(1)), whose end takes the mounts with it. libvirtd has those places compiled in.
folder=$1
shift
for place in /run/libvirt /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do
  mount --bind "$folder$place" "$place" || exit 3
done
exec "$@"
