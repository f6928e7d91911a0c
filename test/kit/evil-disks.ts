import { appendFile, cp, link, open, rename, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeOverlay } from "#host/images/store/qcow2-overlay.ts";
import { call } from "./call.ts";

const MIB = 2 ** 20;

/** A file made for an inspection: what it is said to be, how it is made at a path, and why it is refused, if it is. */
export type MadeDisk = {
  readonly name: string;
  readonly format: "qcow2" | "raw";
  readonly make: (path: string, folder: string) => Promise<unknown>;
  readonly refused?: string;
};

const img = (...words: string[]) => call("qemu-img", words);
const create = (format: string, path: string, size: string, options: string[] = []) =>
  img("create", "-q", "-f", format, ...options, path, size);
const over = (backing: string) => (path: string) =>
  create("qcow2", path, "8M", ["-u", "-b", backing, "-F", "raw"]);
const secret = ["--object", "secret,id=s,data=abc"];

/** QEMU 7.2 measures how fast it derives keys, and fails where the kernel counts no tick meanwhile. */
async function keyed(format: string, path: string, options: string): Promise<void> {
  const words = [...secret, "-o", options];
  for (let tries = 1; ; tries += 1) {
    const wrong = await create(format, path, "8M", words).catch((error: unknown) => error);
    if (wrong instanceof Error && wrong.message.includes("CPU usage") && tries < 50) continue;
    if (wrong instanceof Error) throw wrong;
    return;
  }
}

/** An image with 1 MiB of data: L1 table at 0x30000, its L2 table at 0x40000, the data after that. */
async function full(path: string): Promise<void> {
  await create("qcow2", path, "64M");
  await call("qemu-io", ["-f", "qcow2", "-c", "write -P 0x5a 0 1M", path]);
}

/** Such an image with a big-endian number of 8 bytes put at a place. */
const patched = (at: number, value: bigint) => async (path: string) => {
  await full(path);
  await put(path, at, numbers(value));
};

/** A big-endian number of 8 bytes, as often as asked, as text of ISO 8859-1. */
function numbers(value: bigint, count = 1): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes.toString("latin1").repeat(count);
}

async function put(path: string, at: number, text: string): Promise<void> {
  await using file = await open(path, "r+");
  await file.write(text, at, "latin1");
}

async function ext4(path: string): Promise<void> {
  await writeFile(path, "");
  await truncate(path, 8 * MIB);
  await call("mke2fs", ["-q", "-t", "ext4", path]);
}

async function partitioned(path: string): Promise<void> {
  await writeFile(path, "");
  await truncate(path, 8 * MIB);
  const entry = Buffer.alloc(66);
  entry.writeUInt8(0x83, 4);
  entry.writeUInt32LE(2048, 12 - 4);
  entry.writeUInt32LE(2048, 12);
  entry.writeUInt16LE(0xaa55, 64);
  await put(path, 446, entry.toString("latin1"));
}

const iso = (path: string, folder: string) =>
  call("xorriso", ["-as", "mkisofs", "-quiet", "-o", path, join(folder, "canary")]);

/** A chain of overlays, each over the next; the last is over the canary. */
async function chain(path: string, folder: string): Promise<void> {
  const links = Array.from({ length: 300 }, (_, index) => join(folder, `chain-${index}`));
  for (const [index, here] of [path, ...links].entries()) {
    const backing = { path: links[index] ?? join(folder, "canary"), format: "qcow2" } as const;
    const { parts, fileBytes } = encodeOverlay({ backing, virtualBytes: MIB });
    await using file = await open(here, "w");
    for (const { bytes, position } of parts) await file.write(bytes, 0, bytes.length, position);
    await file.truncate(fileBytes);
  }
}

const COPIED = 1n << 63n;
const qcow2 = (name: string, refused: string, make: MadeDisk["make"]): MadeDisk => ({
  ...{ name, refused, make },
  format: "qcow2",
});
const raw = (name: string, refused: string, make: MadeDisk["make"]): MadeDisk => ({
  ...{ name, refused, make },
  format: "raw",
});
const damaged = "has tables that are damaged";

/**
 * Files that a stranger could publish, made by QEMU's own programs where these can. `canary` in their folder is the file
 * that some of them want read.
 */
