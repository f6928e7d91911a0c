import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "#test/kit/house.ts";

/**
 * What images, catalogues and addresses may be that have to be refused, row by row, and the words by which the tests that refuse each are
 * found, beside twins of it that are taken. A row whose test is renamed or removed is missed here.
 */
const TRUST = "test/unit/images/catalogue/trust.test.ts";
const DOCUMENT = "test/unit/images/catalogue/document.test.ts";
const SMALL = "test/integration/images/fetch-document.test.ts";
const RULES = "test/unit/images/fetch-url-rules.test.ts";
const ADDRESSES = "test/unit/images/fetch-addresses.test.ts";
const WAYS = "test/integration/images/download-ways.test.ts";
const BODIES = "test/integration/images/download-bad-bodies.test.ts";
const RANGES = "test/integration/images/download.test.ts";
const PROCESSES = "test/integration/images/download-processes.test.ts";
const UNPACK = "test/integration/images/unpack.test.ts";
/** A table of files, each refused with its reason; `PLAIN_DISKS` of the same file are the twins. */
const EVIL = "test/kit/evil-disks.ts";
const FORMATS = "test/unit/images/foreign-formats.test.ts";

type Proof = readonly [file: string, words: string];

const ROWS: readonly (readonly [id: string, what: string, ...proofs: readonly Proof[]])[] = [
  ["I-01", "unsigned, unknown key, other bytes, altered comment", [TRUST, "(I-01)"]],
  ["I-02", "rollback, fast-forward, freeze", [TRUST, "version (I-02)"], [TRUST, "expiry (I-02)"]],
  [
    "I-03",
    "five gigabytes, without end, a byte a minute",
    [SMALL, "of five gigabytes by its own word, or without end"],
    [SMALL, "that trickles"],
  ],
  [
    "I-04",
    "no digest, no length, twice the same, an empty file",
    [DOCUMENT, "sha256"],
    [DOCUMENT, "is there twice"],
    [DOCUMENT, "of an empty file"],
    [BODIES, "shorter without a word"],
  ],
  [
    "I-05",
    "hosts and addresses, however they are written",
    [RULES, "2130706433"],
    [RULES, "0x7f.1"],
    [ADDRESSES, "::ffff:127.0.0.1"],
    [WAYS, "is not made to loopback unless that is allowed"],
  ],
  [
    "I-07",
    "redirects",
    [WAYS, "is followed three times, and no more"],
    [WAYS, "another scheme"],
    [RANGES, "416 to everything: given up"],
  ],
  [
    "I-08",
    "bodies that are not what was said",
    [BODIES, "packed though it was asked for as it is"],
    [RANGES, "because its file is another one now"],
    [RANGES, "206 for a file of another length"],
  ],
  ["I-09", "a backing file", [EVIL, "backing-path"]],
  [
    "I-10",
    "a backing file of another kind",
    [EVIL, "backing-nbd"],
    [EVIL, "backing-http"],
    [EVIL, "backing-fat"],
    [EVIL, "backing-device"],
  ],
  ["I-11", "an external data file", [EVIL, "data-file"]],
  [
    "I-13",
    "encrypted, snapshots, bitmaps, not closed",
    ...["luks", "aes", "snapshots", "bitmaps", "dirty", "corrupt"].map(
      (name) => [EVIL, `"${name}"`] as const,
    ),
  ],
  ["I-14", "absurd sizes", [EVIL, "4-pib"], [EVIL, "empty-disk"], [EVIL, "odd-size"]],
  [
    "I-15",
    "tables that point past the end or to themselves",
    [EVIL, "l1-past-end"],
    [EVIL, "l2-is-its-own"],
    [EVIL, "refcounts-of-themselves"],
    [EVIL, "flood"],
  ],
  ["I-16", "a chain of backing files", [EVIL, "backing-chain"], [EVIL, "backing-self"]],
  [
    "I-18",
    "other formats, packed ones under a cap",
    [EVIL, "vmdk-flat"],
    [EVIL, "vmdk-stream"],
    [EVIL, "vhdx"],
    [FORMATS, "is refused with every format that it is"],
    [UNPACK, "a file packed with %s"],
  ],
  ["I-19", "two formats at once", [EVIL, "iso-and-qcow2"], [EVIL, "mbr-and-qcow2"]],
  ["I-22", "formats that a program guesses", ["test/unit/images/qemu-argv.test.ts", "CVE-"]],
  [
    "I-23",
    "keys and identities inside",
    ["test/e2e/hostile-guests.test.ts", "wrong-host-key"],
    ["test/integration/images/clean.test.ts", "machine-id"],
  ],
  [
    "I-24",
    "no server, no way in, never settled",
    ["test/e2e/hostile-guests.test.ts", "refuses-key"],
    ["test/e2e/hostile-guests.test.ts", "never-settles"],
  ],
  ["I-25", "kernel and initrd by a path of the catalogue's", [DOCUMENT, "../"]],
  ["I-26", "two at once", [PROCESSES, "two processes at once: one fetches, both have it"]],
];

test.each(ROWS.map((row) => [row]))("is tried: %j", ([, , ...proofs]) => {
  expect(proofs.length).toBeGreaterThan(0);
  for (const [file, words] of proofs)
    expect(readFileSync(join(ROOT, file), "utf8"), `${file}: ${words}`).toContain(words);
});
