import { type FileHandle, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { type AttemptJournal, JournalBroken } from "#host/daemon/ports.ts";
import { type Entry, pastOf } from "#host/runner/journal.ts";
import { syncFolder } from "#lib/atomic-file.ts";
import { bootId } from "#lib/host-boot.ts";
import {
  JOURNAL_FORMAT,
  JournalDamaged,
  type JournalHead,
  lineOf,
  readJournalText,
} from "./journal-text.ts";
import { whenRoom } from "./when-room.ts";

/** An attempt has two dozen entries of some hundred bytes; a step's result is the longest. */
const BYTES_MAX = 16 * 2 ** 20;

/**
 * Opens the journal of an attempt at `path`, made when it is missing. Only ever appended to, so there is nothing to recover but a last
 * line that was being written. Throws `JournalDamaged`, and changes nothing then.
 */
export async function openAttemptJournal(path: string): Promise<AttemptJournal> {
  const text = await readWhole(path);
  const { head, entries, goodBytes } = readJournalText(text);
  if (head !== undefined && head.format > JOURNAL_FORMAT)
    throw new JournalDamaged(`it is in format ${head.format}, of a newer testbed`);
  const boot = await bootId();
  const pen = new Pen(path, head === undefined ? 0 : goodBytes);
  if (head === undefined) await pen.write({ format: JOURNAL_FORMAT, boot });
  const past = pastOf(entries, head !== undefined && head.boot !== boot);
  return { past, note: (entry) => pen.write(entry) };
}

async function readWhole(path: string): Promise<Buffer> {
  const size = await sizeOf(path);
  if (size === undefined) return Buffer.alloc(0);
  if (size > BYTES_MAX) throw new JournalDamaged(`it has ${size} bytes, more than any has`);
  await using file = await open(path, "r");
  return await file.readFile();
}

/** Undefined when it is not there; one that cannot be looked at is not a new one. */
async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function wordsOf(path: string, message: string): string {
  return `the journal ${path} cannot be written: ${message}`;
}

/** Appends lines, one after the other. Each is on the disk when its call returns. */
class Pen {
  readonly #path: string;
  #bytes: number;
  #isNew = true;
  #before: Promise<unknown> = Promise.resolve();
  #broken: JournalBroken | undefined;

  constructor(path: string, bytes: number) {
    this.#path = path;
    this.#bytes = bytes;
  }

  /**
   * A full disk is waited for: what is not noted is not done. Whatever else goes wrong may have written and may not have (fsync(2)
   * tells of an error once), so nothing more can be believed of this journal: throws `JournalBroken`, from then on.
   */
  async write(entry: Entry | JournalHead): Promise<void> {
    const turn = this.#before.then(() => this.#writeNow(lineOf(entry)));
    this.#before = turn.catch(() => undefined);
    await turn;
  }

  async #writeNow(line: string): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    await whenRoom(async () => {
      await using file = await open(this.#path, this.#bytes === 0 ? "a" : "r+", 0o600);
      await this.#append(file, line);
    }).catch((cause: Error) => {
      this.#broken = new JournalBroken(wordsOf(this.#path, cause.message), { cause });
      throw this.#broken;
    });
  }

  async #append(file: FileHandle, line: string): Promise<void> {
    // What a full disk, or a process that died, left of a line.
    await file.truncate(this.#bytes);
    const { bytesWritten } = await file.write(line, this.#bytes);
    if (bytesWritten < Buffer.byteLength(line))
      throw Object.assign(new Error("only a part of a line could be written"), { code: "ENOSPC" });
    await file.datasync();
    if (this.#isNew) await syncFolder(dirname(this.#path));
    this.#isNew = false;
    this.#bytes += bytesWritten;
  }
}
