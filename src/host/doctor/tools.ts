/** Programs that testbed or libvirt runs, and the Debian packages that have them. */
export const TOOLS = {
  run: {
    "qemu-img": "qemu-utils",
    xorriso: "xorriso",
    nft: "nftables",
    iptables: "iptables",
    ip: "iproute2",
    dnsmasq: "dnsmasq-base",
    virtlogd: "libvirt-daemon-system",
  },
  image: {
    mmdebstrap: "mmdebstrap",
    busybox: "busybox-static",
    cpio: "cpio",
    mke2fs: "e2fsprogs",
    sfdisk: "fdisk",
    mformat: "mtools",
    lz4: "lz4",
    zstd: "zstd",
    xz: "xz-utils",
  },
} as const satisfies Record<string, Record<string, string>>;