export const EVIL_DISKS: readonly MadeDisk[] = [
  qcow2("backing-path", "has a backing file", (path) => over("/etc/os-release")(path)),
  qcow2("backing-canary", "has a backing file", (path, folder) =>
    over(join(folder, "canary"))(path),
  ),
  qcow2(
    "backing-json",
    "has a backing file",
    over('json:{"driver":"raw","file":{"driver":"file","filename":"/etc/os-release"}}'),
  ),
  qcow2("backing-nbd", "has a backing file", over("nbd://127.0.0.1:1/x")),
  qcow2("backing-http", "has a backing file", over("http://127.0.0.1:1/x")),
  qcow2("backing-fat", "has a backing file", over("fat:/etc")),
  qcow2("backing-device", "has a backing file", over("/dev/sda")),
  qcow2("backing-self", "has a backing file", async (path) => {
    await over(`${path}.other`)(path);
    await rename(path, `${path}.other`);
    await cp(`${path}.other`, path);
  }),
  qcow2("backing-chain", "has a backing file", chain),
  qcow2("data-file", "has an external data file", (path, folder) =>
    create("qcow2", path, "8M", ["-o", `data_file=${join(folder, "data")},data_file_raw=on`]),
  ),
  qcow2("luks", "is encrypted", (path) =>
    keyed("qcow2", path, "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"),
  ),
  qcow2("aes", "is encrypted", (path) =>
    create("qcow2", path, "8M", [...secret, "-o", "encrypt.format=aes,encrypt.key-secret=s"]),
  ),
  qcow2("snapshots", "has internal snapshots", async (path) => {
    await full(path);
    await img("snapshot", "-c", "s", path);
  }),
  qcow2("bitmaps", "has bitmaps", async (path) => {
    await full(path);
    await img("bitmap", "--add", "-f", "qcow2", path, "b");
  }),
  qcow2("dirty", "was not closed cleanly", patched(72, 1n)),
  qcow2("corrupt", "was not closed cleanly", patched(72, 2n)),
  qcow2("4-pib", "has a virtual size of 4503599627370496 bytes", (path) =>
    create("qcow2", path, "4P", ["-o", "cluster_size=2M"]),
  ),
  qcow2("empty-disk", "has a virtual size of 0 bytes", (path) => create("qcow2", path, "0")),
  qcow2("odd-size", "has a virtual size of 67108863 bytes", patched(24, 2n ** 26n - 1n)),
  qcow2("l1-past-end", "has an L1 table that does not lie in it", patched(40, 2n ** 40n)),
  qcow2("l1-odd", "has an L1 table that does not lie in it", patched(40, 0x30200n)),
  qcow2("l1-is-l2", damaged, patched(0x30000, COPIED | 0x30000n)),
  qcow2("l2-past-end", damaged, patched(0x30000, COPIED | (2n ** 40n))),
  qcow2("l2-odd", damaged, patched(0x30000, COPIED | 0x40200n)),
  qcow2("l2-is-its-own", damaged, patched(0x40000, COPIED | 0x40000n)),
  qcow2("data-is-refcounts", damaged, patched(0x40000, COPIED | 0x10000n)),
  qcow2("data-past-end", damaged, patched(0x40000, COPIED | (2n ** 40n))),
  qcow2("clusters-twice", damaged, patched(0x40000, COPIED | 0x60000n)),
  qcow2("compressed-past-end", damaged, patched(0x40000, (1n << 62n) | (2n ** 40n))),
  qcow2("refcounts-past-end", "reference counts", patched(48, 2n ** 40n)),
  qcow2("refcounts-of-themselves", damaged, patched(0x10000, 0x10000n)),
  qcow2("refcounts-of-data", damaged, patched(0x10000, 0x50000n)),
  // 16 million references to one cluster, each of which qemu-img check complains of.
  qcow2("flood", "is not taken by qemu-img: it printed more than", async (path) => {
    await create("qcow2", path, "1T");
    await call("qemu-io", ["-f", "qcow2", "-c", "write 0 64k", path]);
    await put(path, 0x30000, numbers(COPIED | 0x40000n, 2048));
    await put(path, 0x40000, numbers(COPIED | 0x50000n, 8192));
  }),
  qcow2("cut-off", damaged, async (path) => {
    await full(path);
    await truncate(path, 0x80000);
  }),
  qcow2("vmdk-sparse", "is VMDK", (path) => create("vmdk", path, "8M")),
  qcow2("vmdk-stream", "is VMDK", (path) =>
    create("vmdk", path, "8M", ["-o", "subformat=streamOptimized"]),
  ),
  raw("vmdk-flat", "is VMDK", (path, folder) => {
    const extent = `RW 16384 FLAT "${join(folder, "canary")}" 0`;
    const lines = ["# Disk DescriptorFile", "version=1", 'createType="monolithicFlat"', extent];
    return writeFile(path, `${lines.join("\n").padEnd(1023)}\n`);
  }),
  raw("vmdk-raw", "is VMDK", (path) => create("vmdk", path, "8M")),
  raw("vdi", "is VDI", (path) => create("vdi", path, "8M")),
  raw("vhd", "is VHD", (path) => create("vpc", path, "8M")),
  raw("vhd-fixed", "is VHD", (path) => create("vpc", path, "8M", ["-o", "subformat=fixed"])),
  raw("vhdx", "is VHDX", (path) => create("vhdx", path, "8M")),
  raw("qed", "is QED", (path) => create("qed", path, "8M")),
  raw("parallels", "is Parallels", (path) => create("parallels", path, "8M")),
  raw("raw-luks", "is LUKS", (path) => keyed("luks", path, "key-secret=s,iter-time=10")),
  raw("iso", "is ISO 9660", iso),
  raw("iso-hybrid", "is ISO 9660", async (path, folder) => {
    await partitioned(path);
    await iso(`${path}.iso`, folder);
    await using file = await open(`${path}.iso`);
    const { buffer } = await file.read(Buffer.alloc(MIB), 0, MIB, 0x8000);
    await put(path, 0x8000, buffer.toString("latin1"));
  }),
  qcow2("iso-and-qcow2", "is ISO 9660, and not qcow2 alone", async (path) => {
    await full(path);
    await put(path, 0x8000, "\x01CD001\x01");
  }),
  qcow2("mbr-and-qcow2", "is a boot sector and MBR, and not qcow2 alone", async (path) => {
    await partitioned(`${path}.mbr`);
    await full(path);
    await using file = await open(`${path}.mbr`);
    const { buffer } = await file.read(Buffer.alloc(66), 0, 66, 446);
    await put(path, 446, buffer.toString("latin1"));
  }),
  qcow2("vhd-and-qcow2", "is VHD, and not qcow2 alone", async (path) => {
    await full(path);
    await appendFile(path, "conectix".padEnd(512, "\0"));
  }),
  raw("qcow2-as-raw", "is qcow2, and not raw alone", full),
  qcow2("raw-as-qcow2", "is a boot sector and MBR", partitioned),
  qcow2("gzip", "is gzip", async (path) => {
    await full(path);
    await call("gzip", ["-S", ".gz", path]);
    await rename(`${path}.gz`, path);
  }),
  raw("zeros", "has neither", (path) => create("raw", path, "8M")),
  raw("text", "has neither", (path) => writeFile(path, "a text\n".repeat(512))),
  raw("odd-length", "has a virtual size of 8388609 bytes", async (path) => {
    await partitioned(path);
    await appendFile(path, "x");
  }),
  qcow2("nothing", "is no qcow2 file", (path) => writeFile(path, "")),
  qcow2("link", "is a link", async (path) => {
    await full(`${path}.target`);
    await symlink(`${path}.target`, path);
  }),
  qcow2("two-names", "has 2 names", async (path) => {
    await full(path);
    await link(path, `${path}.other`);
  }),
  qcow2("fifo", "is not a regular file", (path) => call("mkfifo", [path])),
  qcow2("sparse", "bytes long", async (path) => {
    await full(path);
    await truncate(path, 2 ** 42);
  }),
];

