#!/bin/sh
# Builds the unbootable image, which is micro with another kernel command line:
#
#   build.sh OUTPUT SCRATCH BASE
set -eu
ln "$3/disk.qcow2" "$3/kernel" "$3/initrd" "$1/"
