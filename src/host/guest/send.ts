import { realpath, stat } from "node:fs/promises";
import { posix } from "node:path";
import { Fault } from "#job/fault.ts";
import type { Input } from "#job/spec.ts";
import { printable } from "#lib/printable.ts";
import type { SshConnection } from "./connection.ts";
import type { FileThread } from "./file-thread.ts";
import type { GuestLink } from "./guest-link.ts";
import { quote } from "./quote.ts";
import { readFile, unreadable } from "./read-file.ts";
import { ConnectionLost } from "./ssh-errors.ts";
import { Stall } from "./stall.ts";

/** An input that was looked at: where it really is, and what it is. An archive is of what a folder holds. */
type Source = {
  readonly path: string;
  readonly to: string;
  readonly kind: "file" | "folder" | "archive";
  readonly bytes: number;
  readonly mode: number;
};

/** Each is one connection lost and all of the input sent again. On a link that carries too little, keepalives go unanswered. */
const TRIES_MAX = 8;

/** What the guest's command ends with when fewer bytes came than were promised. */
const CUT_SHORT_CODE = 71;

export type SendOrder = {
  readonly inputs: readonly Input[];
  readonly onBytes: (sent: number) => void;
  readonly thread: FileThread;
};

/**
 * Sends files and folders, each streamed over one channel; all are looked at before the first byte goes. A file appears
 * under its name only when it is whole. What was sent when a connection is lost is sent again.
 */
export async function sendInputs(
  link: GuestLink,
  order: SendOrder,
  signal: AbortSignal,
): Promise<void> {
  const sources: Source[] = [];
  for (const input of order.inputs) sources.push(await look(input));
  let before = 0;
  using stall = new Stall(link.options.stallSeconds * 1000, signal, () => {
    return new Fault("guest-unreachable", "the guest takes no more of the inputs");
  });
  for (const source of sources) {
    let [sent, tries] = [0, 0];
    await link.use(async (connection, use) => {
      tries += 1;
      if (tries > TRIES_MAX) throw new Fault("guest-unreachable", lostTooOften(source));
      sent = 0;
      const onPiece = (bytes: number) => {
        stall.moved();
        sent += bytes;
        order.onBytes(before + sent);
      };
      await sendOne({ connection, source, thread: order.thread, onPiece }, use);
    }, stall.signal);
    before += sent;
  }
}

function lostTooOften({ to }: Source): string {
  const what = `the connection was lost ${TRIES_MAX} times while ${printable(to, 200)} was sent`;
  return `${what}: the link is too slow, or something cuts it`;
}

async function look({ from, to, isArchive }: Input): Promise<Source> {
  try {
    const path = await realpath(from);
    const stats = await stat(path);
    if (!stats.isFile() && !stats.isDirectory()) throw new Error("neither a file nor a folder");
    const { mode, size } = stats;
    const kind = isArchive ? "archive" : stats.isDirectory() ? "folder" : "file";
    return { path, to: posix.normalize(to), kind, bytes: size, mode };
  } catch (error) {
    throw unreadable(from, (error as Error).message, error);
  }
}

type Sending = {
  readonly connection: SshConnection;
  readonly source: Source;
  readonly thread: FileThread;
  readonly onPiece: (bytes: number) => void;
};

async function sendOne(
  { connection, source, thread, onPiece }: Sending,
  signal: AbortSignal,
): Promise<void> {
  const command = source.kind === "file" ? fileCommand(source) : folderCommand(source);
  using exec = await connection.exec(command, signal);
  exec.discard();
  const content =
    source.kind === "folder" ? thread.readFolder(source.path) : readFile(source.path, source.bytes);
  try {
    for await (const piece of content) {
      await exec.write(piece);
      signal.throwIfAborted();
      onPiece(piece.length);
    }
    exec.endInput();
  } catch (error) {
    // The guest's command ended before it had read all: what it said is the better reason.
    if (!(error instanceof ConnectionLost)) throw error;
  }
  const { exitCode } = await exec.ended;
  signal.throwIfAborted();
  if (exitCode === 0) return;
  if (exitCode === undefined || exitCode === CUT_SHORT_CODE) {
    throw new ConnectionLost("the connection was cut while an input was sent");
  }
  const said = printable(exec.stderr.trim().slice(-500), 500);
  throw unreadable(source.to, `the guest refused it: ${said || `exit status ${exitCode}`}`);
}

function folderCommand({ to }: Source): string {
  const at = quote(to);
  return `umask 022 && mkdir -p ${at} && exec tar -x -o -f - -C ${at}`;
}

function fileCommand({ to, bytes, mode }: Source): string {
  const folder = quote(posix.dirname(to));
  const part = quote(posix.join(posix.dirname(to), ".testbed-part"));
  const at = quote(to);
  const permissions = (mode & 0o111) === 0 ? "644" : "755";
  return [
    `umask 022 && mkdir -p ${folder} || exit 1`,
    `if [ -d ${at} ]; then echo 'a folder is in the way' >&2; exit 1; fi`,
    `cat >${part} || { rm -f ${part}; exit 1; }`,
    `[ "$(wc -c <${part})" -eq ${bytes} ] || { rm -f ${part}; exit ${CUT_SHORT_CODE}; }`,
    `chmod ${permissions} ${part} && mv -f ${part} ${at}`,
  ].join("\n");
}
