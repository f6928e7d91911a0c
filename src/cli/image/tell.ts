import { bytesInWords } from "#lib/words.ts";

const LINE_EVERY_MS = 2_000;

/** A line for people, while standard output waits for the answer. */
export function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Tells now and then how far something got: `reading: 1.2 GiB of 3.0 GiB (40 %)`. What is over at once is not worth a line. */
export function tellingBytes(what: string): (done: number, all: number) => void {
  let saidMs = performance.now();
  return (done, all) => {
    if (performance.now() - saidMs < LINE_EVERY_MS) return;
    saidMs = performance.now();
    const percent = all === 0 ? 100 : Math.floor((done / all) * 100);
    tell(`${what}: ${bytesInWords(done)} of ${bytesInWords(all)} (${percent} %)`);
  };
}