/** Their twins: as near to them as an image is that is taken. */
export const PLAIN_DISKS: readonly MadeDisk[] = [
  { name: "new", format: "qcow2", make: (path) => create("qcow2", path, "64M") },
  { name: "full", format: "qcow2", make: full },
  {
    name: "compat",
    format: "qcow2",
    make: (path) => create("qcow2", path, "64M", ["-o", "compat=0.10"]),
  },
  {
    name: "all-features",
    format: "qcow2",
    make: (path) => {
      const options = "extended_l2=on,compression_type=zstd,lazy_refcounts=on,refcount_bits=64";
      return create("qcow2", path, "64M", ["-o", `${options},cluster_size=128k`]);
    },
  },
  {
    name: "small-clusters",
    format: "qcow2",
    make: (path) => create("qcow2", path, "64M", ["-o", "cluster_size=512"]),
  },
  {
    name: "large-clusters",
    format: "qcow2",
    make: (path) => create("qcow2", path, "64M", ["-o", "cluster_size=2M,preallocation=metadata"]),
  },
  { name: "1-tib", format: "qcow2", make: (path) => create("qcow2", path, "1T") },
  {
    name: "compressed",
    format: "qcow2",
    make: async (path) => {
      await ext4(`${path}.raw`);
      await img("convert", "-q", "-c", "-f", "raw", "-O", "qcow2", `${path}.raw`, path);
    },
  },
  {
    name: "snapshot-removed",
    format: "qcow2",
    make: async (path) => {
      await full(path);
      await img("snapshot", "-c", "s", path);
      await img("snapshot", "-d", "s", path);
    },
  },
  // A cluster that is counted, and that nothing refers to.
  { name: "leak", format: "qcow2", make: patched(0x40000, 0n) },
  { name: "bare-ext4", format: "raw", make: ext4 },
  { name: "partitions", format: "raw", make: partitioned },
];
