/**
 * A tar header, GNU's dialect of ustar (https://www.gnu.org/software/tar/manual/html_node/Standard.html). Not tar-stream's
 * pack: that writes long and non-ASCII names as PAX records, which busybox's tar does not read, so they would arrive as
 * files called PaxHeader. GNU's long-name entries are read by GNU tar, busybox and libarchive alike.
 */
export type TarHeader = {
  /** Relative; folders without a trailing slash. */
  readonly name: string;
  readonly kind: "file" | "folder" | "link";
  /** Permission bits only. */
  readonly mode: number;
  readonly bytes: number;
  readonly mtimeSeconds: number;
  /** Of a symbolic link. */
  readonly target?: string;
};

const TAR_BLOCK_BYTES = 512;
const NAME_BYTES = 100;
const FLAGS = { file: "0", link: "2", folder: "5" } as const;
/** The largest number that eleven octal digits hold. */
const OCTAL_MAX = 8 ** 11 - 1;

/** The blocks that stand before an entry's content. */
export function tarHeader(header: TarHeader): Buffer {
  const name = Buffer.from(header.kind === "folder" ? `${header.name}/` : header.name);
  const target = Buffer.from(header.target ?? "");
  return Buffer.concat([
    ...(name.length > NAME_BYTES ? longText("L", name) : []),
    ...(target.length > NAME_BYTES ? longText("K", target) : []),
    block({ ...header, name, target, flag: FLAGS[header.kind] }),
  ]);
}

/** What fills an entry's last block, after `bytes` of content. */
export function tarPadding(bytes: number): Buffer {
  return Buffer.alloc((TAR_BLOCK_BYTES - (bytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES);
}

/** What ends an archive. */
export const TAR_END = Buffer.alloc(2 * TAR_BLOCK_BYTES);

function longText(flag: "L" | "K", text: Buffer): Buffer[] {
  const content = Buffer.concat([text, Buffer.alloc(1)]);
  const name = Buffer.from("././@LongLink");
  const header = { name, target: Buffer.alloc(0), mode: 0, mtimeSeconds: 0, flag };
  return [block({ ...header, bytes: content.length }), content, tarPadding(content.length)];
}

function block(header: {
  readonly name: Buffer;
  readonly target: Buffer;
  readonly mode: number;
  readonly bytes: number;
  readonly mtimeSeconds: number;
  readonly flag: string;
}): Buffer {
  const out = Buffer.alloc(TAR_BLOCK_BYTES);
  header.name.copy(out, 0, 0, NAME_BYTES);
  out.write(`${(header.mode & 0o777).toString(8).padStart(7, "0")}\0`, 100);
  out.write("0000000\0", 108);
  out.write("0000000\0", 116);
  writeNumber(out, 124, header.bytes);
  writeNumber(out, 136, Math.max(0, Math.floor(header.mtimeSeconds)));
  out.write(header.flag, 156);
  header.target.copy(out, 157, 0, NAME_BYTES);
  out.write("ustar  \0", 257);
  // The checksum is made with its own field as spaces.
  out.fill(" ", 148, 156);
  let sum = 0;
  for (const byte of out) sum += byte;
  out.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return out;
}

/** Octal digits, or beyond 8 GiB the base-256 form that GNU tar and busybox read. */
function writeNumber(out: Buffer, at: number, value: number): void {
  if (value <= OCTAL_MAX) {
    out.write(`${value.toString(8).padStart(11, "0")} `, at);
    return;
  }
  out.writeUInt8(0x80, at);
  out.writeBigUInt64BE(BigInt(value), at + 4);
}
